#include "ledger/repository/packer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "ledger/repository/git_command.h"
#include "ledger/repository/room.h"
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

/// Removes what killed writers and packers left behind; only who holds the lock may.
///
/// A packer that was killed between writing a pack and giving it its name leaves ".tmp-<pid>-pack-<hash>.pack" with its
/// index. git reads that as any other pack, and the next repack drops the loose objects that are in it: it may be the
/// only place that holds them, and is given its name instead.
void Packer::sweep() {
  const auto now = fs::file_time_type::clock::now();
  const auto abandoned = [&](const fs::path& path) {
    std::error_code failed;
    const auto written = fs::last_write_time(path, failed);
    return !failed && now - written > kAbandoned;
  };
  const fs::path objects = options_.repository / "objects";
  std::vector<fs::path> unnamed;
  const auto look_at = [&](const fs::directory_entry& file) {
    const std::string name = file.path().filename();
    const bool unnamed_pack = name.starts_with(".tmp-");
    if ((!unnamed_pack && !name.starts_with("tmp_")) || !abandoned(file.path())) return;
    std::error_code failed;
    if (unnamed_pack && fs::exists(fs::path{file.path()}.replace_extension(".idx"), failed)) {
      unnamed.push_back(file.path());
    } else if (fs::is_regular_file(file.path(), failed)) {
      fs::remove(file.path(), failed);
    }
  };
  for_entries(objects, [&](const fs::directory_entry& entry) {
    const std::string name = entry.path().filename();
    if (is_loose_folder(name) || name == "pack") {
      for_entries(entry.path(), look_at);
    } else {
      look_at(entry);
    }
  });
  // The index last: by it a pack is seen.
  std::sort(unnamed.begin(), unnamed.end(), [](const fs::path& a, const fs::path& b) {
    return std::pair{a.extension() == ".idx", a} < std::pair{b.extension() == ".idx", b};
  });
  for (const fs::path& path : unnamed) {
    const std::string name = path.filename();
    const auto pack = name.find("pack-");
    std::error_code failed;
    if (pack != std::string::npos) fs::rename(path, path.parent_path() / name.substr(pack), failed);
  }
}

std::optional<Packer::Outcome> Packer::turn(Millis mono) {
  if (!child_) {
    if ((looked_ && commits_ < options_.look_after) || mono < not_before_) return std::nullopt;
    looked_ = true;
    commits_ = 0;
    const Count now = count(options_.repository);
    if (now.loose < options_.max_loose && now.packs < options_.max_packs) return std::nullopt;
    if (!check_room(options_.repository, room_for_packing(options_.low_water)) || !lock()) {
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
    if (!child) return give_up(child.error().what, mono);
    child_ = std::move(*child);
  }
  if (const auto room = check_room(options_.repository, room_for_packing(options_.low_water)); !room) {
    child_.reset();
    remove_unfinished();
    return give_up(room.error().what, mono);
  }
  const auto exit = child_->poll(mono);
  if (!exit) return std::nullopt;
  child_.reset();
  flock(lock_, LOCK_UN);
  if (exit->code == 0 && !exit->timed_out) return Outcome{true, {}};
  return give_up(exit->timed_out ? "git repack did not end before its deadline" : one_line(exit->err, 300), mono);
}

Packer::Outcome Packer::give_up(std::string reason, Millis mono) {
  flock(lock_, LOCK_UN);
  not_before_ = mono + options_.retry;
  commits_ = options_.look_after;
  return {false, std::move(reason)};
}

/// Removes the pack that a packer of ours was writing when it was stopped; only who holds the lock may.
void Packer::remove_unfinished() {
  std::vector<fs::path> unfinished;
  for_entries(options_.repository / "objects/pack", [&](const fs::directory_entry& file) {
    const std::string name = file.path().filename();
    if (name.starts_with("tmp_pack_") || name.starts_with("tmp_idx_")) unfinished.push_back(file.path());
  });
  for (const fs::path& path : unfinished) {
    std::error_code failed;
    fs::remove(path, failed);
  }
}

std::optional<Millis> Packer::wait() const {
  if (child_) return kPoll;
  return std::nullopt;
}

}  // namespace detent
