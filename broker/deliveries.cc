#include "broker/deliveries.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <utility>

#include "base/result.h"
#include "proto/journal.pb.h"
#include "proto/reader.h"
#include "proto/wire.pb.h"

namespace detent {

namespace {
constexpr size_t kMaxItems = 256;         // deliveries of one frame
constexpr size_t kMaxBytes = 512 * 1024;  // … and their bytes, from which on no more are added
constexpr size_t kPatience = 64;          // handed to one consumer of a channel before the channel's next has its turn
}  // namespace

Deliveries::Deliveries(Options options, Sessions& sessions, Alarms& alarms, SignalValidator& validator, Batch& batch,
                       std::vector<Outgoing>& outgoing, CoreCounters& counters, uint64_t seed)
    : options_(options),
      sessions_(sessions),
      alarms_(alarms),
      validator_(validator),
      batch_(batch),
      outgoing_(outgoing),
      counters_(counters),
      random_(seed) {}

Channel& Deliveries::channel(std::string_view name) {
  const auto found = channels_.find(name);
  if (found != channels_.end()) return found->second;
  return channels_.emplace(std::string(name), Channel(std::string(name))).first->second;
}

ChannelConsumers& Deliveries::consumers(std::string_view name) {
  const auto found = consumers_.find(name);
  if (found != consumers_.end()) return found->second;
  return consumers_.emplace(std::string(name), ChannelConsumers{}).first->second;
}

void Deliveries::admit(Open open, const Route& route) {
  for (const auto& name : route.channels) {
    channel(name).admit(open);
    open.copy = route.copies;  // all but the first
  }
}

void Deliveries::admit_for_ever(Open open, const Route& route) {
  open.expires_s = 0;
  admit(open, route);
}

void Deliveries::restore(Channel& home, const Open& open) {
  home.restore(open);
  count_segment(open.at.segment, 1);
}

uint64_t Deliveries::recorded(uint64_t delivery, uint64_t first_seq) {
  if (!delivery) delivery = first_seq;
  next_delivery_ = std::max(next_delivery_, delivery + 1);
  return delivery;
}

// ---- a turn

void Deliveries::flush(Now now) {
  for (auto& [name, home] : channels_) {
    home.wake_due(now);  // also where nobody can take them, or `deadline` would stay in the past
    if (home.has_ready()) pump(home, now);
  }
  while (!letters_due_.empty() && letters_due_.begin()->first <= now.mono) {
    const DeliveryKey key = std::move(letters_due_.begin()->second);
    letters_due_.erase(letters_due_.begin());
    Channel& home = channel(key.channel);
    const GivenUp& given_up = given_up_.at(key);
    write_letter(home, *home.find(given_up.seq), given_up.cause, now);
  }
}

void Deliveries::sweep(Now now) {
  for (auto& entry : channels_) {
    Channel& home = entry.second;
    home.sweep(20'000, [&](Open& open) { expire(home, open, now); });
    enforce_backlog_limit(home, now);
    // A circuit whose opener left stays an alarm until a delivery succeeds, or until there is none to try.
    if (!home.open() && !alarms_.standing().empty() && !consumers(entry.first).circuit_open)
      alarms_.clear("circuit/" + entry.first, entry.first + " has nothing left to deliver", now);
  }
  if (failing_.empty()) clear_failing(now);
}

Millis Deliveries::deadline() const {
  Millis soonest = Millis::max();
  for (const auto& [name, home] : channels_) {
    if (const auto due = home.due()) soonest = std::min(soonest, *due);
  }
  if (!letters_due_.empty()) soonest = std::min(soonest, letters_due_.begin()->first);
  return soonest;
}

std::vector<NewDeadLetter> Deliveries::take_work() {
  begun_under_way_ = std::exchange(begun_, {});
  return std::exchange(new_dead_letters_, {});
}

void Deliveries::journalled(uint64_t last_seq, uint32_t segment, uint32_t base) {
  for (auto& [name, home] : channels_) {
    if (const size_t count = home.journalled(last_seq, segment, base)) {
      count_segment(segment, static_cast<int64_t>(count));
    }
  }
  for (const auto& begun : std::exchange(begun_under_way_, {})) {
    BegunDurable durable;
    durable.set_channel(begun.channel);
    durable.set_delivery(begun.delivery);
    durable.set_part(begun.part);
    sessions_.send(begun.session, Frame::kBegunDurable, durable.SerializeAsString());
  }
}

// ---- handing out

void Deliveries::pump(Channel& home, Now now) {
  auto& served = consumers(home.name());
  if (draining_ || served.circuit_open || served.sessions.empty() || now.mono < served.unread_until) return;
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
      in_hand.emplace(delivery, Consumer::Held{open->seq, open->at.size});
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
      outgoing_.push_back({session->peer, {}, std::move(bodies)});
      without = 0;
    } else {
      ++without;
    }
  }
}

