// The branch `detent/tasks` as its one writer keeps it: QUEUE.md, which people edit as well, results, archive and
// HEARTBEAT.md.
//
// Commits are made from what the dispatcher says became of its tasks. A commit of somebody else's is taken in by
// meaning (queue_merge.h): what it asks for is handed out first, and merged once the dispatcher has made that durable,
// so that a crash in between asks again and comes to the same tasks.
//
// One thread at a time. Nothing here waits for the network.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ledger/board/task_remote.h"
#include "ledger/repository/branch.h"
#include "ledger/repository/lock.h"
#include "ledger/repository/ref_lock.h"
#include "ledger/tasks/archive.h"
#include "ledger/tasks/hand_edits.h"
#include "ledger/tasks/queue_update.h"
#include "ledger/tasks/result_file.h"

namespace detent {

/// Stands at the end of a text that is longer than QUEUE.md shows.
inline constexpr const char* kCutNote = "(cut here: `detent tasks show ";

class TaskBranch {
 public:
  struct Options {
    std::filesystem::path repository;
    std::string branch = "detent/tasks";
    Repository::Author author;
    std::string remote;  // a git URL, or empty: local only
    std::string ssh_command;
    double pushes_per_minute = 6;
    Millis push_deadline{60'000};
    Millis push_retry{10'000};  // after a failure; doubled each time
    Millis fetch_every{60'000};
    std::size_t most_sections = 1000;  // of QUEUE.md; further tasks come in when others have left
    std::size_t max_text = 64 << 10;   // bytes of a task's text in QUEUE.md
    ArchivePolicy archive;
    std::uint64_t low_water = 0;  // bytes that are to stay free on the disk: see ledger/repository/room.h
  };

  /// Opens or creates the repository. What cannot be read of the branch is set aside, and the branch begun anew. Fails
  /// where another process keeps this branch.
  static Result<std::unique_ptr<TaskBranch>> open(Options options, Now now);

  /// A task as it is now; `ended` (wall) once it is over.
  void changed(QueueTask task, Millis ended);
  /// How it ended. `stale`: by an attempt that no longer counts.
  void ended(const TaskResult& result, bool stale);
  /// Of results that are not committed yet.
  std::size_t waiting_bytes() const;
  void heartbeat(std::string markdown) { heartbeat_ = std::move(markdown); }
  /// Whether it is there already how the task ended, or how it ended later.
  Result<bool> has_result(const TaskResult& result) const;
  /// Tasks of QUEUE.md that are not over and not among `known`: the dispatcher's journal was lost, and they are to be
  /// taken in anew.
  Result<std::vector<HandEdit>> forgotten(const std::set<std::string>& known) const;

  struct Turn {
    std::vector<HandEdit> edits;     // to be made durable; then `edits_taken`
    std::vector<std::string> filed;  // tasks whose results were committed
    bool committed = false;
  };
  /// Commits what waits, and looks for what people did. An error says why nothing could be committed; what waits
  /// stays.
  Result<Turn> turn(Now now);
  /// What the last turn asked for is durable.
  void edits_taken();

  /// How long until `turn` has something to do by the passing of time.
  Millis wait(Millis mono) const;
  /// What is wrong in QUEUE.md, and with what was edited last.
  const std::vector<QueueFault>& faults() const { return faults_; }
  /// Why the remote lacks what is here, for people; empty: it does not.
  std::string remote_trouble() const { return remote_ ? remote_->trouble() : std::string(); }

 private:
  /// A commit of somebody else's that is to be taken in.
  struct Foreign {
    Commit commit;
    std::optional<Oid> base;  // the commit that both sides began with …
    std::optional<Oid> base_tree;
    std::optional<Millis> base_time;
    bool on_ours = false;         // … which is our last one, or there is none of ours
    bool taken = false;           // what it asks for is durable
    std::set<std::string> asked;  // ids of its new tasks
  };
  struct Draft {
    std::string queue;  // QUEUE.md as it is to be
    QueueTasks waiting;
    std::vector<std::pair<std::string, std::string>> files;  // path, content
    std::vector<Repository::Placed> placed;
    std::set<std::string> ids;  // of the tasks in it
    std::string message;
  };

  TaskBranch(Options options, FileLock lock, Repository repository, Millis mono);
  Result<> begin(Now now);
  Result<> look_for_foreign();
  Result<> put_back(const char* why);
  Result<QueueFile> queue_at(const std::optional<Oid>& tree) const;
  Result<std::optional<std::string>> file_at(const std::optional<Oid>& tree, const std::string& path) const;
  Result<QueueMerge> merge() const;
  std::string origin() const;
  Millis asked_at() const;
  Result<Draft> draft(Now now);
  Result<> archive(QueueFile& queue, Draft& draft, Now now);
  Result<> make_room_for_results(Draft& draft) const;
  std::string message(const Draft& draft) const;
  Result<bool> commit(Turn& turn, Now now);

  Options options_;
  FileLock lock_;
  Repository repository_;
  Branch branch_;
  RefLock ref_lock_;
  std::optional<TaskRemote> remote_;
  std::optional<Foreign> foreign_;
  std::vector<QueueFault> faults_;

  QueueTasks tasks_;                            // that changed
  std::map<std::string, Millis> ended_;         // tasks that are over, and when
  std::map<std::string, std::string> results_;  // by path
  std::string heartbeat_, heartbeat_there_;
  bool reopens_ = false;
};

}  // namespace detent
