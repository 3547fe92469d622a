#include "ledger/repository/loose.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <charconv>
#include <memory>

namespace detent {
namespace {

constexpr std::size_t kBite = 64 << 10;
constexpr std::size_t kHeaderMost = 64;
constexpr std::size_t kContentMost = std::size_t{1} << 30;

/// A file read in bites, closed at the end.
class Bites {
 public:
  explicit Bites(int file) : file_{file} {}
  ~Bites() { close(file_); }
  Bites(const Bites&) = delete;
  Bites& operator=(const Bites&) = delete;
  ssize_t next(unsigned char* into) {
    ssize_t got = 0;
    while ((got = ::read(file_, into, kBite)) < 0 && errno == EINTR) {
    }
    return got;
  }

 private:
  int file_;
};

}  // namespace

Result<std::optional<LooseObject>> read_loose(const std::filesystem::path& repository, const std::string& hex) {
  const auto path = repository / "objects" / hex.substr(0, 2) / hex.substr(2);
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0 && errno == ENOENT) return std::optional<LooseObject>{};
  if (file < 0) return system_error("cannot read " + path.string(), errno);
  Bites bites{file};
  const auto damaged = [&](std::string_view how) {
    return Error{fmt::format("object {} is damaged: {}", hex, how), EBADMSG};
  };

  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) return Error{"zlib does not start"};
  const std::unique_ptr<z_stream, int (*)(z_stream*)> end{&stream, inflateEnd};
  std::string out(kHeaderMost, '\0');
  LooseObject object;
  std::size_t filled = 0, header = 0;
  unsigned char bite[kBite];
  for (int state = Z_OK; state != Z_STREAM_END;) {
    if (stream.avail_in == 0) {
      const ssize_t got = bites.next(bite);
      if (got < 0) return system_error("cannot read " + path.string(), errno);
      if (got == 0) return damaged("it was cut short");
      stream.next_in = bite;
      stream.avail_in = static_cast<uInt>(got);
    }
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + filled);
    stream.avail_out = static_cast<uInt>(out.size() - filled);
    state = inflate(&stream, Z_NO_FLUSH);
    if (state != Z_OK && state != Z_STREAM_END && state != Z_BUF_ERROR) return damaged("it does not inflate");
    filled = out.size() - stream.avail_out;
    if (header == 0) {
      // "blob 1234\0", then the content.
      const auto zero = out.substr(0, filled).find('\0');
      if (zero == std::string::npos) {
        if (filled == out.size() || state == Z_STREAM_END) return damaged("it has no header");
        continue;
      }
      const auto space = out.find(' ');
      std::size_t size = 0;
      if (space >= zero) return damaged("it has no header");
      const auto [after, failed] = std::from_chars(out.data() + space + 1, out.data() + zero, size);
      if (failed != std::errc{} || after != out.data() + zero || size > kContentMost)
        return damaged("its header is wrong");
      object.type = out.substr(0, space);
      header = zero + 1;
      // One byte more than there should be, to see what is too long.
      out.resize(std::max(header + size + 1, filled + 1));
    } else if (state != Z_STREAM_END && filled == out.size()) {
      return damaged("it is longer than its header says");
    }
  }
  if (filled + 1 != out.size()) return damaged("its length is not what its header says");
  object.content = out.substr(header, filled - header);
  return std::optional<LooseObject>{std::move(object)};
}

}  // namespace detent