bool Deliveries::expire(Channel& home, Open& open, Now now) {
  if (!open.expires_s || int64_t{open.expires_s} * 1000 > now.wall.count()) return false;
  if (open.state == Open::State::Unsynced || open.state == Open::State::GivenUp) return false;
  if (open.state == Open::State::UnderWay && under_way_somewhere(home.name(), open.delivery)) return false;
  if (home.parts.contains(open.delivery)) return false;  // begun: perhaps it is there already: the consumer decides
  append_settled(home, open, SettledRecord::EXPIRED, {}, {}, now);
  ++counters_.expired;
  finish(home, open.seq);
  return true;
}

uint64_t Deliveries::delivery_of(Open& open) {
  if (!open.delivery) {
    CHECK(next_delivery_ <= Open::kMaxDelivery, "there are ids for every delivery");
    open.delivery = next_delivery_++;
  }
  return open.delivery;
}

bool Deliveries::under_way_somewhere(const std::string& name, uint64_t delivery) const {
  const auto served = consumers_.find(name);
  if (served == consumers_.end()) return false;
  for (const uint64_t id : served->second.sessions) {
    if (holders_.at(id).in_hand(name, delivery)) return true;
  }
  return false;
}

bool Deliveries::is_beginning(std::string_view name, uint64_t delivery, uint32_t part) const {
  // Until it is durable, nothing is sent because of it.
  const auto begins = [&](const Beginning& one) {
    return one.first && one.delivery == delivery && one.part == part && one.channel == name;
  };
  return std::any_of(begun_.begin(), begun_.end(), begins) ||
         std::any_of(begun_under_way_.begin(), begun_under_way_.end(), begins);
}

void Deliveries::finish(Channel& home, uint64_t seq) {
  const Open* open = home.find(seq);
  CHECK(open && open->state != Open::State::Unsynced, "only what is durable is settled");
  count_segment(open->at.segment, -1);
  if (!failing_.empty())
    failing_.erase({home.name(), open->delivery});  // `readable`, or the next sweep, ends the alarm
  home.settle(seq);
}

void Deliveries::append_settled(Channel& home, const Open& open, int state,
                                const std::map<uint32_t, std::string>& parts, std::string_view cause, Now now) {
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

// ---- to look at

Deliveries::Health Deliveries::health(std::string_view name) const {
  Health health;
  if (const auto found = consumers_.find(name); found != consumers_.end()) {
    health.circuit_open = found->second.circuit_open;
    health.why = found->second.why;
    health.under_way = found->second.under_way;
    health.consumers = found->second.sessions.size();
    health.delivered = found->second.delivered;
    if (const auto home = channels_.find(name); home != channels_.end() && home->second.open()) {
      health.trouble = found->second.trouble;
      health.trouble_since_ms = found->second.trouble_since_ms;
    }
  }
  if (const auto found = dead_.find(name); found != dead_.end()) health.dead = found->second.size();
  return health;
}

std::set<uint32_t> Deliveries::segments_in_use() const {
  std::set<uint32_t> used;
  for (const auto& [segment, count] : in_segment_) used.insert(segment);
  return used;
}

void Deliveries::count_segment(uint32_t segment, int64_t change) {
  auto& count = in_segment_[segment];
  count += static_cast<uint64_t>(change);
  if (count == 0) in_segment_.erase(segment);
}

bool Deliveries::credit_is_sound() const {
  for (const auto& [name, served] : consumers_) {
    uint64_t under_way = 0;
    for (const auto& [id, consumer] : holders_) {
      if (const auto held = consumer.under_way.find(name); held != consumer.under_way.end())
        under_way += held->second.size();
    }
    if (under_way != served.under_way) return false;
  }
  for (const auto& [id, consumer] : holders_) {
    for (const auto& [name, credit] : consumer.credit) {
      if (credit.count > (uint64_t{1} << 40) || credit.bytes > (uint64_t{1} << 50)) return false;  // went below zero
    }
  }
  return true;
}

}  // namespace detent
