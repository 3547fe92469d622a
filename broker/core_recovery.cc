#include "broker/core_recovery.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "base/result.h"
#include "broker/records.h"
#include "proto/journal.pb.h"
#include "proto/reader.h"
#include "proto/signal.pb.h"
#include "proto/wire.pb.h"

namespace detent {

namespace {
uint64_t first_of(const google::protobuf::RepeatedField<uint64_t>& seqs) { return seqs.empty() ? 0 : seqs[0]; }
}  // namespace

bool CoreRecovery::Past::is_settled(uint64_t seq) const {
  if (seq < floor) return true;
  auto after = std::upper_bound(settled.begin(), settled.end(), seq,
                                [](uint64_t wanted, const auto& range) { return wanted < range.first; });
  return after != settled.begin() && seq < std::prev(after)->second;
}

std::string snapshot_of(const Admission& admission, const Deliveries& deliveries, const Alarms& alarms) {
  Snapshot snapshot;
  snapshot.set_next_seq(admission.next_seq());
  snapshot.set_next_delivery(deliveries.next_delivery());
  for (const auto& [name, home] : deliveries.channels()) {
    auto* out = snapshot.add_channels();
    out->set_name(name);
    const uint64_t floor = home.floor(admission.next_seq());
    out->set_floor(floor);
    uint64_t last = floor;
    for (const auto& [begin, end] : home.settled(admission.next_seq())) {
      out->add_settled(begin - last);
      out->add_settled(end - begin);
      last = end;
    }
    for (const Open& one : home.queue()) {
      if (one.state == Open::State::Settled || !one.delivery) continue;
      auto* open = out->add_open();
      open->add_seqs(one.seq);
      open->set_delivery(one.delivery);
      open->set_attempts(one.attempts);
      const auto known = home.parts.find(one.delivery);
      if (known == home.parts.end()) continue;
      for (const auto& [number, part] : known->second) open->add_parts()->ParseFromString(part);
    }
  }
  for (const auto& [name, alarm] : alarms.standing()) {
    auto* out = snapshot.add_standing();
    out->set_alarm(name);
    out->set_at_ms(alarm.since_ms);
    out->set_cause(alarm.cause);
  }
  return snapshot.SerializeAsString();
}

void CoreRecovery::restore(std::string_view bytes) {
  Snapshot snapshot;
  CHECK(snapshot.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())),
        "a snapshot whose checksum is right can be read");
  snapshot_next_ = snapshot.next_seq();
  admission_.restore_numbers(snapshot_next_);
  deliveries_.restore_ids(snapshot.next_delivery() ? snapshot.next_delivery() : snapshot_next_);
  for (const auto& in : snapshot.channels()) {
    auto& past = channels_[in.name()];
    past.floor = in.floor();
    uint64_t last = past.floor, settled = 0;
    for (int i = 0; i + 1 < in.settled_size(); i += 2) {
      const uint64_t begin = last + in.settled(i);
      last = begin + in.settled(i + 1);
      past.settled.emplace_back(begin, last);
      settled += last - begin;
    }
    open_ += snapshot_next_ - std::min(snapshot_next_, past.floor + settled);
    for (const auto& open : in.open()) {
      for (const uint64_t seq : open.seqs()) {
        auto& known = past.open[seq];
        known.delivery = deliveries_.recorded(open.delivery(), open.seqs(0));
        known.attempts = open.attempts();
        for (const auto& part : open.parts()) known.parts[part.part()] = part.SerializeAsString();
      }
    }
    deliveries_.channel(in.name());
  }
  for (const auto& alarm : snapshot.alarms()) alarms_.restore(alarm, {});
  for (const auto& alarm : snapshot.standing()) alarms_.restore(alarm.alarm(), {alarm.cause(), alarm.at_ms()});
}

