#include "tests/simulation/broker.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <iterator>

#include "broker/records.h"
#include "journal/format.h"
#include "proto/journal.pb.h"

namespace detent::test {

namespace {

Parts parts_of(const std::map<uint32_t, std::string>& encoded) {
  Parts parts;
  for (const auto& entry : encoded) {
    Part part;
    part.ParseFromString(entry.second);
    take(parts, part);
  }
  return parts;
}

/// The ledger as the broker sees it.
class Following : public Follower {
 public:
  Following(const Ledger& ledger, const Audit* audit) : ledger_(ledger), audit_(audit) {}
  void advance(const LogPosition&, uint64_t) override {}
  void status(std::string) override {}
  uint64_t complete_segment() const override {
    return audit_ ? std::min(audit_->complete_segment(), ledger_.complete_segment()) : ledger_.complete_segment();
  }
  uint64_t last_seq() const override { return 0; }
  uint64_t commits() const override { return 0; }

 private:
  const Ledger& ledger_;
  const Audit* audit_;
};

}  // namespace

size_t SimulatedBroker::Socket::receive(
    size_t count, size_t bytes, const std::function<void(std::string_view peer, std::span<char> message)>& take) {
  size_t got = 0;
  for (size_t i = 0; i < count && got < bytes && !arrived.empty(); ++i) {
    auto [peer, message] = std::move(arrived.front());
    arrived.pop_front();
    got += message.size();
    take(peer, message);
  }
  return got;
}

ServerSocket::Sent SimulatedBroker::Socket::send(std::string_view peer, std::string_view message) {
  if (gone.contains(peer)) return Sent::Gone;
  broker_.outgoing.emplace_back(peer, message);
  return Sent::Yes;
}

SimulatedBroker::SimulatedBroker(const Config& config, Dice& dice, Broken broken, std::unique_ptr<Audit> audit)
    : config_(config),
      dice_(dice),
      broken_(std::move(broken)),
      segment_bytes_(uint64_t{2048} << dice.below(4)),
      max_losses_(static_cast<uint32_t>(dice.chance(0.3) ? 2 + dice.below(4) : 1000)),
      weather_(disk_, dice),
      audit_(std::move(audit)) {
  config_.state = "state";
}

SimulatedBroker::~SimulatedBroker() = default;

void SimulatedBroker::start(Now now) {
  weather_.turn(now, segment_bytes_);
  if (!open(now)) {
    ++counts_.failed_starts;
    for (auto& [file, told] : rotten_) told = true;  // in its log, and perhaps it is set aside already
    return end_process();
  }
  check_damage();
  counted_ = {};
  first_dead_ = letters().segments().front().id;
  check_bodies();
  const Books books = everything();
  check_letters(books);
  check_recovered(books);
}

bool SimulatedBroker::open(Now now) {
  const uint64_t failed = weather_.failed();
  const bool was_full = weather_.is_full();
  const auto fails = [&](const std::string& what) {
    if (weather_.failed() == failed && !was_full) broken_("it does not start: " + what);
    return false;
  };
  executor_ = std::make_unique<SteppedExecutor>();
  Core::Options core;
  core.deliveries.max_losses = max_losses_;
  Broker::Surroundings around{disk_, *executor_, {}, dice_.random()};
  around.open_ledger = [this, now](const Journal& journal, uint64_t, const auto&,
                                   const auto&) -> Result<std::unique_ptr<Follower>> {
    ledger_.open(journal);
    if (audit_) {
      if (auto broken = audit_->open(journal, now); !broken.empty()) return Error{broken};
    }
    return std::unique_ptr<Follower>(std::make_unique<Following>(ledger_, audit_.get()));
  };
  try {
    broker_ = std::make_unique<Broker>(config_, around, now, core);
  } catch (const Failure& failure) {
    return fails(failure.what());
  }
  Host::Options options;
  options.directory = config_.state.string();
  options.bite_messages = 8;
  options.fill_while_syncing = 4096;
  options.journal.seed = dice_.random();
  options.journal.segment_bytes = segment_bytes_;
  options.journal.spares = 1;
  options.journal.reserve_bytes = segment_bytes_;
  options.journal.low_water = 2 * segment_bytes_;
  host_ = std::make_unique<Host>(*broker_, broker_->ids(), socket_, *executor_, disk_, options);
  if (const auto opened = host_->open(now); !opened) return fails("the journal: " + opened.error().what);
  return true;
}

void SimulatedBroker::crash(bool power_cut) {
  ++counts_.crashes;
  disk_.cut_power_at(disk_.calls() + 1 + dice_.below(16));
  for (int i = 0; i < 3 && executor_->journal_jobs() && dice_.chance(0.7); ++i) executor_->step_journal();
  for (int i = 0; i < 3 && executor_->chores() && dice_.chance(0.7); ++i) executor_->step_chore();
  const auto texts = texts_at_rest();
  end_process();
  if (power_cut) disk_.power_on(static_cast<Cut>(dice_.below(3)), dice_.random());
  if (weather_.rots() && dice_.chance(0.3)) rot(texts);
}

std::map<uint64_t, RecordRef> SimulatedBroker::texts_at_rest() const {
  const uint64_t in_the_ledger = Following(ledger_, audit_.get()).complete_segment();
  std::map<uint64_t, RecordRef> texts;
  for (const auto& [name, channel] : broker_->core().deliveries().channels()) {
    for (const Open& open : channel.queue()) {
      if (open.state == Open::State::Settled || open.state == Open::State::Unsynced) continue;
      // Where its id is in no file yet, it would go with the text.
      if (open.at.segment < in_the_ledger && broker_->ids().covered(open.at.segment)) texts[open.seq] = open.at;
    }
  }
  return texts;
}

void SimulatedBroker::rot(const std::map<uint64_t, RecordRef>& texts) {
  const DiskWeather::Aside aside(weather_);
  const std::string directory = config_.state.string() + "/journal";
  std::vector<std::string> snapshots;
  for (const auto& name : disk_.list(directory).value()) {
    if (name.starts_with("snapshot-")) snapshots.push_back(name);
  }
  std::sort(snapshots.begin(), snapshots.end());
  // One at a time: what was taken before the last that rotted, and is still there, need not be enough to start from.
  if (snapshots.size() < 2 || snapshots[snapshots.size() - 2] <= rotten_snapshot_) return;
  const auto flip = [&](const std::string& file, uint64_t at) {
    std::string bytes = *disk_.content(directory + "/" + file);
    bytes[at] = static_cast<char>(bytes[at] ^ 1 << dice_.below(8));
    disk_.set_content(directory + "/" + file, std::move(bytes));
    rotten_["journal/" + file] = false;
  };
  if (dice_.chance(0.3)) {
    ++counts_.rotten_snapshots;
    rotten_snapshot_ = snapshots.back();
    return flip(rotten_snapshot_, dice_.below(disk_.content(directory + "/" + snapshots.back())->size()));
  }
  // A start reads no more of what lies before a snapshot than that it is whole.
  const uint64_t replayed_from = std::stoull(snapshots[snapshots.size() - 2].substr(std::string("snapshot-").size()));
  for (const auto& [seq, at] : texts) {
    if (at.segment >= replayed_from || lost_texts_.contains(seq) || !dice_.chance(0.5)) continue;
    ++counts_.rotten_texts;
    lost_texts_.insert(seq);
    return flip(format::segment_name(at.segment), at.offset + Batch::kRecordHeaderBytes + dice_.below(at.size));
  }
}

/// What is damaged was told, and nothing else.
void SimulatedBroker::check_damage() {
  for (const auto& [file, why] : broker_->damage()) {
    if (!rotten_.contains(file) && file != "journal") broken_("damaged after a crash: " + file + ": " + why);
  }
  for (auto& [file, told] : rotten_) {
    if (!told && !broker_->damage().contains(file)) broken_("nobody was told that it is damaged: " + file);
    told = true;
  }
}

void SimulatedBroker::end_process() {
  host_.reset();
  broker_.reset();
  ledger_.close();
  if (audit_) audit_->close();
  executor_.reset();
  outgoing.clear();
  socket_.arrived.clear();
  socket_.gone.clear();
  journal_due_.reset();
  chore_due_.reset();
  untried_.clear();
  disk_.kill();
}

void SimulatedBroker::receive(std::string peer, std::string message) {
  socket_.arrived.emplace_back(std::move(peer), std::move(message));
}

void SimulatedBroker::hang_up(std::string peer) {
  socket_.gone.insert(std::move(peer));
  socket_.lost = true;
}

void SimulatedBroker::step_lanes(Now now) {
  if (journal_due_ && now.mono >= *journal_due_) {
    executor_->step_journal();
    journal_due_.reset();
  }
  if (chore_due_ && now.mono >= *chore_due_) {
    executor_->step_chore();
    chore_due_.reset();
  }
}

void SimulatedBroker::draw_lanes(Now now) {
  if (!journal_due_ && executor_->journal_jobs()) journal_due_ = now.mono + Millis{dice_.below(20)};
  if (!chore_due_ && executor_->chores()) chore_due_ = now.mono + Millis{dice_.below(400)};
}

void SimulatedBroker::turn(Now now) {
  weather_.turn(now, segment_bytes_);
  step_lanes(now);
  if (const auto& failure = executor_->failure()) {
    // What may pass is waited out; else the process ends, and whoever looks after it starts it again.
    if (!weather_.was_met() || may_pass(*failure)) broken_("work: " + failure->what);
    ++counts_.stops;
    return end_process();
  }
  if (dice_.chance(0.01)) host_->want_snapshot();
  std::set<DeadLetters::Key> before;
  const bool ordered = !broker_->orders().empty();
  if (ordered) {
    for (const auto& [key, place] : letters().letters()) before.insert(key);
  }
  host_->turn(now);
  for (const auto& key : before) {
    if (!letters().letters().contains(key)) closed_.insert(key);
  }
  draw_lanes(now);
  check_threads();
  check_alarms();
  if (!broker_->core().deliveries().credit_is_sound()) broken_("credit went below zero");
  if (!broker_->core().deliveries().failing().empty() && !weather_.was_met()) broken_("a body cannot be read");
  count();
  if (dice_.chance(0.3)) {
    if (const auto broken = ledger_.read(host_->synced(), 1 + dice_.below(20)); !broken.empty())
      broken_("ledger: " + broken);
  }
  if (dice_.chance(0.2)) ledger_.commit();
  if (audit_ && dice_.chance(0.2)) {
    const DiskWeather::Aside aside(weather_);
    if (const auto broken = audit_->turn(host_->synced(), 1 + dice_.below(40), now); !broken.empty()) broken_(broken);
  }
}

/// What the host did since the last time; what went must not have been needed.
void SimulatedBroker::count() {
  const auto& counters = host_->counters();
  counts_.sealed += counters.id_files - counted_.id_files;
  const uint64_t dropped = counters.segments_dropped - counted_.segments_dropped;
  counts_.dropped += dropped;
  counted_ = counters;
  if (dropped) check_bodies();
  const uint64_t first_dead = letters().segments().front().id;
  if (first_dead != first_dead_) check_letters(books());
  counts_.dead_dropped += first_dead - first_dead_;
  first_dead_ = first_dead;
}

void SimulatedBroker::reload(const Config& config) {
  config_ = config;
  config_.state = "state";
  if (!is_up()) return;
  if (const auto verdict = broker_->reload(config_); !verdict) broken_("not reloaded: " + verdict.error().what);
}

void SimulatedBroker::order(bool retry) {
  std::vector<DeadLetters::Key> keys;
  for (const auto& [key, place] : letters().letters()) keys.push_back(key);
  broker_->orders().add({}, retry, std::move(keys));
}

void SimulatedBroker::drop_a_channel() {
  const auto& channels = broker_->core().deliveries().channels();
  if (channels.empty()) return;
  const auto& [name, channel] = *std::next(channels.begin(), static_cast<ptrdiff_t>(dice_.below(channels.size())));
  if (channel.queue().empty()) return;
  auto& to = dropped_to_[name];
  to = std::max(to, channel.queue().back().seq);
  broker_->orders().drop({}, name);
}

bool SimulatedBroker::is_done(const std::string& down) const {
  if (!host_ || broker_->has_work() || broker_->core().is_syncing() || executor_->journal_jobs()) return false;
  if (!broker_->core().deliveries().failing().empty()) return false;
  for (const auto& [alarm, standing] : broker_->core().alarms().standing()) {
    // Nobody has tried a circuit since whoever opened it went.
    const bool is_untried = alarm.starts_with("circuit/") &&
                            !broker_->core().deliveries().health(alarm.substr(alarm.find('/') + 1)).circuit_open;
    const bool may_stand = alarm.starts_with("dead-letters/") || alarm.starts_with("damage/") || is_untried ||
                           (!down.empty() && alarm.ends_with(down));
    if (!may_stand) return false;
  }
  for (const auto& [name, channel] : broker_->core().deliveries().channels()) {
    if (channel.open() && name != down) return false;
  }
  return ledger_.has_all_before(host_->synced());
}

std::string SimulatedBroker::standing_alarms() const {
  std::string names;
  if (!host_) return names;
  for (const auto& [name, alarm] : broker_->core().alarms().standing()) names += " " + name;
  return names;
}

Books SimulatedBroker::everything() {
  const DiskWeather::Aside aside(weather_);
  Books books = ledger_.books();
  const auto tail = host_->journal().tail({ledger_.complete_segment(), 0, 0});
  for (;;) {
    const auto next = tail->next(host_->journal().end());
    if (!next) {
      broken_("the journal cannot be read: " + next.error().what);
      return books;
    }
    if (!*next) return books;
    if (const auto broken = books.add((*next)->bytes); !broken.empty()) broken_("journal: " + broken);
  }
}

/// Of one thread, one delivery at a time is with a consumer of a channel.
void SimulatedBroker::check_threads() {
  for (const auto& [name, channel] : broker_->core().deliveries().channels()) {
    std::set<uint32_t> with_a_consumer;
    for (const Open& open : channel.queue()) {
      if (open.state == Open::State::UnderWay && open.key && !with_a_consumer.insert(open.key).second)
        return broken_("two of one thread are in flight in " + name);
    }
  }
}

/// An alarm stands while its condition does, and no longer.
void SimulatedBroker::check_alarms() {
  const Core& core = broker_->core();
  for (const auto& [name, channel] : core.deliveries().channels()) {
    const bool has_dead = core.deliveries().health(name).dead > 0;
    if (core.alarms().stands("dead-letters/" + name) != has_dead)
      return broken_(fmt::format("{} has {}dead letters, and its alarm does{} stand", name, has_dead ? "" : "no ",
                                 has_dead ? " not" : ""));
    const auto health = core.deliveries().health(name);
    const auto alarm = core.alarms().standing().find("circuit/" + name);
    if (health.circuit_open || alarm == core.alarms().standing().end()) {
      untried_.erase(name);
      continue;
    }
    Untried& untried = untried_[name];
    if (untried.since_ms != alarm->second.since_ms) untried = {alarm->second.since_ms, health.delivered};
    if (untried.delivered != health.delivered)
      return broken_(name + " delivers, and the alarm about its circuit stands");
  }
  if (!core.deliveries().failing().empty() && !core.alarms().stands("journal-read"))
    return broken_("what cannot be read raises no alarm");
}

/// No segment went while something in it is open.
void SimulatedBroker::check_bodies() {
  std::set<uint64_t> there;
  for (const auto& segment : host_->journal().segments()) there.insert(segment.id);
  for (const auto& [name, channel] : broker_->core().deliveries().channels()) {
    for (const Open& open : channel.queue()) {
      if (open.state == Open::State::Settled || open.state == Open::State::Unsynced) continue;
      if (!there.contains(open.at.segment)) {
        return broken_(fmt::format("segment {} went, and {} of {} is open in it", open.at.segment, open.seq, name));
      }
    }
  }
}

/// What snapshot and replay made is what every record since the first day makes.
void SimulatedBroker::check_recovered(const Books& books) {
  std::set<Books::Place> expected, found;
  std::map<Books::Place, Parts> known;
  for (const auto& [seq, entry] : books.signals) {
    for (const auto& channel : entry.channels) {
      if (!books.settled.contains({channel, seq})) expected.insert({channel, seq});
    }
  }
  for (const auto& [name, channel] : broker_->core().deliveries().channels()) {
    for (const Open& open : channel.queue()) {
      // What recovery itself has to say is no record yet.
      if (open.state == Open::State::Settled || open.state == Open::State::Unsynced) continue;
      found.insert({name, open.seq});
      const auto parts = channel.parts.find(open.delivery);
      if (parts == channel.parts.end()) continue;
      known[{name, open.seq}] = parts_of(parts->second);
    }
  }
  // Its letter was durable and its settling was not: recovery has settled it.
  const DiskWeather::Aside aside(weather_);
  for (const auto& [key, place] : letters().letters()) {
    const auto letter = letters().read(key);
    if (!letter || found.contains({key.channel, letter->seqs[0]})) continue;
    // Where its text rotted since, there is nothing left to be settled.
    if (expected.erase({key.channel, letter->seqs[0]}) && lost_texts_.contains(letter->seqs[0]))
      told_missing_.insert(letter->seqs[0]);
  }
  // The text of an open one rotted: it is missing, and the first start says so (and those before the next snapshot).
  std::set<uint64_t> missing;
  std::erase_if(expected, [&](const auto& place) {
    const bool is_missing = !found.contains(place) && lost_texts_.contains(place.seq);
    if (is_missing) missing.insert(place.seq);
    return is_missing;
  });
  const auto told = broker_->damage().find("journal");
  if (told != broker_->damage().end() && missing.empty()) return broken_(told->second + ", and nothing is");
  for (const uint64_t seq : missing) {
    if (!told_missing_.insert(seq).second) continue;
    if (told == broker_->damage().end() || told->second.find(fmt::format(" {}", seq)) == std::string::npos)
      return broken_(fmt::format("signal {} is missing, and that was not told", seq));
  }
  if (expected != found)
    return broken_(
        fmt::format("{} deliveries are open after a restart, and by the records {}", found.size(), expected.size()));
  for (const auto& place : found) {
    const auto told = books.parts.find(place);
    const Parts by_the_records = told == books.parts.end() ? Parts{} : told->second;
    if (known[place] != by_the_records)
      return broken_(fmt::format("of {} of {} these parts are known: {}; and by the records: {}", place.seq,
                                 place.channel, text(known[place]), text(by_the_records)));
  }
}

void SimulatedBroker::check_nothing_kept() {
  for (const auto& [name, channel] : broker_->core().deliveries().channels()) {
    if (!channel.queue().empty() || !channel.parts.empty() || !channel.losses.empty() || channel.due())
      return broken_("something is kept of what is settled in " + name);
  }
  if (!broker_->core().deliveries().failing().empty()) broken_("something settled is still said to be unreadable");
}

void SimulatedBroker::check_ledger(Now now) {
  if (!audit_) return;
  if (const auto broken = audit_->check(books(), host_->synced(), now); !broken.empty()) broken_(broken);
}

/// Every delivery that ended as a dead letter is there with its text, until the operator closes it.
void SimulatedBroker::check_letters(const Books& books) {
  const DiskWeather::Aside aside(weather_);
  for (const auto& [place, settling] : books.settled) {
    const DeadLetters::Key key{place.channel, settling.delivery};
    if (settling.state != SettledRecord::DEAD || was_closed(key)) continue;
    const auto letter = letters().read(key);
    if (!letter) return broken_(fmt::format("dead letter of {} {}: {}", place.channel, place.seq, letter.error().what));
    if (Record record; record.ParseFromString(settling.record)) {
      Parts settled, kept;
      for (const auto& part : record.settled().parts()) take(settled, part);
      for (const auto& encoded : letter->parts) {
        Part part;
        part.ParseFromString(encoded);
        take(kept, part);
      }
      if (settled != kept)
        return broken_(fmt::format("dead letter of {} {} has the parts {}; it was settled with {}", place.channel,
                                   place.seq, text(kept), text(settled)));
    }
    const auto signal = books.signals.find(place.seq);
    if (lost_texts_.contains(place.seq) && letter->signals == std::vector{std::string()}) continue;
    if (signal == books.signals.end() || letter->seqs != std::vector{place.seq} ||
        letter->signals != std::vector{signal->second.bytes})
      return broken_(fmt::format("dead letter of {} {} lost its text: {}", place.channel, place.seq, letter->cause));
  }
}

}  // namespace detent::test
