// Which tasks there are and which is to run next. Plain data: records and messages are the core's.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dispatch/task.h"

namespace detent {

class Queue {
  struct Sooner {
    bool operator()(const Task* a, const Task* b) const {
      return a->priority != b->priority ? a->priority > b->priority : a->number < b->number;
    }
  };

 public:
  /// What a worker can run.
  struct Offer {
    std::vector<std::string> runners;
    Labels labels;
  };

  /// `files`: how tasks ended is to be in git before they may be forgotten.
  Queue(size_t keep_finished, bool files) : keep_finished_(keep_finished), files_(files) {}

  Task* find(const Ulid& id);
  const Task* find(const Ulid& id) const { return const_cast<Queue*>(this)->find(id); }
  /// In the order in which they came.
  const std::map<uint64_t, Task*>& all() const { return by_number_; }
  const auto& running() const { return running_; }
  size_t queued() const { return ready_ + waiting_; }

  /// A task that was not known; it is in no queue before `enqueue`.
  Task& add(Task task);
  /// It is to run as soon as it may: at once, or when its time has come and what it waits for has succeeded.
  void enqueue(Task& task, Now now);
  /// It runs; `task.lease` is set.
  void began(Task& task);
  /// It is over; `task.last` says how. Those that wait for it are ready, or `blocked`.
  void finished(Task& task, Now now);
  /// One that is over is to run again after all; it is in no queue before `enqueue`.
  void reopen(Task& task);
  /// Where its prompt lies in the journal, and its last attempt's result.
  void lies_at(Task& task, const RecordPosition& at);
  void ended_at(Task& task, const RecordPosition& at);
  /// Another attempt's end is to take the place of this one.
  void forget_end(Task& task);
  /// Segments in which prompts and results lie.
  std::set<uint32_t> segments_in_use() const;

  /// Of a task that is over: the broker has heard of it, or git; once both have, `forget` may take it.
  void told(Task& task);
  void filed(Task& task);
  /// Forgets the oldest of these, but for as many as are kept.
  void forget();
  /// What it asks for takes the place of what the task asked for. It is queued anew where it is queued.
  void revise(Task& task, Task asked, Now now);

  /// The one to run next of those that are ready and fit the offer; null: none.
  Task* best(const Offer& offer);
  /// Takes up those whose time has come.
  void tick(Now now);
  /// When `tick` has something to do by the monotonic clock; a wall clock is looked at whenever it is called.
  Millis deadline() const { return retry_.empty() ? Millis::max() : retry_.begin()->first; }

  /// Tasks that cannot run any more, since one that they wait for ended otherwise than well.
  std::vector<Task*> blocked() const { return {blocked_.begin(), blocked_.end()}; }
  /// What a waiting task waits for that is not over, or did not succeed; none: nothing.
  std::optional<Ulid> waits_for(const Task& task) const;
  /// Why it does not run yet, in words: "waits for 01J…", "not before 14:00"; empty: it is ready, or not queued.
  std::string why_waiting(const Task& task, Now now) const;
  /// Ready tasks of runners that none of these offers has.
  std::vector<Task*> without_runner(const std::set<std::string, std::less<>>& runners) const;

 private:
  /// Ready tasks that ask for the same.
  struct Lane {
    std::string runner;
    Labels needs;
    std::set<Task*, Sooner> ready;
  };

  void leave(Task& task);
  void count_segment(const RecordPosition& at, int64_t change);
  void wake(std::multimap<Millis, Ulid>& waiting, Millis time, Now now);

  const size_t keep_finished_;
  const bool files_;
  std::map<Ulid, std::unique_ptr<Task>> tasks_;
  std::map<uint64_t, Task*> by_number_;
  std::map<std::string, Lane> lanes_;  // by what they ask for
  size_t ready_ = 0, waiting_ = 0;
  std::set<Task*, Sooner> running_;
  std::multimap<Millis, Ulid> retry_;       // monotonic
  std::multimap<Millis, Ulid> not_before_;  // wall
  std::multimap<Ulid, Ulid> dependents_;    // of a task that has not ended, or is not known (yet)
  std::set<Task*, Sooner> blocked_;
  std::map<uint64_t, uint64_t> in_segment_;  // how much lies in each
  std::deque<Task*> finished_;               // and told, oldest first
};

}  // namespace detent
