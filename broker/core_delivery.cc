// Deliveries: from a channel's queue to a consumer with credit, and what became of them.
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/result.h"
#include "broker/core.h"
#include "broker/core_state.h"
#include "proto/journal.pb.h"
#include "proto/reader.h"
#include "proto/wire.pb.h"

namespace detent {

namespace {
constexpr size_t kMaxItems = 256;          // deliveries of one frame
constexpr size_t kMaxBytes = 512 * 1024;   // … and their bytes, from which on no more are added
constexpr size_t kMaxParts = 4096;         // of a delivery, as a Settled may have
constexpr uint64_t kMaxBuried = 16 << 20;  // bytes past a backlog's limit, buried of one channel in a sweep
constexpr size_t kMaxGivenUp = 10'000;     // of a channel, whose letters are not durable yet
constexpr Millis kUnreadPause{250};        // for a channel, after a body could not be read
constexpr Millis kUnreadFirst{500}, kUnreadLast{60'000};  // until that one is tried again
constexpr size_t kPatience = 64;  // deliveries taken for one channel before the next has its turn, per consumer
}  // namespace

void Core::pump(Channel& home, Now now) {
  auto& served = consumers(home.name());
  if (served.circuit_open || served.sessions.empty() || now.mono < served.unread_until) return;
  for (size_t without = 0; without < served.sessions.size();) {
    served.turn = (served.turn + 1) % served.sessions.size();
    Session* session = sessions_.find(served.sessions[served.turn]);
    Consumer& consumer = holders_.at(session->id);
    auto& credit = consumer.credit[home.name()];
    auto& in_hand = consumer.under_way[home.name()];
    std::unique_ptr<Outgoing::Bodies> bodies;
    size_t size = 0;
    // One consumer alone takes all it has credit for; several take turns.
    const size_t most = served.sessions.size() == 1 ? kMaxItems : kPatience;
    while (credit.count && credit.bytes && !consumer.has_its_hands_full() &&
           (!bodies || (bodies->items.size() < most && size < kMaxBytes))) {
      Open* open = home.take();
      if (!open) break;
      if (expire(home, *open, now)) continue;
      if (!bodies) bodies = std::make_unique<Outgoing::Bodies>(Outgoing::Bodies{session->id, 0, home.name(), {}});
      if (open->attempts < Open::kMaxAttempts) ++open->attempts;
      if (open->attempts > 1) ++counters_.redelivered;
      const uint64_t bytes = std::min<uint64_t>(credit.bytes, open->at.size);
      --credit.count;
      credit.bytes -= bytes;
      size += open->at.size;
      ++served.under_way;
      const uint64_t delivery = delivery_of(*open);
      in_hand.emplace_hint(in_hand.end(), delivery, Consumer::Held{open->seq, open->at.size});
      ++consumer.held;
      consumer.held_bytes += open->at.size;
      Outgoing::Item item{delivery,   open->seq,
                          bytes,      open->attempts,
                          open->at,   open->repeat_unproven,
                          open->copy, int64_t{open->admitted_s} * 1000,
                          {}};
      if (const auto known = home.parts.find(delivery); known != home.parts.end()) {
        // Whoever is told that a part was begun sends it without saying so again.
        for (const auto& [number, part] : known->second) {
          if (!is_beginning(home.name(), delivery, number)) item.parts.push_back(part);
        }
      }
      bodies->items.push_back(std::move(item));
    }
    if (bodies) {
      bodies->number = ++session->sent;
      outgoing.push_back({session->peer, {}, std::move(bodies)});
      without = 0;
    } else {
      ++without;
    }
  }
}

bool Core::expire(Channel& home, Open& open, Now now) {
  if (!open.expires_s || int64_t{open.expires_s} * 1000 > now.wall.count()) return false;
  if (open.state == Open::State::Unsynced || open.state == Open::State::GivenUp) return false;
  if (open.state == Open::State::UnderWay && under_way_somewhere(home.name(), open.delivery)) return false;
  if (home.parts.contains(open.delivery)) return false;  // begun: perhaps it is there already: the consumer decides
  append_settled(home, open, SettledRecord::EXPIRED, {}, {}, now);
  ++counters_.expired;
  finish(home, open.seq);
  return true;
}

uint64_t Core::delivery_of(Open& open) {
  if (!open.delivery) {
    CHECK(next_delivery_ <= Open::kMaxDelivery, "there are ids for every delivery");
    open.delivery = next_delivery_++;
  }
  return open.delivery;
}

bool Core::under_way_somewhere(const std::string& name, uint64_t delivery) const {
  const auto served = consumers_.find(name);
  if (served == consumers_.end()) return false;
  for (const uint64_t id : served->second.sessions) {
    if (holders_.at(id).in_hand(name, delivery)) return true;
  }
  return false;
}

bool Core::is_beginning(std::string_view name, uint64_t delivery, uint32_t part) const {
  return acks_->begins(name, delivery, part) || (acks_under_way_ && acks_under_way_->begins(name, delivery, part));
}

void Core::finish(Channel& home, uint64_t seq) {
  const Open* open = home.find(seq);
  CHECK(open && open->state != Open::State::Unsynced, "only what is durable is settled");
  count_segment(open->at.segment, -1);
  if (!failing_.empty())
    failing_.erase({home.name(), open->delivery});  // `readable`, or the next sweep, ends the alarm
  home.settle(seq);
}

void Core::append_settled(Channel& home, const Open& open, int state, const std::map<uint32_t, std::string>& parts,
                          std::string_view cause, Now now) {
  // Record{settled: SettledRecord{…}}, written by hand into the batch: every delivery ends with one.
  const auto at_ms = static_cast<uint64_t>(now.wall.count());
  size_t inside = wire::number_size(open.seq) + wire::bytes_size(home.name().size()) + wire::number_size(at_ms);
  if (open.delivery) inside += wire::number_size(open.delivery);
  if (state) inside += wire::number_size(static_cast<uint64_t>(state));
  for (const auto& [number, part] : parts) inside += wire::bytes_size(part.size());
  if (!cause.empty()) inside += wire::bytes_size(cause.size());
  const size_t size = wire::bytes_size(inside);
  char* at = batch_.begin(size);
  at = wire::put_head(at, Record::kSettledFieldNumber, inside);
  at = wire::put_number(at, SettledRecord::kSeqsFieldNumber, open.seq);
  at = wire::put_bytes(at, SettledRecord::kChannelFieldNumber, home.name());
  at = wire::put_number(at, SettledRecord::kAtMsFieldNumber, at_ms);
  if (state) at = wire::put_number(at, SettledRecord::kStateFieldNumber, static_cast<uint64_t>(state));
  for (const auto& [number, part] : parts) at = wire::put_bytes(at, SettledRecord::kPartsFieldNumber, part);
  if (!cause.empty()) at = wire::put_bytes(at, SettledRecord::kCauseFieldNumber, cause);
  if (open.delivery) wire::put_number(at, SettledRecord::kDeliveryFieldNumber, open.delivery);
  batch_.finish(size);
}

void Core::dead_letter(Channel& home, Open& open, std::string cause, Now now) {
  const uint64_t delivery = delivery_of(open);
  home.give_up(open.seq);
  write_letter(home, open, cause, now);
  given_up_.emplace(DeliveryKey{home.name(), delivery}, GivenUp{open.seq, std::move(cause)});
}

void Core::write_letter(const Channel& home, const Open& open, const std::string& cause, Now now) {
  NewDeadLetter letter{open.delivery, open.seq, home.name(), open.at, cause, open.attempts, now.wall.count(), {}};
  if (const auto known = home.parts.find(open.delivery); known != home.parts.end()) {
    for (const auto& [number, part] : known->second) letter.parts.push_back(part);
  }
  new_dead_letters_.push_back(std::move(letter));
}

void Core::dead_lettered(const std::vector<DeliveryKey>& written, const std::vector<DeliveryKey>& unread,
                         const std::string& why, Now now) {
  for (const auto& key : written) {
    const auto given_up = given_up_.extract(key);
    readable(key, now);
    settle_dead(channel(key.channel), given_up.mapped().seq, given_up.mapped().cause, now);
  }
  for (const auto& key : unread) {
    const RecordRef at = channel(key.channel).find(given_up_.at(key).seq)->at;
    letters_due_.emplace(now.mono + read_failed(key, at, why, now), key);
  }
}

void Core::settle_dead(Channel& home, uint64_t seq, const std::string& cause, Now now) {
  const Open& open = *home.find(seq);
  const uint64_t delivery = open.delivery;
  std::map<uint32_t, std::string> parts;
  if (const auto known = home.parts.find(delivery); known != home.parts.end()) parts = known->second;
  append_settled(home, open, SettledRecord::DEAD, parts, cause, now);
  ++counters_.dead;
  finish(home, seq);
  dead_[home.name()].insert(delivery);
  alarms_.raise(
      "dead-letters/" + home.name(), fmt::format("a delivery to {} was given up: {}", home.name(), cause),
      fmt::format(
          "It is kept with its full text: `detent dead list`, and `detent dead retry --channel {}` brings it back.",
          home.name()),
      now);
}

void Core::dead_letter_closed(const DeliveryKey& letter, Now now) {
  const auto found = dead_.find(letter.channel);
  if (found == dead_.end()) return;
  found->second.erase(letter.delivery);
  if (found->second.empty())
    alarms_.clear("dead-letters/" + letter.channel, letter.channel + " has no dead letters", now);
}

// ---- what the journal does not give at the moment

void Core::bodies_read(const Outgoing::Bodies& bodies, const Unread& unread, Now now) {
  if (!failing_.empty()) {
    const auto is_in = [](const std::vector<Outgoing::Item>& items, uint64_t id) {
      return std::any_of(items.begin(), items.end(), [&](const auto& item) { return item.delivery == id; });
    };
    for (const auto& item : bodies.items) {
      const uint64_t id = item.delivery;
      if (!is_in(unread.lost, id) && !is_in(unread.failed, id) && !is_in(unread.untried, id))
        readable({bodies.channel, id}, now);
    }
  }
  if (unread.empty()) return;
  Channel& home = channel(bodies.channel);
  auto& served = consumers(bodies.channel);
  // The consumer never sees it, and so gives nothing back for it.
  const auto take_back = [&](const Outgoing::Item& item) -> Open* {
    const auto holder = holders_.find(bodies.session);
    if (holder == holders_.end() || !holder->second.take_back(bodies.channel, item.delivery)) return nullptr;
    --served.under_way;
    auto& credit = holder->second.credit[bodies.channel];
    ++credit.count;
    credit.bytes += item.credit;
    Open* open = home.find(item.seq);
    if (open && open->attempts) --open->attempts;
    return open;
  };
  for (const auto& item : unread.lost) {
    if (Open* open = take_back(item)) {
      dead_letter(home, *open, "its text cannot be read from the journal any more", now);
    }
  }
  for (const auto& item : unread.failed) {
    if (!take_back(item)) continue;
    served.unread_until = now.mono + kUnreadPause;
    home.put_back(item.seq, now.mono + read_failed({home.name(), item.delivery}, item.at, unread.why, now), now);
  }
  for (const auto& item : unread.untried) {
    if (take_back(item)) home.put_back(item.seq, now.mono, now);
  }
}

Millis Core::read_failed(const DeliveryKey& delivery, const RecordRef& at, const std::string& why, Now now) {
  auto& failing = failing_[delivery];
  failing.at = at;
  const Millis wait = std::min(kUnreadLast, kUnreadFirst * (1 << std::min(failing.times++, 10U)));
  alarms_.raise(
      "journal-read", "the journal cannot be read: " + why,
      "Nothing is lost: what cannot be read waits, and is delivered when it can be. Look at the disk and at the "
      "broker's limit of open files.",
      now);
  return wait;
}

void Core::readable(const DeliveryKey& delivery, Now now) {
  if (failing_.erase(delivery) && failing_.empty()) alarms_.clear("journal-read", kJournalReads, now);
}

void Core::check_ids(Now now) {
  ids_.probe();
  if (ids_.failing()) {
    alarms_.raise(
        "ids-read", "a file of ids cannot be read: " + ids_.failing()->what,
        "Signals whose ids may be in it are refused until it can be, since a repeat could not be told from a new one. "
        "Look at the disk and at the broker's limit of open files.",
        now);
  } else {
    alarms_.clear("ids-read", kIdsRead, now);
  }
}

void Core::enforce_backlog_limit(Channel& home, Now now) {
  const auto oldest_s = (now.wall - options_.backlog_age).count() / 1000;
  uint64_t buried = 0;
  // Giving up settles nothing yet, so the queue stays as it is meanwhile.
  for (size_t at = 0, bound = 0; at < home.queue().size() && bound < 10'000 && buried < kMaxBuried; ++at) {
    const Open& oldest = home.queue()[at];
    if (oldest.state == Open::State::Unsynced) return;
    if (oldest.state == Open::State::Settled || oldest.state == Open::State::UnderWay ||
        oldest.state == Open::State::GivenUp)
      continue;
    const bool too_old = int64_t{oldest.admitted_s} < oldest_s;
    if (home.bytes() <= options_.backlog_bytes && !too_old) return;
    if (given_up_.size() >= kMaxGivenUp) return;
    buried += oldest.at.size;
    ++bound;
    dead_letter(home, *home.find(oldest.seq), "backlog", now);
  }
}

void Core::circuit_closed(const std::string& name, Now now) {
  alarms_.clear("circuit/" + name, name + " is delivering again", now);
}

bool Core::drop_channel(std::string_view name, Now now) {
  const auto found = channels_.find(name);
  if (found == channels_.end()) return false;
  Channel& home = found->second;
  std::vector<uint64_t> idle;
  for (const Open& open : home.queue()) {
    if (open.state == Open::State::Unsynced) break;
    const bool is_idle =
        open.state != Open::State::Settled && open.state != Open::State::UnderWay && open.state != Open::State::GivenUp;
    if (is_idle) idle.push_back(open.seq);
  }
  // Of those given up, the ones whose letters are not just being written.
  for (auto it = letters_due_.begin(); it != letters_due_.end();) {
    if (it->second.channel != name) {
      ++it;
      continue;
    }
    idle.push_back(given_up_.extract(it->second).mapped().seq);
    it = letters_due_.erase(it);
  }
  for (const uint64_t seq : idle) {
    append_settled(home, *home.find(seq), SettledRecord::DROPPED, {}, "the operator dropped the channel", now);
    ++counters_.dropped;
    finish(home, seq);
  }
  return true;
}

// ---- consumers speak

bool Core::serves(const Session& session, std::string_view name, Now now) {
  if (std::find(session.channels.begin(), session.channels.end(), name) != session.channels.end()) return true;
  sessions_.not_allowed(session, fmt::format("\"{}\" is not a channel of this session", name), now);
  return false;
}

void Core::on_credit(const Session& session, std::string_view body, Now now) {
  Credit credit;
  if (!credit.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return sessions_.malformed(session, "Credit cannot be read", now);
  }
  if (!serves(session, credit.channel(), now)) return;
  auto& has = holders_.at(session.id).credit[credit.channel()];
  has.count = std::min<uint64_t>(has.count + credit.count(), 1 << 20);
  has.bytes = std::min<uint64_t>(has.bytes + credit.bytes(), uint64_t{1} << 40);
}

void Core::on_begun(const Session& session, std::string_view body, Now now) {
  Begun begun;
  if (!begun.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return sessions_.malformed(session, "Begun cannot be read", now);
  }
  Consumer& consumer = holders_.at(session.id);
  const auto seq = consumer.in_hand(begun.channel(), begun.delivery());
  if (!seq) {
    ++counters_.stale;
    Stale stale;
    stale.set_channel(begun.channel());
    stale.add_deliveries(begun.delivery());
    return send(session.id, Frame::kStale, stale.SerializeAsString());
  }
  Channel& home = channel(begun.channel());
  if (const auto known = home.parts.find(begun.delivery());
      known != home.parts.end() && known->second.size() >= kMaxParts && !known->second.contains(begun.part().part())) {
    return sessions_.malformed(session, fmt::format("a delivery has over {} parts", kMaxParts), now);
  }
  consumer.begun[begun.channel()].insert(begun.delivery());
  begun.mutable_part()->set_begun_ms(begun.part().begun_ms() ? begun.part().begun_ms() : now.wall.count());
  const uint32_t number = begun.part().part();
  std::string& part = home.parts[begun.delivery()][number];
  Part before;
  const bool was_begun = before.ParseFromString(part) && (before.done() || before.begun_ms() > 0);
  const bool first = !was_begun || is_beginning(begun.channel(), begun.delivery(), number);
  part = begun.part().SerializeAsString();
  Record record;
  auto* out = record.mutable_begun();
  out->add_seqs(*seq);
  out->set_delivery(begun.delivery());
  out->set_channel(begun.channel());
  out->set_at_ms(now.wall.count());
  *out->mutable_part() = begun.part();
  batch_.append(record.SerializeAsString());
  if (!begun.part().done()) acks_->begun.push_back({session.id, begun.channel(), begun.delivery(), number, first});
}

void Core::on_settle(const Session& session, std::string_view body, Now now) {
  Settle settle;
  if (!settle.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return sessions_.malformed(session, "Settle cannot be read", now);
  }
  if (!serves(session, settle.channel(), now)) return;
  Channel& home = channel(settle.channel());
  auto& served = consumers(settle.channel());
  Consumer& consumer = holders_.at(session.id);
  Stale stale;
  const auto take_back = [&](uint64_t delivery) -> Open* {
    if (const auto seq = consumer.take_back(home.name(), delivery)) {
      --served.under_way;
      if (Open* open = home.find(*seq)) return open;  // else it was dropped meanwhile
    }
    ++counters_.stale;
    stale.add_deliveries(delivery);
    return nullptr;
  };
  for (const uint64_t delivery : settle.delivered()) {
    if (Open* open = take_back(delivery)) settle_outcome(home, *open, DELIVERED, {}, {}, 0, now);
  }
  for (auto& one : *settle.mutable_settled()) {
    validator_.mask(*one.mutable_cause());  // it goes to the ledger, and an alarm may tell it
    Open* open = take_back(one.delivery());
    if (!open) continue;
    std::map<uint32_t, std::string> parts;
    for (const auto& part : one.parts()) parts[part.part()] = part.SerializeAsString();
    settle_outcome(home, *open, one.outcome(), std::move(parts), one.cause(), one.delay_ms(), now);
  }
  if (settle.has_circuit() && settle.circuit().open() != served.circuit_open) {
    served.circuit_open = settle.circuit().open();
    served.opened_by = served.circuit_open ? session.id : 0;
    served.why = settle.circuit().why();
    validator_.mask(served.why);
    if (served.circuit_open) {
      alarms_.raise("circuit/" + home.name(), fmt::format("circuit open: {}: {}", home.name(), served.why),
                    "Its signals are kept, and delivered when it works again.", now);
    } else {
      circuit_closed(home.name(), now);
    }
  }
  if (stale.deliveries_size()) {
    stale.set_channel(settle.channel());
    send(session.id, Frame::kStale, stale.SerializeAsString());
  }
}

void Core::settle_outcome(Channel& home, Open& open, int outcome, std::map<uint32_t, std::string> parts,
                          const std::string& cause, uint32_t delay_ms, Now now) {
  if (const auto known = home.parts.find(open.delivery); known != home.parts.end()) {
    for (const auto& [number, part] : known->second) parts.emplace(number, part);  // what was just said counts more
  }
  if (outcome == NOT_NOW || outcome == GIVEN_UP) {
    if (!parts.empty()) home.parts[open.delivery] = parts;
  }
  switch (outcome) {
    case NOT_NOW: {
      const Millis wait = delay_ms ? Millis{delay_ms} : options_.backoff.after(open.attempts, random_);
      if (auto& served = consumers(home.name()); !cause.empty() && !served.circuit_open) {
        const bool first = open.attempts <= 1 && !home.due();
        if (served.trouble.empty() || first) served.trouble_since_ms = now.wall.count();
        served.trouble = cause;
      }
      home.losses.erase(open.delivery);
      home.put_back(open.seq, now.mono + wait, now);
      return;
    }
    case GIVEN_UP:
      return dead_letter(home, open, cause.empty() ? "given up" : cause, now);
    case UNKNOWN:
      ++counters_.unknown;
      append_settled(home, open, SettledRecord::UNKNOWN, parts, cause, now);
      break;
    case EXPIRED:
      ++counters_.expired;
      append_settled(home, open, SettledRecord::EXPIRED, parts, cause, now);
      break;
    default:
      ++counters_.delivered;
      ++consumers(home.name()).delivered;
      if (!home.due()) consumers(home.name()).trouble.clear();
      // The session that opened the circuit may have ended before it could say that all is well.
      if (!alarms_.standing().empty() && !consumers(home.name()).circuit_open) circuit_closed(home.name(), now);
      append_settled(home, open, SettledRecord::DELIVERED, parts, cause, now);
      break;
  }
  finish(home, open.seq);
}

}  // namespace detent
