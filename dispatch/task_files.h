// Keeps `detent/tasks` beside the queue: what becomes of tasks goes into QUEUE.md and RESULTS/, and what people edit in
// QUEUE.md comes back as tasks. Git is worked on off the loop; a git that is slow, broken or full costs the queue
// nothing, and is brought up to date when it can be.
//
// All of it is called on the loop's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/redact.h"
#include "dispatch/core.h"
#include "host/executor.h"
#include "ledger/board/task_branch.h"
#include "proto/signal_builder.h"

namespace detent {

class TaskFiles {
 public:
  TaskFiles(TaskBranch::Options options, Patterns secrets, Executor& executor, Dispatch& core, SignalBuilder& builder);
  ~TaskFiles();

  /// All tasks are known: the files are brought up to date with them.
  void recovered(Journal& journal, Now now);
  /// Has what changed written, where nothing is being written.
  void turn(Now now);
  Millis deadline() const;

  /// Whether tasks of hand edits wait to be durable, in the batch that is taken next.
  bool awaits_sync() const { return edits_ == Edits::Given; }
  void work_taken();
  void journalled();

  /// What is wrong in QUEUE.md, a line each.
  const std::vector<std::string>& faults() const { return faults_; }
  /// Why git is not up to date; empty: it is, or is about to be.
  const std::string& trouble() const { return trouble_; }

 private:
  enum class Edits { None, Unasked, Given, UnderWay, Durable };
  class Clerk;  // works on git, off the loop
  struct Item;
  struct Job;
  struct Done;

  Item item_of(const Task& task) const;
  std::string heartbeat(Now now);
  void take(Done done, Now now);
  void ask(Now now);
  /// Whether it is done, or never can be; else it is tried again.
  bool apply(const HandEdit& edit, Now now);
  bool ask_for(const HandEdit& edit, Now now);
  void say_is_over(const HandEdit& edit);

  Executor& executor_;
  Dispatch& core_;
  SignalBuilder& builder_;
  std::shared_ptr<Clerk> clerk_;
  std::unique_ptr<JournalReader> bodies_;
  std::set<Ulid> changed_;
  bool busy_ = false, began_ = false;
  Edits edits_ = Edits::None;
  std::vector<HandEdit> unasked_;  // that are still to be done
  Millis ask_at_{0};
  Millis not_before_{0}, next_{0}, next_heartbeat_{0};
  struct Seen {
    Millis wall{0};
    std::string about;
  };
  std::map<std::string, Seen> workers_;  // since the start
  std::vector<std::string> faults_;
  std::string trouble_;
};

}  // namespace detent
