#include "ledger/repository/fetch.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "ledger/repository/files.h"
#include "ledger/repository/loose.h"
#include "ledger/text.h"

namespace detent {
namespace {

namespace fs = std::filesystem;

/// A folder that is gone with this.
class Scratch {
 public:
  explicit Scratch(fs::path path) : path_{std::move(path)} { clear(); }
  ~Scratch() { clear(); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const fs::path& path() const { return path_; }

 private:
  void clear() const {
    std::error_code failed;
    fs::remove_all(path_, failed);
  }
  fs::path path_;
};

Result<> run(Child::Options command, const std::string& what) {
  auto child = Child::start(std::move(command), system_now().mono);
  if (!child) return child.error();
  const auto exit = child->wait();
  if (exit.timed_out) return Error{what + ": no answer before the deadline"};
  if (exit.code != 0) return Error{fmt::format("{}: {}", what, one_line(without_credentials(exit.err), 300))};
  return {};
}

/// The index last: by it a pack is seen.
Result<> take_packs(const fs::path& from, const fs::path& into) {
  std::error_code failed;
  fs::create_directories(into, failed);
  std::vector<fs::path> files;
  for (fs::directory_iterator at{from, failed}, end; !failed && at != end; at.increment(failed)) {
    if (at->path().filename().string().starts_with("pack-")) files.push_back(at->path());
  }
  std::sort(files.begin(), files.end(), [](const fs::path& a, const fs::path& b) {
    return std::pair{a.extension() == ".idx", a} < std::pair{b.extension() == ".idx", b};
  });
  for (const fs::path& file : files) {
    if (failed) break;
    fs::rename(file, into / file.filename(), failed);
  }
  if (failed) return system_error("cannot take up what was fetched", failed.value());
  return sync(into);
}

void set_damaged_objects_aside(const fs::path& repository) {
  const fs::path aside = repository / "detent-damaged-objects";
  std::vector<std::pair<fs::path, std::string>> damaged;
  std::error_code failed;
  for (fs::directory_iterator folder{repository / "objects", failed}, end; !failed && folder != end;
       folder.increment(failed)) {
    const std::string first = folder->path().filename();
    if (first.size() != 2) continue;
    for (fs::directory_iterator file{folder->path(), failed}; !failed && file != end; file.increment(failed)) {
      const std::string hex = first + file->path().filename().string();
      const auto loose = read_loose(repository, hex);
      if (!loose && loose.error().code == EBADMSG) damaged.emplace_back(file->path(), hex);
    }
  }
  for (const auto& [file, hex] : damaged) {
    fs::create_directories(aside, failed);
    fs::rename(file, aside / hex, failed);
    if (failed) spdlog::warn("ledger: cannot set aside {}: {}", file.string(), failed.message());
  }
}

}  // namespace

Result<> fetch_objects(const fs::path& repository, const Remote& remote, const std::string& branch, Millis deadline) {
  const Scratch scratch{repository / "detent-fetching.git"};
  const std::string what = "cannot fetch " + branch + " from the remote";
  auto make = git_command(repository, {"init", "-q", "--bare", scratch.path().string()});
  if (const auto made = run(std::move(make), what); !made) return made;
  const std::string ref = "refs/heads/" + branch;
  auto fetch = git_command(scratch.path(),
                           {"-c", "fetch.unpackLimit=1", "-c", "core.fsync=all", "fetch", "-q", "--no-tags",
                            "--no-write-fetch-head", "detent", "+" + ref + ":" + ref},
                           &remote);
  fetch.deadline = deadline;
  if (const auto fetched = run(std::move(fetch), what); !fetched) return fetched;
  if (const auto taken = take_packs(scratch.path() / "objects/pack", repository / "objects/pack"); !taken) return taken;
  set_damaged_objects_aside(repository);
  return {};
}

}  // namespace detent
