// What consumers say of deliveries: what they take, what they have begun, and what became of it.
#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "broker/deliveries.h"
#include "proto/journal.pb.h"
#include "proto/wire.pb.h"

namespace detent {

namespace {
constexpr size_t kMaxParts = 4096;  // of a delivery, as a Settled may have

/// Whether, by the encoded part, the platform surely does not have it.
bool is_unsent(const std::string& part) {
  Part read;
  read.ParseFromString(part);
  return !read.done() && read.begun_ms() <= 0;
}
}  // namespace

void Deliveries::opened(const Session& session) {
  holders_.try_emplace(session.id);
  for (const auto& name : session.channels) {
    channel(name);
    consumers(name).sessions.push_back(session.id);
  }
}

void Deliveries::ended(const Session& session, Now now) {
  const auto holder = holders_.extract(session.id);
  if (!holder) return;
  for (const auto& name : session.channels) {
    auto& served = consumers(name);
    std::erase(served.sessions, session.id);
    if (served.opened_by == session.id) {  // whoever serves it from here on looks anew
      served.circuit_open = false;
      served.opened_by = 0;
      served.why.clear();
    }
  }
  const Consumer& consumer = holder.mapped();
  for (const auto& [name, held] : consumer.under_way) {
    Channel& home = channel(name);
    consumers(name).under_way -= held.size();
    const auto suspects = session.leaving ? std::set<uint64_t>{} : consumer.may_have_died_of(name);
    for (const auto& [delivery, one] : held) {
      Open* open = home.find(one.seq);
      if (!open) continue;
      if (suspects.contains(delivery) && ++home.losses[delivery] >= options_.max_losses) {
        dead_letter(home, *open, fmt::format("{} consumers died with it in hand", options_.max_losses), now);
      } else {
        home.put_back(one.seq, now.mono, now);
      }
    }
  }
}

bool Deliveries::serves(const Session& session, std::string_view name, Now now) {
  if (std::find(session.channels.begin(), session.channels.end(), name) != session.channels.end()) return true;
  sessions_.not_allowed(session, fmt::format("\"{}\" is not a channel of this session", name), now);
  return false;
}

void Deliveries::on_credit(const Session& session, std::string_view body, Now now) {
  Credit credit;
  if (!credit.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return sessions_.malformed(session, "Credit cannot be read", now);
  }
  if (!serves(session, credit.channel(), now)) return;
  auto& has = holders_.at(session.id).credit[credit.channel()];
  has.count = std::min<uint64_t>(has.count + credit.count(), 1 << 20);
  has.bytes = std::min<uint64_t>(has.bytes + credit.bytes(), uint64_t{1} << 40);
}

void Deliveries::on_begun(const Session& session, std::string_view body, Now now) {
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
    return sessions_.send(session.id, Frame::kStale, stale.SerializeAsString());
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
  const bool first = is_unsent(part) || is_beginning(begun.channel(), begun.delivery(), number);
  part = begun.part().SerializeAsString();
  append_begun(home, *seq, begun.delivery(), part, now);
  if (!begun.part().done()) begun_.push_back({session.id, begun.channel(), begun.delivery(), number, first});
}

void Deliveries::append_begun(const Channel& home, uint64_t seq, uint64_t delivery, const std::string& part, Now now) {
  Record record;
  auto* out = record.mutable_begun();
  out->add_seqs(seq);
  out->set_delivery(delivery);
  out->set_channel(home.name());
  out->set_at_ms(now.wall.count());
  out->mutable_part()->ParseFromString(part);
  batch_.append(record.SerializeAsString());
}

void Deliveries::on_settle(const Session& session, std::string_view body, Now now) {
  Settle settle;
  if (!settle.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return sessions_.malformed(session, "Settle cannot be read", now);
  }
  if (!serves(session, settle.channel(), now)) return;
  for (const auto& one : settle.settled()) {
    if (!Outcome_IsValid(one.outcome()))
      return sessions_.malformed(session, fmt::format("Settled has no outcome {}", int{one.outcome()}), now);
  }
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
                    "Its signals are kept, and delivered once the cause is removed.", now);
    } else {
      circuit_closed(home.name(), now);
    }
  }
  if (stale.deliveries_size()) {
    stale.set_channel(settle.channel());
    sessions_.send(session.id, Frame::kStale, stale.SerializeAsString());
  }
}

void Deliveries::circuit_closed(const std::string& name, Now now) {
  alarms_.clear("circuit/" + name, name + " is delivering again", now);
}

void Deliveries::settle_outcome(Channel& home, Open& open, int outcome, std::map<uint32_t, std::string> parts,
                                const std::string& cause, uint32_t delay_ms, Now now) {
  const auto found = home.parts.find(open.delivery);
  const std::map<uint32_t, std::string> known =
      found == home.parts.end() ? std::map<uint32_t, std::string>{} : found->second;
  // It stays open: until the delay is over, or until its dead letter is durable, which may be long after.
  const bool stays_open = outcome == NOT_NOW || outcome == GIVEN_UP;
  if (stays_open) {
    // It must outlast a restart: what surely was not taken would count as perhaps delivered, what arrived be sent
    // again.
    for (const auto& [number, part] : parts) {
      const auto before = known.find(number);
      const bool is_known = before == known.end() ? is_unsent(part) : part == before->second;
      if (!is_known) append_begun(home, open.seq, open.delivery, part, now);
    }
  }
  parts.insert(known.begin(), known.end());  // what was just said counts more
  if (stays_open) {
    std::erase_if(parts, [](const auto& part) { return is_unsent(part.second); });
    if (parts.empty()) {
      home.parts.erase(open.delivery);
    } else {
      home.parts[open.delivery] = parts;
    }
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
    case DELIVERED:
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