void CoreRecovery::replay(std::string_view bytes, const RecordPosition& place, bool after_snapshot) {
  if (const auto admitted = read_admitted(bytes)) return replay_admitted(*admitted, place, after_snapshot);
  if (!after_snapshot) return;
  Record record;
  if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  if (record.has_begun()) {
    const auto& begun = record.begun();
    const uint64_t delivery = deliveries_.recorded(begun.delivery(), first_of(begun.seqs()));
    Channel& home = deliveries_.channel(begun.channel());
    for (const uint64_t seq : begun.seqs()) {
      Open* open = home.find(seq);
      if (!open) continue;
      open->delivery = delivery;
      if (begun.part().done() || begun.part().begun_ms()) {
        home.parts[delivery][begun.part().part()] = begun.part().SerializeAsString();
      } else if (const auto known = home.parts.find(delivery); known != home.parts.end()) {  // surely not taken
        known->second.erase(begun.part().part());
        if (known->second.empty()) home.parts.erase(known);
      }
    }
  } else if (record.has_settled()) {
    const auto& settled = record.settled();
    deliveries_.recorded(settled.delivery(), 0);
    for (const uint64_t seq : settled.seqs()) {
      replay_settled(deliveries_.channel(settled.channel()), seq);
      if (settled.state() == SettledRecord::DEAD) settled_dead_.emplace(settled.channel(), seq);
    }
  } else if (record.has_next_seq()) {
    admission_.restore_numbers(record.next_seq());
  } else if (record.has_raised()) {
    const auto& raised = record.raised();
    raised.over() ? alarms_.restore_cleared(raised.alarm())
                  : alarms_.restore(raised.alarm(), {raised.cause(), raised.at_ms()});
  }
}

void CoreRecovery::replay_admitted(const AdmittedView& admitted, const RecordPosition& place, bool after_snapshot) {
  Open open;
  open.seq = admitted.seq;
  open.repeat_unproven = admitted.repeat_unproven;
  // Numbers follow one another without gaps. What stands before the first record was dropped, or is in the snapshot.
  const uint64_t next = admission_.next_seq();
  if (next > 1 && open.seq > next) {
    auto& first = numbers_missing_.first;
    for (uint64_t seq = next; seq < open.seq && first.size() < MissingSignals::kNamed; ++seq) first.push_back(seq);
    numbers_missing_.count += open.seq - next;
  }
  admission_.restore_numbers(open.seq + 1);
  const SignalHeader head = read_header(admitted.signal);
  if (!admitted.revived && head.id.size() == 16 && !ids_.covered(place.segment)) {
    SignalId id;
    std::memcpy(id.data(), head.id.data(), id.size());
    ids_.remember(id, XXH3_64bits(admitted.signal.data(), admitted.signal.size()));
  }
  open.at = {static_cast<uint32_t>(place.segment), place.offset, place.length};
  open.admitted_s = static_cast<uint32_t>(admitted.at_ms / 1000);
  admission_.set_terms(open, head);
  if (admitted.revived) open.expires_s = 0;
  const bool copies = admitted.copies || head.needs_response;  // version 1 did not say so
  for (const auto name : admitted.channels) {
    if (!after_snapshot) {
      const auto past = channels_.find(name);
      if (past == channels_.end() || past->second.is_settled(open.seq)) continue;
    }
    open.copy = copies && name != admitted.channels.front();
    Channel& home = deliveries_.channel(name);
    if (!home.queue().empty() && home.queue().back().seq >= open.seq) continue;  // a batch kept twice
    open.attempts = 0;
    open.delivery = 0;
    if (const auto past = channels_.find(name); past != channels_.end()) {
      if (const auto known = past->second.open.find(open.seq); known != past->second.open.end()) {
        open.delivery = known->second.delivery;
        open.attempts = static_cast<uint16_t>(std::min(known->second.attempts, Open::kMaxAttempts));
        // Where there are none it was never begun, and may expire.
        if (!known->second.parts.empty()) home.parts[open.delivery] = known->second.parts;
      }
    }
    deliveries_.restore(home, open);
    if (!after_snapshot) --open_;
  }
}

