#include "ledger/repository/mend.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <optional>
#include <sstream>

#include "ledger/repository/files.h"
#include "ledger/repository/repository.h"

namespace detent {
namespace {

namespace fs = std::filesystem;

/// What is in a file; nothing where it is not there or cannot be opened, which does not say what is in it.
std::optional<std::string> text_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  in.peek();
  if (in.eof()) return "";
  std::ostringstream text;
  text << in.rdbuf();
  if (in.bad() || !text) return std::nullopt;
  return std::move(text).str();
}

bool may_exist(const fs::path& path) {
  std::error_code failed;
  return fs::exists(path, failed) || failed;
}

/// Whether git can read a HEAD of this text.
bool names_something(const std::string& head) {
  const std::string line = head.substr(0, head.find('\n'));
  return (line.starts_with("ref: refs/") && line.find('\0') == std::string::npos) || Oid::from_hex(line);
}

/// "<id> refs/…", "^<id>" of a tag, or a comment.
bool is_packed_ref(const std::string& line) {
  if (line.starts_with('#')) return true;
  if (line.starts_with('^')) return Oid::from_hex(line.substr(1)).has_value();
  return line.size() > 46 && line.compare(40, 6, " refs/") == 0 && Oid::from_hex(line.substr(0, 40)) &&
         std::all_of(line.begin() + 41, line.end(), [](unsigned char c) { return c > ' ' && c != 127; });
}

Result<> mend_head(const fs::path& repository, const std::string& branch, std::vector<std::string>& mended) {
  const auto head = repository / "HEAD";
  const auto text = text_of(head);
  if (text ? names_something(*text) : may_exist(head)) return {};
  if (const auto done = replace(head, "ref: refs/heads/" + branch + "\n"); !done) return done.error();
  mended.push_back(fmt::format("{} could not be read; it is on {} again", head.string(), branch));
  return {};
}

Result<> mend_config(const fs::path& repository, Millis wall, std::vector<std::string>& mended) {
  const auto config = Repository::check_config(repository);
  if (config || config.error().code != EBADMSG) return {};
  const auto aside = move_aside(repository / "config", wall);
  if (!aside) return aside.error();
  const auto done =
      replace(repository / "config", "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n");
  if (!done) return done.error();
  mended.push_back(
      fmt::format("{}; it was written anew, and what it held is {}", config.error().what, aside->string()));
  return {};
}

Result<> mend_folders(const fs::path& repository, std::vector<std::string>& mended) {
  for (const char* name : {"objects", "refs"}) {
    const auto folder = repository / name;
    if (may_exist(folder)) continue;
    std::error_code failed;
    fs::create_directories(folder, failed);
    if (failed) return system_error("cannot make " + folder.string(), failed.value());
    mended.push_back(fmt::format("{} was gone; it is there again, and empty", folder.string()));
  }
  return {};
}

Result<> mend_packed_refs(const fs::path& repository, Millis wall, std::vector<std::string>& mended) {
  const auto path = repository / "packed-refs";
  const auto text = text_of(path);
  if (!text) return {};
  std::string good;
  std::size_t bad = 0;
  bool kept = false;  // the line before
  for (std::size_t start = 0; start < text->size();) {
    const auto end = text->find('\n', start);
    const std::string line = text->substr(start, end == std::string::npos ? end : end - start);
    // A tag's target follows its tag.
    kept = end != std::string::npos && is_packed_ref(line) && (kept || !line.starts_with('^'));
    if (kept) good += line + "\n";
    if (!kept) ++bad;
    if (end == std::string::npos) break;
    start = end + 1;
  }
  if (!bad) return {};
  const auto aside = move_aside(path, wall);
  if (!aside) return aside.error();
  if (const auto done = replace(path, good); !done) return done.error();
  mended.push_back(fmt::format("{} lines of {} could not be read; the others were kept, and what it held is {}", bad,
                               path.string(), aside->string()));
  return {};
}

}  // namespace

Result<std::vector<std::string>> mend_files(const fs::path& repository, const std::string& branch, Millis wall) {
  std::vector<std::string> mended;
  if (const auto done = mend_head(repository, branch, mended); !done) return done.error();
  if (const auto done = mend_config(repository, wall, mended); !done) return done.error();
  if (const auto done = mend_folders(repository, mended); !done) return done.error();
  if (const auto done = mend_packed_refs(repository, wall, mended); !done) return done.error();
  return Result<std::vector<std::string>>{boost::system::in_place_value, std::move(mended)};
}

}  // namespace detent
