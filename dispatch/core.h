// The dispatcher's mind: which tasks there are, who runs them, and what became of them. A plain state machine without
// I/O and without a clock: what the broker and the workers say goes in, with the time; records to be made durable and
// messages to workers come out. Nothing leaves before what it speaks of is durable. One thread.
//
// A task is run by one attempt at a time, as far as the dispatcher believes: an attempt whose worker has not renewed
// its lease is given up, and the next one has a higher epoch. Only the end of the last attempt takes effect.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bus/sessions.h"
#include "dispatch/queue.h"
#include "journal/batch.h"
#include "journal/id_window.h"
#include "proto/signal_validator.h"

namespace detent {

class AttemptId;
class AttemptEnded;
class Leases;
class TaskEnded;
class TaskRecord;
class TaskSnapshot;
class TaskSubmitted;

/// A question of the command line; whoever runs the core answers with `answer`.
struct TaskQuestion {
  uint64_t session = 0;
  uint64_t request = 0;
  std::string json;
};

/// A worker whose session is open.
struct Worker {
  uint64_t session = 0;
  std::string name, version;
  uint64_t instance = 0;
  Queue::Offer offer;
  uint32_t free = 0;  // attempts that may be given to it
  bool draining = false;
  bool reported = false;
  Millis heard{0};
};

class Dispatch {
 public:
  struct Options {
    std::string server = "detent-dispatch";
    Millis ping_every{2000};
    size_t max_sessions = 256;
    Millis lease{60'000};
    Millis renew{10'000};
    Millis start_within{30'000};   // of an attempt that its worker has not mentioned
    Millis first_backoff{15'000};  // after a failed attempt; doubled with each, up to an hour
    uint32_t max_losses = 5;       // attempts whose worker went, after which a task is given up
    Millis runner_within{10'000};  // for which a runner that no connected worker has is waited for
    size_t keep_finished = 1000;
    bool files = false;            // how tasks ended is kept in git: whoever runs the core calls `filed`
    size_t max_output = 64 << 10;  // of what a running attempt prints, kept to be shown
  };

  Dispatch(Options options, SignalValidator& validator, IdWindow& ids, uint64_t seed);
  ~Dispatch();
  Dispatch(const Dispatch&) = delete;
  Dispatch& operator=(const Dispatch&) = delete;

  // ---- recovery, in this order
  void restore(const TaskSnapshot& snapshot);
  void replay(const TaskRecord& record, const RecordPosition& position, bool after_snapshot);
  /// How many tasks the journal has lost, by the gaps in their numbers.
  uint64_t recovered(Now now);

  // ---- what comes in
  /// A `task.requested` as the broker delivered it, or a schedule made it. Known ones are taken once. An error where
  /// whether it is known cannot be told at the moment.
  Result<void> submit(std::string_view signal, Now now);
  void receive(std::string_view peer, std::span<char> message, Now now);
  void gone(std::string_view peer, Now now) { sessions_.gone(peer, now); }
  /// It runs no more, or never will. False where it is not known, or over.
  bool cancel(const Ulid& task, Now now);
  /// A task that did not succeed is queued again, as if it had not run yet; its next attempt has the next epoch. An
  /// error where it is not over, has succeeded, or cannot run.
  Result<void> retry(const Ulid& task, Now now);
  /// The broker has the signal that tells how the task ended: `end` is the number of that end.
  void told(const Ulid& task, uint32_t end);
  /// Its result is in git.
  void filed(const Ulid& task);
  /// The task is to ask for what this signal says, from its next attempt on. False where it is not known, or over.
  bool revise(const Ulid& task, std::string_view signal, Now now);
  /// How the task ended was read by whom it was for: `end` is the number of that end. False where that is not how it
  /// stands, or was read before.
  bool mark_read(const Ulid& task, uint32_t end);
  /// The prompt of an assignment could not be read. `lost`: it never will be.
  void unreadable(const Ulid& task, uint32_t epoch, bool lost, std::string_view why, Now now);
  void answer(const TaskQuestion& question, std::string_view json, std::string_view error);
  void drain() { sessions_.drain(), draining_ = true; }

  // ---- a turn
  void tick(Now now);
  Millis deadline() const;
  /// Gives ready tasks to workers that are free.
  void flush(Now now);
  /// Asks every worker for a PONG.
  void ping_workers();

  bool has_work() const { return !under_way_ && (!batch_.empty() || !held_.empty()); }
  size_t unsynced_bytes() const { return batch_.bytes(); }
  /// A record that is not about a task: durable with what is decided beside it.
  void keep(const TaskRecord& record);
  Batch take_work();
  void add_to(TaskSnapshot& snapshot) const;
  /// The work taken last is durable, its records' offsets relative to `base`.
  void journalled(uint64_t segment, uint32_t base, Now now);

  /// Sealed frames, to be sent.
  std::vector<std::pair<std::string, std::string>> outgoing;  // peer, frame
  /// Durable assignments, whose prompts are in the journal: whoever reads them calls `assign`.
  struct Assigned {
    uint64_t session = 0;
    Ulid task;
    uint32_t epoch = 0;
    RecordPosition at;
  };
  std::vector<Assigned> assigned;
  void assign(const Assigned& assigned, std::string_view signal);
  std::vector<TaskQuestion> questions;
  /// Tasks whose durable state is another since this was emptied last, and ends of attempts that no longer counted.
  std::set<Ulid> changed;
  /// Whether a record about the task waits to be durable.
  bool is_undurable(const Ulid& task) const { return changed_.contains(task) || changed_under_way_.contains(task); }
  struct StaleEnd {
    Ulid task;
    uint32_t epoch = 0;
    RecordPosition at;
  };
  std::vector<StaleEnd> stale;
  /// Sessions of workers that have reported, since it was taken.
  std::vector<uint64_t> reports;

  // ---- to look at
  const Queue& queue() const { return queue_; }
  const std::map<uint64_t, Worker>& workers() const { return workers_; }
  const Sessions& sessions() const { return sessions_; }
  /// Tasks that are over, of which the broker has not been told.
  const std::set<Ulid>& untold() const { return untold_; }
  struct Output {
    std::string text;      // the end of what it has printed
    uint64_t printed = 0;  // bytes in all
  };
  /// Of an attempt that runs.
  const Output& output(const Ulid& task) const;
  /// Segments in which something lies that is still needed.
  std::set<uint32_t> segments_in_use() const { return queue_.segments_in_use(); }
  struct Counters {
    uint64_t submitted = 0, repeats = 0, attempts = 0, lost = 0, stale = 0;
  };
  const Counters& counters() const { return counters_; }
  Millis lease() const { return options_.lease; }

 private:
  /// To be sent once what is appended so far is durable.
  struct Held {
    uint64_t session = 0;
    uint32_t field = 0;
    std::string body;
    std::optional<Assigned> assignment;
  };
  struct Fresh {  // a record of the batch, of which a task knows no place yet
    enum class Holds { Prompt, End, StaleEnd };
    Holds holds = Holds::Prompt;
    Ulid task;
    uint32_t number = 0;  // of the end; of one that is stale the epoch
    uint32_t offset = 0, length = 0;
  };

  Sessions::Rules rules(SignalValidator& validator);
  void hold(uint64_t session, uint32_t field, std::string body) {
    held_.push_back({session, field, std::move(body), {}});
  }
  void append(const TaskRecord& record, const Task& task);
  /// A record of which something is read again: it is known where it lies once it is durable.
  void append(const TaskRecord& record, const Task& task, Fresh::Holds holds, uint32_t number = 0);

  /// Whether a later life of the worker is here: what this one said is late, or it is another of the same name.
  bool is_replaced(const Worker& worker) const;
  void on_report(const Session& session, std::string_view body, Now now);
  void on_output(const Session& session, std::string_view body, Now now);
  void on_ended(const Session& session, std::string_view body, Now now);
  Leases terms() const;
  static void set(AttemptId& attempt, const Task& task);
  /// Gives the task's attempt to the worker, once more where it has been.
  void send_assignment(const Task& task, uint64_t session);
  void give(Task& task, Worker& worker, Now now);

  /// `for_good`: no other attempt follows.
  void end_attempt(Task& task, AttemptEnded ended, Now now, bool for_good = false);
  void take_end(Task& task, const TaskEnded& record, Now now);
  void take_retry(Task& task, Now now);
  void keep_stale(const Task& task, AttemptEnded ended, const std::string& worker, Now now);
  void lose(Task& task, std::string_view why, Now now);
  void fail(Task& task, std::string_view why, Now now);
  void fail_blocked(Now now);
  void fail_without_runner(Now now);

  Task task_of(const TaskSubmitted& submitted) const;
  void replay_submitted(const TaskSubmitted& submitted, const RecordPosition& position, bool after_snapshot);
  void replay_revised(const TaskSubmitted& revised, const RecordPosition& position, bool after_snapshot);
  void restore_state(Task& task, const std::string& encoded);

  const Options options_;
  IdWindow& ids_;
  Counters counters_;
  Batch batch_;
  Sessions sessions_;
  Queue queue_;
  std::map<uint64_t, Worker> workers_;  // by session
  std::map<Ulid, Output> output_;       // of running attempts
  std::set<Ulid> untold_;
  std::set<std::string, std::less<>> runners_;  // that workers had since the start, also those who are away
  uint64_t next_number_ = 1, missing_ = 0;
  Now started_{};
  Millis next_sweep_{0};
  bool draining_ = false;

  std::vector<Held> held_, held_under_way_;
  std::vector<Fresh> fresh_, fresh_under_way_;
  std::set<Ulid> changed_, changed_under_way_;
  bool under_way_ = false;

  struct Past;
  std::unique_ptr<Past> past_;  // until `recovered`
};

}  // namespace detent
