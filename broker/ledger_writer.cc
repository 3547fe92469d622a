#include "broker/ledger_writer.h"

#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

#include "broker/dead_letters.h"
#include "ledger/audit/audit_log.h"
#include "proto/journal.pb.h"
#include "proto/json.h"
#include "proto/reader.h"
#include "proto/signal.pb.h"
#include "proto/signal_validator.h"

namespace detent {

namespace {

constexpr size_t kRemembered = 65'536;  // ids of the latest signals, for their receipts

constexpr std::string_view kAlarm = "ledger/";
constexpr Millis kGather{20};  // how long what was journalled may wait for more before it is looked at

uint64_t place_number(const RecordPosition& place) { return place.segment << 32 | place.offset; }

constexpr std::string_view kUnread = "journal-read";  // an alarm of its own, beside those of the log

/// The number of the first signal that the journal still holds; 0: none.
Result<uint64_t> first_seq(const Journal& journal) {
  const auto tail = journal.tail();
  for (;;) {
    const auto next = tail->next(journal.end());
    if (!next && is_lost(next.error())) continue;
    if (!next) return next.error();
    if (!*next) return 0;
    Reader outer((*next)->bytes);
    if (!outer.next() || outer.field() != Record::kAdmittedFieldNumber) continue;
    Reader reader(outer.bytes());
    while (reader.next()) {
      if (reader.field() == Admitted::kSeqFieldNumber) return reader.number();
    }
  }
}

}  // namespace

Result<std::unique_ptr<Follower>> LedgerWriter::open(const LedgerConfig& config, uint64_t low_water,
                                                     const Journal& journal, const Alarms::Standing& standing,
                                                     std::function<void(const Alarm&)> alarm) {
  AuditLog::Options options;
  options.repository = config.repository;
  options.remote = config.remote;
  options.low_water = low_water;
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
  options.journal_end = place_number({end.segment, static_cast<uint32_t>(end.offset), 0});
  options.gather = config.gather;
  options.author = {config.author_name, config.author_email};
  auto log = AuditLog::open(options, system_now());
  if (!log) return log.error();
  const uint64_t complete = (*log)->progress().complete_to;
  const RecordPosition from{complete >> 32, static_cast<uint32_t>(complete), 0};
  return std::unique_ptr<Follower>(new LedgerWriter(std::move(*log), journal.tail(from), std::move(alarm),
                                                    config.max_lag,
                                                    standing.contains(std::string(kAlarm) + std::string(kUnread))));
}

LedgerWriter::LedgerWriter(std::unique_ptr<AuditLog> log, std::unique_ptr<JournalTail> tail,
                           std::function<void(const Alarm&)> alarm, uint64_t max_lag, bool says_unread)
    : log_(std::move(log)),
      tail_(std::move(tail)),
      alarm_(std::move(alarm)),
      says_unread_(says_unread),
      ids_(kRemembered),
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

void LedgerWriter::add(const RecordPosition& place, std::string_view bytes) {
  Reader outer(bytes);
  if (!outer.next()) return;
  const Now now = system_now();
  if (outer.field() == Record::kAdmittedFieldNumber) {
    LedgerSignal signal;
    signal.place = place_number(place);
    Reader reader(outer.bytes());
    while (reader.next()) {
      switch (reader.field()) {
        case Admitted::kSeqFieldNumber:
          signal.seq = reader.number();
          break;
        case Admitted::kAtMsFieldNumber:
          signal.journalled = Millis{static_cast<int64_t>(reader.number())};
          break;
        case Admitted::kChannelsFieldNumber:
          signal.channels.push_back(reader.bytes());
          break;
        case Admitted::kSignalFieldNumber:
          signal.raw = reader.bytes();
          break;
        default:
          break;
      }
    }
    const SignalHeader head = read_header(signal.raw);
    const std::string id = Ulid::from_bytes(head.id).value_or(Ulid{}).text();
    const std::string reply =
        head.in_reply_to.empty() ? std::string() : Ulid::from_bytes(head.in_reply_to).value_or(Ulid{}).text();
    const std::string severity(severity_name(static_cast<int>(head.severity)));
    signal.id = id;
    signal.type = head.type;
    signal.source = head.source;
    signal.severity = severity;
    signal.needs_response = head.needs_response;
    for (const auto& label : head.labels) signal.labels.push_back(label);
    signal.thread = head.thread;
    signal.in_reply_to = reply;
    signal.created = Millis{head.created_ms};
    signal.expires = Millis{head.expires_ms};
    signal.title = payload_title(head.payload);
    signal.body = payload_body(head.payload);
    ids_[signal.seq % kRemembered] = id;
    last_seen_seq_ = signal.seq;
    log_->add(signal, now);
    return;
  }
  if (outer.field() != Record::kSettledFieldNumber) return;
  Record record;
  if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  const auto& settled = record.settled();
  LedgerReceipt receipt;
  receipt.delivery = settled.delivery();
  receipt.channel = settled.channel();
  switch (settled.state()) {
    case SettledRecord::DELIVERED:
      receipt.state = ReceiptState::delivered;
      break;
    case SettledRecord::UNKNOWN:
      receipt.state = ReceiptState::unknown;
      break;
    case SettledRecord::EXPIRED:
      receipt.state = ReceiptState::expired;
      break;
    case SettledRecord::DROPPED:
      receipt.state = ReceiptState::dropped;
      break;
    default:
      receipt.state = ReceiptState::dead;
      break;
  }
  if (settled.parts_size()) {
    receipt.message = settled.parts(0).message_id();
    receipt.link = settled.parts(0).link();
  }
  receipt.cause = settled.cause();
  receipt.time = Millis{settled.at_ms()};
  for (int i = 0; i < settled.seqs_size(); ++i) {
    receipt.place = place_number(place) + static_cast<uint64_t>(i);
    receipt.seq = settled.seqs(i);
    // An id that was overwritten by a later signal's is not said: the number names the signal all the same.
    receipt.id = receipt.seq + kRemembered > last_seen_seq_ ? std::string_view(ids_[receipt.seq % kRemembered]) : "";
    log_->add(receipt, now);
  }
}

bool LedgerWriter::feed() {
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
    if (std::exchange(says_unread_, false)) alarm_({std::string(kAlarm) + std::string(kUnread), true, true, {}, {}});
    if (!*next) {
      taken_up_ = journalled;
      return false;
    }
    taken_up_ += (*next)->bytes.size();
    add((*next)->place, (*next)->bytes);
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
    const bool more = feed();
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
    const bool more = feed();
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
