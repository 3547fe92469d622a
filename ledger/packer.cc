#include "ledger/packer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "ledger/git_command.h"
#include "ledger/text.h"

namespace detent {
namespace {

namespace fs = std::filesystem;
constexpr Millis kPoll{50};
constexpr auto kAbandoned = std::chrono::hours{1};

bool is_loose_folder(const std::string& name) {
  return name.size() == 2 && name.find_first_not_of("0123456789abcdef") == std::string::npos;
}

/// Calls `each` with all entries of a folder that may change, or vanish, meanwhile.
template <class Each>
void for_entries(const fs::path& folder, Each each) {
  std::error_code failed;
  for (fs::directory_iterator at{folder, failed}, end; !failed && at != end; at.increment(failed)) each(*at);
}

}  // namespace

Packer::~Packer() {
  if (lock_ >= 0) close(lock_);
}

Packer::Count Packer::count(const fs::path& repository) {
  Count count;
  for_entries(repository / "objects", [&](const fs::directory_entry& folder) {
    if (!is_loose_folder(folder.path().filename())) return;
    for_entries(folder.path(), [&](const fs::directory_entry&) { ++count.loose; });
  });
  for_entries(repository / "objects" / "pack", [&](const fs::directory_entry& file) {
    if (file.path().extension() == ".pack") ++count.packs;
  });
  return count;
}

bool Packer::lock() {
  if (lock_ < 0)
    lock_ = open((options_.repository / "detent-packing.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  return lock_ >= 0 && flock(lock_, LOCK_EX | LOCK_NB) == 0;
}

/// Removes what killed writers and packers left behind.
void Packer::sweep() {
  const auto now = fs::file_time_type::clock::now();
  const auto remove_old = [&](const fs::directory_entry& file) {
    const std::string name = file.path().filename();
    if (!name.starts_with("tmp_") && !name.starts_with(".tmp-")) return;
    std::error_code failed;
    const auto written = file.last_write_time(failed);
    if (!failed && now - written > kAbandoned) fs::remove(file.path(), failed);
  };
  for_entries(options_.repository / "objects", [&](const fs::directory_entry& folder) {
    if (is_loose_folder(folder.path().filename()) || folder.path().filename() == "pack")
      for_entries(folder.path(), remove_old);
  });
}

std::optional<Packer::Outcome> Packer::turn(Millis mono) {
  if (!child_) {
    if ((looked_ && commits_ < options_.look_after) || mono < not_before_) return std::nullopt;
    looked_ = true;
    commits_ = 0;
    const Count now = count(options_.repository);
    if (now.loose < options_.loose_most && now.packs < options_.packs_most) return std::nullopt;
    if (!lock()) {
      not_before_ = mono + options_.retry;
      commits_ = options_.look_after;
      return std::nullopt;
    }
    sweep();
    // Large blobs are batches, already compressed once, and are written on without a search for deltas.
    auto command = git_command(options_.repository,
                               {"-c", "pack.threads=1", "-c", "pack.windowMemory=" + options_.window_memory, "-c",
                                "core.bigFileThreshold=1m", "-c", "core.compression=1", "-c", "core.fsync=all", "-c",
                                "repack.writeBitmaps=false", "repack", "-q", "-d", "--geometric=2"});
    command.deadline = options_.deadline;
    command.held_file = lock_;
    auto child = Child::start(std::move(command), mono);
    if (!child) {
      not_before_ = mono + options_.retry;
      flock(lock_, LOCK_UN);
      return Outcome{false, child.error().what};
    }
    child_ = std::move(*child);
  }
  const auto exit = child_->poll(mono);
  if (!exit) return std::nullopt;
  child_.reset();
  flock(lock_, LOCK_UN);
  if (exit->code == 0 && !exit->timed_out) return Outcome{true, {}};
  not_before_ = mono + options_.retry;
  commits_ = options_.look_after;
  return Outcome{false, exit->timed_out ? "git repack did not end before its deadline" : one_line(exit->err, 300)};
}

std::optional<Millis> Packer::wait() const {
  if (child_) return kPoll;
  return std::nullopt;
}

}  // namespace detent
