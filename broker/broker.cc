#include "broker/broker.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/json.hpp>
#include <random>
#include <utility>

#include "base/redact.h"
#include "base/units.h"
#include "base/version.h"
#include "broker/admin.h"
#include "broker/records.h"
#include "http/server.h"

namespace detent {

namespace {

constexpr size_t kBite = 1 << 20;  // bytes read from the sockets before the rest of a turn
constexpr size_t kBiteMessages = 1024;
constexpr Millis kHasty{10'000};                 // segments that fill faster than this are made ready in haste
constexpr std::string_view kDamage = "damage/";  // before a file's name: an alarm
constexpr Millis kGoodAgain{60'000};             // writes that go well for so long after a failed one end its alarm
constexpr Millis kBetweenLooks{100};             // for lost consumers: many short connections come and go
constexpr int kLooks = 2;                        // after each: its pipe may outlive the connection by a moment
constexpr size_t kFillWhileSyncing = 1 << 20;    // appended behind a sync under way, from which on no more is read
// So few bytes are synced in a moment, over which the loop does not fall asleep: to do so and be woken takes a virtual
// core a third of what the publisher waits (bench: "one publish at a time").
constexpr uint64_t kLookAtDisk = 8 << 20;  // bytes appended, after which the disk's room is asked for
constexpr Millis kAppendAgain{250};
constexpr size_t kLittle = 4096;
constexpr std::chrono::microseconds kAwake{300};

SignalValidator::Mask mask_of(const Config& config) {
  auto patterns = Patterns::compile(config.redact);
  if (!patterns) throw Failure(patterns.error().what);
  return [patterns = std::move(*patterns)](std::span<char> text) { return redact(text, patterns); };
}

std::string state_path(const Config& config, const char* name) { return (config.state / name).string(); }

uint64_t fresh_seed() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

template <class T>
T value_or_throw(Result<T> result) {
  if (!result) throw Failure(result.error().what);
  return std::move(*result);
}

}  // namespace

Broker::Broker(Config config, Disk& disk)
    : config_(std::move(config)),
      disk_(disk),
      validator_(mask_of(config_)),
      socket_(config_.broker.listen),
      now_(system_now()),
      started_(now_) {
  recover();
  listen_http();
}

Broker::~Broker() = default;

void Broker::recover() {
  if (auto made = disk_.make_directory(config_.state.string()); !made) throw Failure(made.error().what);
  ids_ = std::make_unique<IdWindow>(value_or_throw(IdFiles::open(
      disk_, state_path(config_, "ids"), [this](const IdDamage& damage) { damage_[damage.file] = damage.why; })));
  Core::Options options;
  options.backlog_bytes = config_.broker.max_backlog.bytes;
  options.backlog_age = config_.broker.max_backlog.age;
  options.max_sessions = config_.broker.max_connections;
  options.broker = std::string("detent-broker ") + kVersion;
  options.channels = config_.channels();
  options.expires = [this](std::string_view type) {
    for (const auto& rule : config_.expires) {
      if (glob_matches(rule.type, type)) return rule.after;
    }
    return Millis{int64_t{validator_.expires_after(type)} * 1000};
  };
  core_ = std::make_unique<Core>(options, value_or_throw(Router::compile(config_)), validator_, *ids_, fresh_seed());
  for (const auto& note : core_->router().notes()) spdlog::info("{}", note);

  JournalOptions journal_options;
  journal_options.segment_bytes = config_.broker.segment;
  journal_options.reserve_bytes = std::min<uint64_t>(config_.broker.segment, 64 * kMiB);
  journal_options.low_water = config_.broker.low_water;
  JournalVisitor visitor;
  visitor.snapshot = [this](std::string_view bytes) { core_->restore(bytes); };
  visitor.record = [this](const RecordPosition& place, std::string_view bytes, bool after) {
    core_->replay(bytes, place, after);
  };
  visitor.damage = [this](const Damage& damage) { damage_[damage.file] = damage.why; };
  const std::string directory = state_path(config_, "journal");
  // The ids of sealed segments are in files of their own, so their records need not be remembered again.
  ids_->look(value_or_throw(segments_in(disk_, directory)));
  journal_ = value_or_throw(Journal::open(disk_, directory, journal_options, visitor));
  dead_ = value_or_throw(
      DeadLetters::open(disk_, state_path(config_, "dead"), *core_, visitor.damage, [this] { give_up_reserve(); }));
  dead_->append = [this](Journal& journal, Batch& batch) { return append(journal, batch); };
  dead_orders_ = std::make_unique<DeadOrders>(*core_, *dead_);
  core_->recovered(now_);
  if (const uint64_t missing = core_->missing()) {
    damage_["journal"] = fmt::format("{} undelivered signal{} missing from it: what they said is in the ledger",
                                     missing, missing == 1 ? " is" : "s are");
  }
  bodies_ = journal_->reader();
  dead_letter_bodies_ = journal_->reader(64 << 10);
  synced_ = journal_->end();
  last_roll_ = now_.mono;

  LedgerConfig ledger = config_.ledger;
  if (ledger.repository.empty()) ledger.repository = config_.state / "ledger.git";
  const auto standing = core_->alarms();
  ledger_ = value_or_throw(LedgerWriter::open(
      ledger, config_.broker.low_water, *journal_, standing, [this](const LedgerWriter::Alarm& alarm) {
        post([this, alarm] {
          if (alarm.over) {
            core_->clear_alarm(alarm.name, now_);
          } else if (alarm.lasts) {
            core_->raise(alarm.name, "ledger: " + alarm.text, alarm.remedy, false, now_);
          } else {
            core_->report_event(alarm.name, "ledger: " + alarm.text, alarm.remedy, now_);
          }
        });
      }));
  ledger_->advance(synced_);
  for (const auto& [file, why] : damage_) {
    core_->raise(std::string(kDamage) + file, fmt::format("damaged: {}: {}", file, why),
                 "What could not be read was set aside under quarantine/; everything else is served.", false, now_);
  }
  for (const auto& alarm : standing) {
    if (alarm.starts_with(kDamage) && !damage_.contains(alarm.substr(kDamage.size()))) core_->clear_alarm(alarm, now_);
  }
  take_space(value_or_throw(journal_->space()));  // before the first publisher is heard
  size_t open = 0;
  for (const auto& [name, channel] : core_->channels()) open += channel.open();
  spdlog::info("recovered {} undelivered signals; next is {}", open, core_->next_seq());
}

// ---- the loop

void Broker::post(std::function<void()> task) {
  {
    const std::lock_guard lock(posted_mutex_);
    posted_.push_back(std::move(task));
  }
  socket_.wake();
}

void Broker::run_posted() {
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(posted_mutex_);
    tasks.swap(posted_);
  }
  for (const auto& task : tasks) task();
}

void Broker::stop() {
  {
    const std::lock_guard lock(stop_mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
  socket_.wake();
}

void Broker::run() {
  bool drained = false;
  while (!drained) {
    const bool full = core_->unsynced_bytes() >= kFillWhileSyncing && core_->is_syncing();
    const Millis next = std::min(core_->deadline(), looks_ ? std::min(next_look_, next_look_for_lost_) : next_look_);
    Millis wait = next - system_now().mono;
    if (stopping_) wait = std::min(wait, Millis{50});
    if (std::exchange(syncs_little_, false) && socket_.wakes_within(kAwake)) wait = Millis{0};
    socket_.wait(wait, !full);
    now_ = system_now();
    run_posted();
    if (!full) {
      socket_.receive(kBiteMessages, kBite,
                      [this](std::string_view peer, std::span<char> message) { core_->receive(peer, message, now_); });
    }
    if (now_.mono >= core_->deadline()) core_->tick(now_);
    if (now_.mono >= next_look_) {
      next_look_ = now_.mono + Millis{1000};
      check_disk();
      check_ledger();
      probe_failing();
      drop_due_ = true;
    }
    probe_disconnected_consumers();
    serve_admin();
    if (stopping_) core_->drain();
    core_->flush(now_);
    start_work();
    feed_tails();
    send_outgoing();
    drained = stopping_ && !core_->is_syncing() && !core_->wants_sync() && dead_orders_->empty();
  }
  // One more snapshot, so that the next start has little to read.
  journal_thread_.post([this, snapshot = core_->snapshot()] {
    if (auto put = journal_->put_snapshot(journal_->end(), snapshot); !put) {
      spdlog::warn("no snapshot at the end: {}", put.error().what);
    }
    if (auto closed = journal_->close(); !closed) spdlog::warn("{}", closed.error().what);
  });
  http_.reset();
  spdlog::info("drained; the ledger takes up what is left");
}

void Broker::send_outgoing() {
  for (auto& message : core_->outgoing) {
    if (message.deliver) {
      Unread unread;
      message.frame = deliver_frame(*message.deliver, *bodies_, unread);
      core_->bodies_read(*message.deliver, unread, now_);
      if (!unread.empty()) socket_.wake();
    }
    const auto sent = socket_.send(message.peer, message.frame);
    // A peer that does not read has broken its credit; a peer that is gone is gone. Either way its session starts over.
    if (sent != RouterSocket::Sent::Yes) {
      core_->gone(message.peer, now_);
      socket_.wake();  // what it held goes to others in the next turn
    }
  }
  core_->outgoing.clear();
}

void Broker::probe_disconnected_consumers() {
  if (socket_.lost_someone()) looks_ = kLooks;
  if (looks_ == 0 || now_.mono < next_look_for_lost_) return;
  --looks_;
  next_look_for_lost_ = now_.mono + kBetweenLooks;
  core_->ping_consumers();
}

// ---- making it durable

void Broker::start_work() {
  if (core_->is_syncing()) return;
  auto bite = dead_orders_->bite(stopping_, now_);
  if (!bite && !core_->wants_sync() && !snapshot_again_) {
    // Nothing waits and nothing is under way, so all that the core has settled is durable.
    if (drop_due_) journal_thread_.post([this, drops = due_drops()] { drop(drops); });
    return;
  }
  struct Job {
    Core::Work work;
    std::optional<DeadOrders::Bite> bite;
    std::string snapshot;
    uint64_t sealed = 0;
    const std::vector<KnownId>* ids = nullptr;  // of `sealed`
    DeadLetters::Written dead_lettered;
    Drops drops;  // after all else: until then writing a dead letter reads what they hold, and a crash needs it
    int64_t at_ms = 0;
  };
  auto job = std::make_shared<Job>();
  job->work = core_->take_work();
  job->bite = std::move(bite);
  job->at_ms = now_.wall.count();
  snapshot_again_ = false;
  if (snapshot_due_) {
    snapshot_due_ = false;
    job->snapshot = core_->snapshot();
    job->sealed = std::exchange(sealed_, 0);
    if (job->sealed) job->ids = &ids_->seal(job->sealed);
  }
  if (job->work.batch.empty() && job->work.new_dead_letters.empty() && !job->bite && job->snapshot.empty()) {
    Appended nothing;  // only answers that waited for what is durable already
    nothing.end = synced_;
    return work_done(nothing);
  }
  job->drops = due_drops();
  syncs_little_ = job->work.batch.bytes() <= kLittle;
  journal_thread_.post([this, job] {
    const auto fail = [](const Error& error) {
      // Nothing of this work may be acknowledged, and what the page cache shows proves nothing: the next start
      // recovers.
      spdlog::critical("the journal cannot be written, stopping: {}", error.what);
      spdlog::shutdown();
      std::_Exit(1);
    };
    if (!job->work.new_dead_letters.empty()) {
      auto dead_lettered = dead_->write(job->work.new_dead_letters, *dead_letter_bodies_);
      if (!dead_lettered) return fail(dead_lettered.error());
      job->dead_lettered = std::move(*dead_lettered);
    }
    Appended nothing;
    nothing.end = journal_->end();
    const bool appends = !job->work.batch.empty() || job->bite || !job->snapshot.empty();
    const Result<Appended> appended = appends ? append(*journal_, job->work.batch) : nothing;
    if (!appended) return fail(appended.error());
    unlooked_ += job->work.batch.bytes();
    std::optional<Space> space;
    if (appended->rolled || unlooked_ >= kLookAtDisk) {
      unlooked_ = 0;
      if (const auto found = journal_->space()) space = *found;
    }
    if (job->bite && !job->bite->keys.empty()) {
      const auto closed = dead_->close(job->bite->keys, job->bite->retried, job->at_ms);
      if (!closed) return fail(closed.error());
    }
    post([this, job, appended = *appended, space] {
      if (space) take_space(*space);
      dead_->written(job->dead_lettered.letters);
      core_->reuse(std::move(job->work.batch));
      work_done(appended);
      core_->dead_lettered(job->dead_lettered.keys(), job->dead_lettered.unread, job->dead_lettered.why, now_);
      if (job->bite && job->bite->answer) core_->answer(job->bite->answer->first, job->bite->answer->second, {});
    });
    drop(job->drops);
    if (!job->snapshot.empty()) {
      chores_.post([this, job, at = appended->end] {
        if (auto put = journal_->put_snapshot(at, job->snapshot); !put) {
          spdlog::warn("no snapshot: {}", put.error().what);
          post([this] { snapshot_failed_ = true; });
        }
        if (job->sealed) write_ids(job->sealed, *job->ids);
      });
    }
  });
}

Result<Appended> Broker::append(Journal& journal, Batch& batch) {
  for (bool said = false;; said = true) {
    auto appended = journal.append(batch);
    if (appended || !may_pass(appended.error())) return appended;
    const std::string why = appended.error().what;
    if (!said) {
      spdlog::error("the journal cannot be written, and is tried again: {}", why);
      post([this, why] {
        core_->raise(
            "journal-write", "the journal cannot be written: " + why,
            "Nothing is acknowledged until it can be. Make room on the disk, or raise the limit of open files.", false,
            now_);
        journal_failed_ = now_.mono;
      });
    }
    // A restart would need the same, so the broker stays and waits; but it does not wait to be stopped.
    std::unique_lock lock(stop_mutex_);
    if (stopped_.wait_for(lock, kAppendAgain, [this] { return stopping_.load(); })) return appended;
  }
}

void Broker::give_up_reserve() {
  if (auto given = journal_->give_up_reserve(); !given) spdlog::warn("{}", given.error().what);
}

void Broker::write_ids(uint64_t segment, const std::vector<KnownId>& ids) {
  auto written = IdFiles::write(disk_, state_path(config_, "ids"), segment, ids);
  if (!written && written.error().code == ENOSPC) give_up_reserve();  // without them no segment is dropped
  post([this, segment, written] {
    const auto sealed = written ? ids_->sealed(segment) : written;
    if (sealed) return;
    ids_->unwritten(segment);
    spdlog::warn("the id file of segment {} is tried again: {}", segment, sealed.error().what);
  });
}

void Broker::work_done(const Appended& appended) {
  ++syncs_;
  synced_ = appended.end;
  if (appended.after_failure) {
    spdlog::error("a write to the journal failed and was made good in a fresh segment: {}", appended.failure);
    core_->raise("journal-write", "the journal's disk refused a write: " + appended.failure,
                 "It was made good in a fresh segment and nothing was lost. Look at the disk.", false, now_);
    journal_failed_ = now_.mono;
  } else if (appended.segment && now_.mono - journal_failed_ >= kGoodAgain) {
    core_->clear_alarm("journal-write", now_);
  }
  core_->journalled(static_cast<uint32_t>(appended.segment), appended.base_offset, now_);
  if (appended.rolled) {
    snapshot_due_ = true;
    sealed_ = appended.sealed;
    const bool in_haste = now_.mono - last_roll_ < kHasty;
    last_roll_ = now_.mono;
    chores_.post([this, in_haste] { prepare_spares(in_haste); });
  }
  ledger_->advance(synced_, appended.segment ? appended.end.offset - appended.base_offset : 0);
  for (auto& done : core_->local_done) {
    const auto waiting = local_waiting_.extract(done.ticket);
    if (!waiting.empty()) waiting.mapped()(done);
  }
  core_->local_done.clear();
}

void Broker::reload() {
  post([this] {
    if (const auto verdict = reload_now()) {
      spdlog::info("reloaded: {}", *verdict);
    } else {
      spdlog::error("the config stays as it was: {}", verdict.error().what);
    }
  });
}

Result<std::string> Broker::reload_now() {
  auto fresh = load_config(config_.file.string());
  if (!fresh) return fresh.error();
  auto router = Router::compile(*fresh);
  if (!router) return router.error();
  // Routes, expiry and channels are taken at once; what is bound or opened at start asks for one.
  const auto verdict = [](bool same, bool at_once) {
    return same ? "unchanged" : at_once ? "in force" : "needs a restart";
  };
  const bool same_state = fresh->state == config_.state;
  boost::json::object out{{"routes", verdict(fresh->routes == config_.routes, true)},
                          {"expires", verdict(fresh->expires == config_.expires, true)},
                          {"channels", verdict(fresh->channels() == config_.channels(), true)},
                          {"state", verdict(same_state, false)},
                          {"broker", verdict(fresh->broker == config_.broker, false)},
                          {"ledger", verdict(fresh->ledger == config_.ledger, false)},
                          {"redact", verdict(fresh->redact == config_.redact, false)}};
  for (const auto& [name, section] : fresh->channel_sections) {
    out[name] = verdict(fresh->same_section(name, config_), false);
  }
  config_.routes = fresh->routes;
  config_.expires = fresh->expires;
  config_.channel_sections = fresh->channel_sections;
  core_->reroute(std::move(*router), config_.channels());
  for (const auto& note : core_->router().notes()) spdlog::info("{}", note);
  return boost::json::serialize(out);
}

void Broker::serve_admin() {
  if (core_->admin_calls.empty()) return;
  std::vector<AdminCall> admin_calls;
  admin_calls.swap(core_->admin_calls);
  Admin answers(*this);
  for (const auto& call : admin_calls) answers.answer(call);
}

}  // namespace detent