void CoreRecovery::replay_settled(Channel& home, uint64_t seq) {
  const bool found = home.find(seq);
  const auto past = channels_.find(home.name());
  if (past != channels_.end() && seq < snapshot_next_ && !past->second.is_settled(seq) &&
      past->second.settled_since.insert(seq).second && !found) {
    --open_;  // its segment was dropped since
  }
  if (found) deliveries_.finish(home, seq);
}

void CoreRecovery::replay_dead(std::string_view bytes) {
  DeadRecord record;
  if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  if (record.has_letter()) {
    const auto& letter = record.letter();
    const uint64_t delivery = deliveries_.recorded(id_of(letter), 0);
    deliveries_.restore_dead({letter.channel(), delivery});
    Letter kept{{letter.seqs().begin(), letter.seqs().end()}, letter.cause(), {}};
    for (const auto& part : letter.parts()) kept.parts[part.part()] = part.SerializeAsString();
    letters_.insert_or_assign({letter.channel(), delivery}, std::move(kept));
  }
  if (record.has_closed()) {
    const DeliveryKey closed{record.closed().channel(), record.closed().delivery()};
    deliveries_.restore_closed(closed);
    letters_.erase(closed);
  }
}

std::set<uint64_t> CoreRecovery::without_record() {
  std::set<uint64_t> missing;
  if (open_ == 0) return missing;
  std::set<std::pair<std::string, uint64_t>> kept;  // as dead letters, with their texts
  for (const auto& [key, letter] : letters_) {
    for (const uint64_t seq : letter.seqs) kept.emplace(key.channel, seq);
  }
  for (const auto& entry : channels_) {
    const Past& past = entry.second;
    Channel& home = deliveries_.channel(entry.first);
    const auto look = [&](uint64_t first, uint64_t last) {
      for (uint64_t seq = first; seq < last; ++seq) {
        const bool is_known = past.settled_since.contains(seq) || home.find(seq) || kept.contains({entry.first, seq});
        if (!is_known) missing.insert(seq);
      }
    };
    uint64_t at = past.floor;
    for (const auto& [first, last] : past.settled) {
      look(at, first);
      at = last;
    }
    look(at, snapshot_next_);
  }
  return missing;
}

/// One that has a dead letter.
bool CoreRecovery::is_settled(const std::string& channel, uint64_t seq) const {
  if (settled_dead_.contains({channel, seq})) return true;
  if (seq >= snapshot_next_) return false;
  const auto past = channels_.find(channel);
  return past == channels_.end() || past->second.is_settled(seq);
}

MissingSignals CoreRecovery::finish(Now now) {
  // Before anything is settled here: what is settled is found no more.
  const auto open = without_record();
  // Its letter became durable, and the settling that follows did not.
  for (const auto& [key, letter] : letters_) {
    Channel& home = deliveries_.channel(key.channel);
    for (const uint64_t seq : letter.seqs) {
      if (Open* open = home.find(seq)) {
        open->delivery = key.delivery;
        home.parts[key.delivery] = letter.parts;  // what the consumer said last may be durable in the letter alone
        deliveries_.settle_dead(home, seq, letter.cause, now);
      } else if (!is_settled(key.channel, seq)) {
        deliveries_.settle_dead_without_record(key, seq, letter.parts, letter.cause, now);  // damaged meanwhile
      }
    }
  }
  deliveries_.settle_alarms(now);
  admission_.check_ids(now);
  MissingSignals missing;
  missing.count = open.size() + numbers_missing_.count;
  missing.first.assign(open.begin(), std::next(open.begin(), std::min(open.size(), MissingSignals::kNamed)));
  for (const uint64_t seq : numbers_missing_.first) {
    if (missing.first.size() < MissingSignals::kNamed) missing.first.push_back(seq);
  }
  return missing;
}

std::string MissingSignals::text() const {
  std::string text = fmt::format("{}", fmt::join(first, ", "));
  if (count > first.size()) text += fmt::format(" and {} more", count - first.size());
  return text;
}

}  // namespace detent
