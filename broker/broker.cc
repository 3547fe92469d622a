#include "broker/broker.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/redact.h"
#include "base/units.h"
#include "base/version.h"
#include "broker/config.h"
#include "broker/records.h"
#include "broker/reload.h"
#include "host/host.h"
#include "ledger/config.h"
#include "routing/config.h"

namespace detent {

namespace {

constexpr std::string_view kDamage = "damage/";  // before a file's name: an alarm

SignalValidator::Mask mask_of(const Config& config) {
  auto patterns = Patterns::compile(config.redact);
  if (!patterns) throw Failure(patterns.error().what);
  return [patterns = std::move(*patterns)](std::span<char> text) { return redact(text, patterns); };
}

template <class T>
T value_or_throw(Result<T> result) {
  if (!result) throw Failure(result.error().what);
  return std::move(*result);
}

}  // namespace

Broker::Broker(Config config, Surroundings surroundings, Now now, Core::Options core)
    : config_(std::move(config)),
      around_(std::move(surroundings)),
      started_(now),
      validator_(mask_of(config_)),
      ids_(value_or_throw(Host::open_ids(
          around_.disk, config_.state.string(),
          [this](const IdDamage& damage) { damage_["ids/" + damage.file] = damage.why; }, around_.seed))),
      core_(options(std::move(core)), value_or_throw(Router::compile(config_)), validator_, ids_, around_.seed),
      watch_(core_, config_.of<LedgerConfig>().max_lag) {
  for (const auto& note : core_.admission().router().notes()) spdlog::info("{}", note);
}

Broker::~Broker() = default;

Core::Options Broker::options(Core::Options options) {
  const auto& broker = config_.of<BrokerConfig>();
  options.deliveries.backlog_bytes = broker.max_backlog.bytes;
  options.deliveries.backlog_age = broker.max_backlog.age;
  options.max_sessions = broker.max_connections;
  options.broker = std::string("detent-broker ") + kVersion;
  options.channels = config_.channels();
  options.admission.expires = [this](std::string_view type) {
    for (const auto& rule : config_.of<RoutingConfig>().expires) {
      if (glob_matches(rule.type, type)) return rule.after;
    }
    return Millis{int64_t{validator_.expires_after(type)} * 1000};
  };
  return options;
}

// ---- recovery

Result<void> Broker::recovered(Journal& journal, Now now) {
  journal_ = &journal;
  synced_ = journal.end();
  auto dead = DeadLetters::open(
      around_.disk, (config_.state / "dead").string(), core_,
      [this](const Damage& damage) { damage_["dead/" + damage.file] = damage.why; },
      [&journal] {
        if (auto given = journal.give_up_reserve(); !given) spdlog::warn("{}", given.error().what);
      },
      around_.seed);
  if (!dead) return dead.error();
  dead_ = std::move(*dead);
  if (const auto missing = core_.recovered(now); missing.count) {
    damage_["journal"] =
        fmt::format("{} undelivered signal{} missing from it, by number: {}. What they said is in the ledger",
                    missing.count, missing.count == 1 ? " is" : "s are", missing.text());
  }
  bodies_ = journal.reader();
  orders_ = std::make_unique<Orders>(core_, *dead_);
  letters_ = std::make_unique<DeadLetterWork>(*dead_, journal.reader(64 << 10));
  tails_ = std::make_unique<Tails>(core_, journal);
  admin_ = std::make_unique<Admin>(Admin::View{core_, *dead_, *orders_, journal, synced_, around_.executor,
                                               [this](Now at) { return vitals(at); }, [this] { return reload(); }});
  const auto standing = core_.alarms().standing();
  if (auto opened = open_ledger(); !opened) return opened;
  number_behind_ledger(now);
  raise_damage(standing, now);
  size_t open = 0;
  for (const auto& [name, channel] : core_.deliveries().channels()) open += channel.open();
  spdlog::info("recovered {} undelivered signals; next is {}", open, core_.admission().next_seq());
  return {};
}

Result<void> Broker::open_ledger() {
  auto ledger = around_.open_ledger(
      *journal_, core_.admission().next_seq(), core_.alarms().standing(), [this](const Follower::Alarm& alarm) {
        around_.executor.post([this, alarm](Now now) {
          if (alarm.over) {
            core_.alarms().clear(alarm.name, alarm.text, now);
          } else if (alarm.lasts) {
            core_.alarms().raise(alarm.name, "ledger: " + alarm.text, alarm.remedy, now);
          } else {
            core_.alarms().report_event(alarm.name, "ledger: " + alarm.text, alarm.remedy, now);
          }
        });
      });
  if (!ledger) return ledger.error();
  ledger_ = std::move(*ledger);
  ledger_->advance(synced_, 0);
  return {};
}

/// A number means one signal for ever. What the ledger has under one is not taken for what a new journal gives it to.
void Broker::number_behind_ledger(Now now) {
  const uint64_t last = ledger_->last_seq(), ours = core_.admission().next_seq() - 1;
  if (last <= ours) return;
  core_.admission().number_from(last + 1);
  core_.alarms().report_event(
      "ledger-ahead", fmt::format("the ledger has {} signals, and the journal knows of {}", last, ours),
      fmt::format("The state in {} was lost, or is an older copy, or the ledger is another one's. What was undelivered "
                  "in it is not delivered; its texts are in the ledger. Later signals are numbered from {} on.",
                  config_.state.string(), last + 1),
      now);
}

void Broker::raise_damage(const Alarms::Standing& standing, Now now) {
  for (const auto& [file, why] : damage_) {
    core_.alarms().raise(std::string(kDamage) + file, fmt::format("damaged: {}: {}", file, why),
                         "What could not be read was set aside under quarantine/; everything else is served.", now);
  }
  for (const auto& [name, alarm] : standing) {
    const std::string file = name.starts_with(kDamage) ? name.substr(kDamage.size()) : "";
    if (!file.empty() && !damage_.contains(file)) core_.alarms().clear(name, fmt::format("{} is whole", file), now);
  }
}

// ---- a turn

void Broker::look(Now now) {
  // What the ledger has not taken up, in whole segments: near enough for a limit of gigabytes.
  uint64_t lag = 0;
  for (const auto& segment : journal_->segments()) {
    if (segment.id > ledger_->complete_segment()) lag += segment.bytes;
  }
  watch_.took_lag(lag);
  ledger_->status(status_markdown(core_));
  probe_unreadable(now);
}

/// So that the alarm of what could not be read ends also where nobody asks for it.
void Broker::probe_unreadable(Now now) {
  constexpr int kMaxProbes = 16;
  for (int i = 0; i < kMaxProbes && !core_.deliveries().failing().empty(); ++i) {
    auto next = core_.deliveries().failing().upper_bound(probed_);
    if (next == core_.deliveries().failing().end()) next = core_.deliveries().failing().begin();
    probed_ = next->first;
    const RecordRef at = next->second.at;
    if (bodies_->read({at.segment, at.offset, at.size})) core_.deliveries().readable(probed_, now);
  }
}

void Broker::flush(Now now) {
  for (const auto& call : std::exchange(core_.admin_calls, {})) admin_->answer(call, now);
  core_.flush(now);
}

bool Broker::send(const Send& send, Now now) {
  bool more = tails_->feed(synced_);
  for (auto& message : core_.outgoing) {
    if (message.deliver) {
      Unread unread;
      message.frame = deliver_frame(*message.deliver, *bodies_, unread);
      core_.deliveries().bodies_read(*message.deliver, unread, now);
      more = more || !unread.empty();
    }
    send(message.peer, message.frame);
  }
  core_.outgoing.clear();
  return more;
}

void Broker::drain() {
  draining_ = true;
  core_.drain();
}

// ---- making it durable

std::optional<Work> Broker::take_work(Now now) {
  auto bite = orders_->bite(draining_, now);
  if (!bite && !core_.wants_sync()) return std::nullopt;
  taken_ = true;
  Core::Work taken = core_.take_work();
  std::optional<Work> work(std::in_place);
  work->batch = std::move(taken.batch);
  letters_->add_to(*work, std::move(taken.new_dead_letters), std::move(bite), now);
  return work;
}

void Broker::journalled(Work work, const Appended& appended, Now now) {
  syncs_ += appended.segment != 0;
  synced_ = appended.end;
  watch_.wrote(appended, now);
  ledger_->advance(synced_, appended.segment ? appended.end.offset - appended.base_offset : 0);
  if (!std::exchange(taken_, false)) return;  // a snapshot alone
  letters_->written();
  core_.reuse(std::move(work.batch));
  core_.journalled(static_cast<uint32_t>(appended.segment), appended.base_offset, now);
  for (const auto& done : std::exchange(core_.admission().local_done, {})) {
    const auto waiting = local_waiting_.extract(done.ticket);
    if (!waiting.empty()) waiting.mapped()(done);
  }
  letters_->done(core_, now);
}

Kept Broker::kept() const { return {ledger_->complete_segment(), core_.deliveries().segments_in_use()}; }

std::function<Result<void>()> Broker::let_go() {
  auto segments = dead_->droppable();
  if (segments.empty()) return nullptr;
  return [this, segments = std::move(segments)] { return dead_->drop(segments); };
}

// ---- what others show and ask

Vitals Broker::vitals(Now now) const {
  Vitals vitals{core_, now, started_};
  if (!config_.file.empty()) vitals.config = std::filesystem::absolute(config_.file).string();
  vitals.paused = watch_.paused();
  vitals.masked = validator_.masked();
  vitals.segments = journal_->segments().size();
  vitals.journal_bytes = journal_->bytes();
  vitals.syncs = syncs_;
  vitals.space = watch_.space();
  vitals.repository = config_.of<LedgerConfig>().repository.string();
  vitals.ledger_seq = ledger_->last_seq();
  vitals.ledger_commits = ledger_->commits();
  return vitals;
}

void Broker::admit(std::vector<std::string> signals, Now now, std::function<void(const LocalDone&)> done) {
  local_waiting_[core_.admission().admit_local(std::move(signals), now)] = std::move(done);
}

Result<std::string> Broker::reload() {
  const auto fresh = load_config(config_.file.string());
  return fresh ? reload(*fresh) : fresh.error();
}

Result<std::string> Broker::reload(const Config& fresh) { return detent::reload(config_, fresh, core_); }

}  // namespace detent
