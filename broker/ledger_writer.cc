#include "broker/ledger_writer.h"

#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

#include "broker/admitted.h"
#include "ledger/audit/audit_log.h"

namespace detent {

namespace {

constexpr std::string_view kAlarm = "ledger/";
constexpr Millis kGather{20};  // how long what was journalled may wait for more before it is looked at

constexpr std::string_view kUnread = "journal-read";  // an alarm of its own, beside those of the log

/// The number of the first signal that the journal still holds; 0: none.
Result<uint64_t> first_seq(const Journal& journal) {
  const auto tail = journal.tail();
  for (;;) {
    const auto next = tail->next(journal.end());
    if (!next && is_lost(next.error())) continue;
    if (!next) return next.error();
    if (!*next) return 0;
    if (const auto admitted = read_admitted((*next)->bytes)) return admitted->seq;
  }
}

}  // namespace

Result<std::unique_ptr<Follower>> LedgerWriter::open(const LedgerConfig& config, uint64_t low_water,
                                                     const Journal& journal, uint64_t next_seq,
                                                     const Alarms::Standing& standing,
                                                     std::function<void(const Alarm&)> alarm) {
  AuditLog::Options options;
  options.repository = config.repository;
  options.remote = config.remote;
  options.low_water = low_water;
  options.next_seq = next_seq;
  options.pushes_per_minute = config.pushes_per_minute;
  options.push_deadline = config.push_timeout;
  options.limits.receipts_wait = config.receipts_within;
  options.limits.gather = config.gather_every;
  for (const auto& [name, alarm] : standing) {
    if (name.starts_with(kAlarm) && name != std::string(kAlarm) + std::string(kUnread))
      options.standing.push_back(name.substr(kAlarm.size()));
  }
  // A segment leaves the journal only when all of it is in the ledger.
  const auto first = first_seq(journal);
  if (!first) return first.error();
  if (*first) options.known_seq = *first - 1;
  const LogPosition end = journal.end();
  options.journal_end = LedgerFeed::place_number({end.segment, static_cast<uint32_t>(end.offset), 0});
  options.gather = config.gather;
  options.author = {config.author_name, config.author_email};
  auto log = AuditLog::open(options, system_now());
  if (!log) return log.error();
  auto tail = journal.tail(LedgerFeed::position((*log)->progress().complete_to));
  return std::unique_ptr<Follower>(new LedgerWriter(std::move(*log), std::move(tail), std::move(alarm), config.max_lag,
                                                    standing.contains(std::string(kAlarm) + std::string(kUnread))));
}

LedgerWriter::LedgerWriter(std::unique_ptr<AuditLog> log, std::unique_ptr<JournalTail> tail,
                           std::function<void(const Alarm&)> alarm, uint64_t max_lag, bool says_unread)
    : log_(std::move(log)),
      tail_(std::move(tail)),
      alarm_(std::move(alarm)),
      says_unread_(says_unread),
      feed_(*log_),
      pace_(max_lag),
      complete_segment_(log_->progress().complete_to >> 32),
      last_seq_(log_->progress().last_seq),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

LedgerWriter::~LedgerWriter() = default;

void LedgerWriter::advance(const LogPosition& synced, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  journalled_ += bytes;
  synced_ = synced;
  if (!std::exchange(moved_, true) && waits_) changed_.notify_one();
}

void LedgerWriter::status(std::string markdown) {
  const std::lock_guard lock(mutex_);
  status_ = std::move(markdown);
}

bool LedgerWriter::take_up() {
  LogPosition synced;
  uint64_t journalled = 0;
  std::string status;
  {
    const std::lock_guard lock(mutex_);
    synced = synced_;
    journalled = journalled_;
    moved_ = false;
    status = std::exchange(status_, {});
  }
  if (!status.empty()) log_->status(std::move(status));
  while (!log_->full()) {
    const auto next = tail_->next(synced);
    if (!next) {
      if (!is_lost(next.error())) {
        cannot_read(next.error().what);
        return false;
      }
      spdlog::error("the ledger cannot read the journal: {}", next.error().what);
      continue;  // it goes on behind the damage
    }
    unread_ = false;
    if (std::exchange(says_unread_, false))
      alarm_({std::string(kAlarm) + std::string(kUnread), true, true, "the ledger can read the journal", {}});
    if (!*next) {
      taken_up_ = journalled;
      return false;
    }
    taken_up_ += (*next)->bytes.size();
    feed_.add((*next)->origin, (*next)->bytes, system_now());
  }
  return true;
}

void LedgerWriter::cannot_read(const std::string& why) {
  unread_ = true;
  if (std::exchange(says_unread_, true)) return;
  spdlog::error("the ledger cannot read the journal, and tries again: {}", why);
  alarm_({std::string(kAlarm) + std::string(kUnread), false, true, "the journal cannot be read: " + why,
          "Nothing is lost: it goes on where it stopped once the journal can be read."});
}

bool LedgerWriter::gives_way() {
  const std::lock_guard lock(mutex_);
  return pace_.gives_way(system_now().mono, journalled_, journalled_ - std::min(taken_up_, journalled_));
}

void LedgerWriter::run(const std::stop_token& stop) {
  pthread_setname_np(pthread_self(), "ledger");
  // Publishers come first: this thread has all the time in the world, until the broker waits for it to end. (Without
  // the privilege to be nicer to itself again it goes on as it was.)
  const auto self = static_cast<id_t>(gettid());
  setpriority(PRIO_PROCESS, self, 19);
  const std::stop_callback hurry(stop, [self] { setpriority(PRIO_PROCESS, self, 0); });
  Now last_complaint{};
  const auto publish = [this] {
    const auto progress = log_->progress();
    complete_segment_ = progress.complete_to >> 32;
    last_seq_ = progress.last_seq;
    commits_ = log_->figures().commits;
    for (const auto& alarm : log_->take_alarms()) {
      alarm_({std::string(kAlarm) + std::string(name_of(alarm.kind)), alarm.resolved, lasts(alarm.kind), alarm.text,
              alarm.remedy});
    }
  };
  while (!stop.stop_requested()) {
    if (gives_way()) {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, stop, LedgerPace::kLook, [] { return false; });
      continue;
    }
    const bool more = take_up();
    const auto turned = log_->turn(system_now());
    if (!turned && system_now().mono - last_complaint.mono > Millis{60'000}) {
      last_complaint = system_now();
      spdlog::error("the ledger cannot commit: {}", turned.error().what);
    }
    publish();
    if (turned && (more || *turned)) continue;
    std::unique_lock lock(mutex_);
    waits_ = true;
    changed_.wait_for(lock, stop,
                      std::min(log_->wait(system_now()), turned && !unread_ ? Millis{60'000} : Millis{1'000}),
                      [this] { return moved_; });
    waits_ = false;
    // Whoever publishes one signal after another is not to wake this thread for each.
    changed_.wait_for(lock, stop, kGather, [] { return false; });
  }
  // What a killed git left locked is free within seconds.
  const Millis until = system_now().mono + Millis{10'000};
  for (;;) {
    const bool more = take_up();
    const auto flushed = log_->flush(system_now());
    if (flushed && !more && !unread_) break;
    if (system_now().mono >= until) {
      spdlog::error("the ledger could not be brought up to date: {}", !flushed  ? flushed.error().what
                                                                      : unread_ ? "the journal cannot be read"
                                                                                : "it is too far behind");
      break;
    }
    if (flushed && !unread_) continue;
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, Millis{250});
  }
  publish();
}

}  // namespace detent
