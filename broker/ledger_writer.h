// Carries the journal into the git ledger, on a thread of its own that follows the journal as `tail -f` does. Only the
// place up to which the journal is synced crosses to it, and how far it got comes back.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "broker/follower.h"
#include "broker/ledger_feed.h"
#include "broker/ledger_pace.h"
#include "journal/journal.h"
#include "ledger/config.h"

namespace detent {

class AuditLog;

class LedgerWriter : public Follower {
 public:
  /// Opens the ledger. `low_water`: of the broker, in bytes. `standing`: alarms that were raised and are not over;
  /// those of others are passed over. `alarm` is called on the writer's thread.
  static Result<std::unique_ptr<Follower>> open(const LedgerConfig& config, uint64_t low_water, const Journal& journal,
                                                uint64_t next_seq, const Alarms::Standing& standing,
                                                std::function<void(const Alarm&)> alarm);
  /// Commits what is journalled, within a bound of time, and ends.
  ~LedgerWriter() override;

  /// The journal is synced up to here, by `bytes` more than before. Any thread.
  void advance(const LogPosition& synced, uint64_t bytes) override;
  /// STATUS.md as it should read. Any thread.
  void status(std::string markdown) override;

  /// All records of segments before this one are in the ledger. Any thread.
  uint64_t complete_segment() const override { return complete_segment_; }
  uint64_t last_seq() const override { return last_seq_; }
  uint64_t commits() const override { return commits_; }

 private:
  LedgerWriter(std::unique_ptr<AuditLog> log, std::unique_ptr<JournalTail> tail,
               std::function<void(const Alarm&)> alarm, uint64_t max_lag, bool says_unread);
  void run(const std::stop_token& stop);
  /// Hands the log what was journalled; true where there may be more. What cannot be read at the moment is waited for.
  bool take_up();
  void cannot_read(const std::string& why);
  bool gives_way();

  std::unique_ptr<AuditLog> log_;
  std::unique_ptr<JournalTail> tail_;
  std::function<void(const Alarm&)> alarm_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  LogPosition synced_;
  uint64_t journalled_ = 0;  // bytes, since it began
  std::string status_;
  bool moved_ = false;
  bool waits_ = false;        // the thread, for a move
  bool unread_ = false;       // the journal could not be read the last time
  bool says_unread_ = false;  // and an alarm stands about it
  LedgerFeed feed_;
  LedgerPace pace_;
  uint64_t taken_up_ = 0;  // bytes of `journalled_`, about: records without their frames, until it has caught up
  std::atomic<uint64_t> complete_segment_ = 0, last_seq_ = 0, commits_ = 0;
  std::jthread thread_;  // last: joined before what it uses goes
};

}  // namespace detent
