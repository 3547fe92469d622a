#include "tests/simulation/broker.h"

#include <spdlog/fmt/fmt.h>

#include "broker/records.h"
#include "proto/journal.pb.h"

namespace detent::test {

namespace {
constexpr const char* kJournal = "state/journal";
constexpr const char* kIds = "state/ids";
constexpr Millis kWindow = std::chrono::hours{24 * 90};
}  // namespace

SimulatedBroker::SimulatedBroker(const Config& config, uint64_t backlog_bytes, Dice& dice, Broken broken)
    : config_(config),
      backlog_bytes_(backlog_bytes),
      dice_(dice),
      broken_(std::move(broken)),
      segment_bytes_(uint64_t{2048} << dice.below(4)),
      write_fails_(dice.chance(0.3) ? 0.4 : 0.05) {}

SimulatedBroker::~SimulatedBroker() = default;

template <class T>
bool SimulatedBroker::good(const Result<T>& result, const std::string& what) {
  if (!result) broken_(what + ": " + result.error().what);
  return bool(result);
}

void SimulatedBroker::start(Now now) {
  auto files = IdFiles::open(disk_, kIds, [this](const IdDamage& damage) { broken_("ids: " + damage.why); });
  if (!good(files, "id files")) return;
  ids_ = std::make_unique<IdWindow>(std::move(*files));
  Core::Options options;
  options.channels = config_.channels();
  options.max_losses = 1000;
  options.backlog_bytes = backlog_bytes_;
  core_ = std::make_unique<Core>(options, *Router::compile(config_), validator_, *ids_, dice_.random());
  JournalOptions journal;
  journal.segment_bytes = segment_bytes_;
  journal.spares = 1;
  journal.reserve_bytes = 0;
  journal.low_water = 0;
  JournalVisitor visitor;
  visitor.snapshot = [&](std::string_view bytes) { core_->restore(bytes); };
  visitor.record = [&](const RecordPosition& place, std::string_view bytes, bool after) {
    core_->replay(bytes, place, after);
  };
  visitor.damage = [&](const Damage& damage) { broken_("damage after a crash: " + damage.why); };
  ids_->look(segments_in(disk_, kJournal).value());
  auto opened = Journal::open(disk_, kJournal, journal, visitor);
  if (!good(opened, "journal")) return;
  journal_ = std::move(*opened);
  auto dead = DeadLetters::open(disk_, "state/dead", *core_, visitor.damage);
  if (!good(dead, "dead letters")) return;
  dead_ = std::move(*dead);
  orders_ = std::make_unique<DeadOrders>(*core_, *dead_);
  bodies_ = journal_->reader();
  core_->recovered(now);
  if (core_->missing()) return broken_(fmt::format("{} signals are missed after a restart", core_->missing()));
  synced_ = journal_->end();
  ledger_.open(*journal_);
  check_bodies();
  check_letters(everything());
}

void SimulatedBroker::crash(bool power_cut) {
  ++counts_.crashes;
  disk_.cut_power_at(disk_.calls() + 1 + dice_.below(16));
  if (sync_ && dice_.chance(0.7)) (void)do_work(*sync_);
  if (!chores_.empty() && dice_.chance(0.7)) (void)do_chore(chores_.front());
  ledger_.close();
  chores_.clear();
  sync_.reset();
  bodies_.reset();
  orders_.reset();
  dead_.reset();
  journal_.reset();
  core_.reset();
  ids_.reset();
  outgoing.clear();
  snapshot_due_ = drop_due_ = false;
  sealed_ = 0;
  if (power_cut) {
    disk_.power_on(static_cast<Cut>(dice_.below(3)), dice_.random());
  } else {
    disk_.kill();
  }
}

void SimulatedBroker::turn(Now now) {
  if (sync_ && now.mono >= sync_->done_at) work_done(now);
  if (!chores_.empty() && now.mono >= chores_.front().due) {
    Chore& chore = chores_.front();
    if (!good(do_chore(chore), "chore")) return;
    if (chore.sealed) {
      ++counts_.sealed;
      if (!good(ids_->sealed(chore.sealed), "id file")) return;
    }
    chores_.pop_front();
  }
  if (now.mono >= next_look_) {
    next_look_ = now.mono + Millis{1000};
    drop_due_ = true;
    if (!good(journal_->prepare_spare(), "spare")) return;
    if (!good(ids_->prune(static_cast<uint64_t>((now.wall - kWindow).count())), "prune")) return;
    if (const auto [segment, ids] = ids_->again(); ids) chores_.push_back({now.mono, {}, {}, segment, *ids});
  }
  if (now.mono >= core_->deadline()) core_->tick(now);
  core_->flush(now);
  start_work(now);
  for (auto& message : core_->outgoing) {
    Unread unread;
    if (message.deliver) message.frame = deliver_frame(*message.deliver, *bodies_, unread);
    if (message.deliver) core_->bodies_read(*message.deliver, unread, now);
    if (!unread.empty()) broken_("a body cannot be read");
    outgoing.emplace_back(std::move(message.peer), std::move(message.frame));
  }
  core_->outgoing.clear();
  core_->admin_calls.clear();
  core_->tail_changes.clear();
  if (!core_->credit_is_sound()) broken_("credit went below zero");
  if (dice_.chance(0.3)) {
    if (const auto broken = ledger_.read(synced_, 1 + dice_.below(20)); !broken.empty()) broken_("ledger: " + broken);
  }
  if (dice_.chance(0.2)) ledger_.commit();
}

void SimulatedBroker::start_work(Now now) {
  if (core_->is_syncing()) return;
  const auto due_drops = [&] {
    if (!std::exchange(drop_due_, false)) return Drops{};
    return to_drop(*journal_, *dead_, *core_, *ids_, ledger_.complete_segment());
  };
  auto bite = orders_->bite(false, now);
  if (!bite && !core_->wants_sync()) {
    const Drops drops = due_drops();
    if (good(drop(drops), "drop")) check_after(drops);
    return;
  }
  sync_ = std::make_unique<Sync>();
  sync_->done_at = now.mono + Millis{dice_.below(20)};
  sync_->work = core_->take_work();
  if (bite) closed_.insert(bite->keys.begin(), bite->keys.end());
  sync_->bite = std::move(bite);
  if (std::exchange(snapshot_due_, false)) {
    sync_->snapshot = core_->snapshot();
    sync_->sealed = std::exchange(sealed_, 0);
    if (sync_->sealed) sync_->ids = ids_->seal(sync_->sealed);
  }
  sync_->drops = due_drops();
}

/// What the journal's thread does.
Result<Appended> SimulatedBroker::do_work(Sync& sync) {
  if (!sync.work.new_dead_letters.empty()) {
    auto dead_lettered = dead_->write(sync.work.new_dead_letters, *bodies_);
    if (!dead_lettered) return dead_lettered.error();
    sync.dead_lettered = std::move(*dead_lettered);
  }
  const auto appended = journal_->append(sync.work.batch);
  if (!appended) return appended;
  if (sync.bite && !sync.bite->keys.empty()) {
    if (auto closed = dead_->close(sync.bite->keys, sync.bite->retried, 0); !closed) return closed.error();
  }
  if (auto dropped = drop(sync.drops); !dropped) return dropped.error();
  return appended;
}

void SimulatedBroker::work_done(Now now) {
  const auto appended = do_work(*sync_);
  if (!good(appended, "work")) return;
  const auto sync = std::move(sync_);
  check_after(sync->drops);
  if (!sync->snapshot.empty()) {
    const Millis due = now.mono + Millis{dice_.below(400)};
    chores_.push_back({due, appended->end, std::move(sync->snapshot), sync->sealed, std::move(sync->ids)});
  }
  dead_->written(sync->dead_lettered.letters);
  synced_ = appended->end;
  core_->journalled(static_cast<uint32_t>(appended->segment), appended->base_offset, now);
  core_->dead_lettered(sync->dead_lettered.keys(), sync->dead_lettered.unread, sync->dead_lettered.why, now);
  snapshot_due_ = appended->rolled || dice_.chance(0.02);
  if (appended->rolled) sealed_ = appended->sealed;
}

/// What the chores' thread does. A snapshot that could not be written is left out; a file of ids is tried again later.
Result<void> SimulatedBroker::do_chore(Chore& chore) {
  if (!chore.snapshot.empty() && !dice_.chance(write_fails_)) {
    if (auto put = journal_->put_snapshot(chore.at, chore.snapshot); !put) return put;
  }
  if (!chore.sealed) return {};
  if (dice_.chance(write_fails_)) {
    ids_->unwritten(std::exchange(chore.sealed, 0));
    return {};
  }
  return IdFiles::write(disk_, kIds, chore.sealed, std::move(chore.ids));
}

Result<void> SimulatedBroker::drop(const Drops& drops) {
  if (!drops.segments.empty()) {
    if (auto dropped = journal_->drop(drops.segments); !dropped) return dropped;
  }
  if (!drops.dead.empty()) return dead_->drop(drops.dead);
  return {};
}

void SimulatedBroker::check_after(const Drops& drops) {
  counts_.dropped += drops.segments.size();
  counts_.dead_dropped += drops.dead.size();
  if (!drops.segments.empty()) check_bodies();
  if (!drops.dead.empty()) check_letters(books());
}

void SimulatedBroker::order(bool retry) {
  std::vector<DeadLetters::Key> keys;
  for (const auto& [key, place] : dead_->letters()) keys.push_back(key);
  orders_->add({}, retry, std::move(keys));
}

bool SimulatedBroker::is_done() const {
  if (!core_ || sync_ || core_->wants_sync() || !orders_->empty()) return false;
  for (const auto& [name, channel] : core_->channels()) {
    if (channel.open()) return false;
  }
  return ledger_.has_all_before(synced_);
}

Books SimulatedBroker::everything() const {
  Books books = ledger_.books();
  const auto tail = journal_->tail({ledger_.complete_segment(), 0, 0});
  for (;;) {
    const auto next = tail->next(journal_->end());
    if (!next) {
      broken_("the journal cannot be read: " + next.error().what);
      return books;
    }
    if (!*next) return books;
    if (const auto broken = books.add((*next)->bytes); !broken.empty()) broken_("journal: " + broken);
  }
}

/// No segment went while something in it is open.
void SimulatedBroker::check_bodies() {
  std::set<uint64_t> there;
  for (const auto& segment : journal_->segments()) there.insert(segment.id);
  for (const auto& [name, channel] : core_->channels()) {
    for (const Open& open : channel.queue()) {
      if (open.state == Open::State::Settled || open.state == Open::State::Unsynced) continue;
      if (!there.contains(open.at.segment)) {
        return broken_(fmt::format("segment {} went, and {} of {} is open in it", open.at.segment, open.seq, name));
      }
    }
  }
}

/// Every delivery that ended as a dead letter is there with its text, until the operator closes it.
void SimulatedBroker::check_letters(const Books& books) {
  for (const auto& [key, settling] : books.settled) {
    if (settling.state != SettledRecord::DEAD || was_closed(key)) continue;
    const auto letter = dead_->read(key);
    if (!letter) return broken_(fmt::format("dead letter {} of {}: {}", key.seq, key.channel, letter.error().what));
    const auto signal = books.signals.find(key.seq);
    if (signal == books.signals.end() || signal->second.bytes != letter->signal)
      return broken_(fmt::format("dead letter {} of {} lost its text: {}", key.seq, key.channel, letter->cause));
  }
}

}  // namespace detent::test
