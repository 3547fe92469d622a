#include "ledger/mend.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>

#include "ledger/repository.h"

namespace detent {
namespace {

namespace fs = std::filesystem;

/// Replaces a file by one that is whole on disk.
Result<> write(const fs::path& path, const std::string& text) {
  const fs::path fresh = path.string() + ".detent-new";
  const int file = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return system_error("cannot write " + fresh.string(), errno);
  const bool written = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && !fsync(file);
  const int number = errno;
  close(file);
  if (!written) return system_error("cannot write " + fresh.string(), number);
  if (::rename(fresh.c_str(), path.c_str())) return system_error("cannot write " + path.string(), errno);
  return {};
}

/// "x" -> "x.damaged-20261122T120000Z".
Result<fs::path> move_aside(const fs::path& path, Millis wall) {
  std::string when = utc(wall);
  std::erase_if(when, [](char c) { return c == '-' || c == ':'; });
  const std::string stem = path.string() + ".damaged-" + when;
  fs::path aside = stem;
  for (int n = 2; fs::exists(aside); ++n) aside = fmt::format("{}.{}", stem, n);
  if (::rename(path.c_str(), aside.c_str())) return system_error("cannot set aside " + path.string(), errno);
  return aside;
}

bool names_something(const fs::path& head) {
  std::ifstream in(head, std::ios::binary);
  std::error_code failed;
  if (!in && (fs::exists(head, failed) || failed)) return true;  // that it cannot be opened does not say what is in it
  std::string line;
  std::getline(in, line);
  return (line.starts_with("ref: refs/") && line.find('\0') == std::string::npos) || Oid::from_hex(line);
}

}  // namespace

Result<std::vector<std::string>> mend_files(const fs::path& repository, const std::string& branch, Millis wall) {
  std::vector<std::string> mended;
  if (!names_something(repository / "HEAD")) {
    if (const auto done = write(repository / "HEAD", "ref: refs/heads/" + branch + "\n"); !done) return done.error();
    mended.push_back(fmt::format("{} could not be read; it is on {} again", (repository / "HEAD").string(), branch));
  }
  const auto config = Repository::check_config(repository);
  if (!config && config.error().code == EBADMSG) {
    const auto aside = move_aside(repository / "config", wall);
    if (!aside) return aside.error();
    const auto done =
        write(repository / "config", "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n");
    if (!done) return done.error();
    mended.push_back(
        fmt::format("{}; it was written anew, and what it held is {}", config.error().what, aside->string()));
  }
  return Result<std::vector<std::string>>{boost::system::in_place_value, std::move(mended)};
}

Result<fs::path> set_aside(const fs::path& repository, Millis wall) {
  return move_aside(fs::path{repository / ""}.parent_path(), wall);
}

}  // namespace detent
