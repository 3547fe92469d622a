// Deliveries that are given up, and those whose texts the journal does not give at the moment.
#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "broker/deliveries.h"
#include "proto/journal.pb.h"

namespace detent {

namespace {
constexpr uint64_t kMaxGivenUpBytes = 16 << 20;    // bytes past a backlog's limit, given up of one channel in a sweep
constexpr size_t kMaxGivenUp = 10'000;             // of a channel, whose letters are not durable yet
const std::string kDeadLetters = "dead-letters/";  // of a channel: the name of its alarm
constexpr Millis kUnreadPause{250};                // for a channel, after a body could not be read
constexpr Millis kUnreadFirst{500}, kUnreadLast{60'000};  // until that one is tried again

/// It waits, durable, and nobody is at it.
bool is_idle(const Open& open) {
  using State = Open::State;
  return open.state != State::Unsynced && open.state != State::Settled && open.state != State::UnderWay &&
         open.state != State::GivenUp;
}
}  // namespace

void Deliveries::dead_letter(Channel& home, Open& open, std::string cause, Now now) {
  const uint64_t delivery = delivery_of(open);
  home.give_up(open.seq);
  write_letter(home, open, cause, now);
  given_up_.emplace(DeliveryKey{home.name(), delivery}, GivenUp{open.seq, std::move(cause)});
}

void Deliveries::write_letter(const Channel& home, const Open& open, const std::string& cause, Now now) {
  NewDeadLetter letter{open.delivery, open.seq, home.name(), open.at, cause, open.attempts, now.wall.count(), {}};
  if (const auto known = home.parts.find(open.delivery); known != home.parts.end()) {
    for (const auto& [number, part] : known->second) letter.parts.push_back(part);
  }
  new_dead_letters_.push_back(std::move(letter));
}

void Deliveries::dead_lettered(const std::vector<DeliveryKey>& written, const std::vector<DeliveryKey>& unread,
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

void Deliveries::settle_dead(Channel& home, uint64_t seq, const std::string& cause, Now now) {
  const Open& open = *home.find(seq);
  const uint64_t delivery = open.delivery;
  std::map<uint32_t, std::string> parts;
  if (const auto known = home.parts.find(delivery); known != home.parts.end()) parts = known->second;
  append_settled(home, open, SettledRecord::DEAD, parts, cause, now);
  ++counters_.dead;
  finish(home, seq);
  dead_[home.name()].insert(delivery);
  raise_dead_letters(home.name(), fmt::format("a delivery to {} was given up: {}", home.name(), cause), now);
}

void Deliveries::settle_dead_without_record(const DeliveryKey& letter, uint64_t seq,
                                            const std::map<uint32_t, std::string>& parts, const std::string& cause,
                                            Now now) {
  Open gone;
  gone.seq = seq;
  gone.delivery = letter.delivery;
  append_settled(channel(letter.channel), gone, SettledRecord::DEAD, parts, cause, now);
  ++counters_.dead;
}

void Deliveries::raise_dead_letters(const std::string& channel, const std::string& cause, Now now) {
  alarms_.raise(
      kDeadLetters + channel, cause,
      fmt::format(
          "It is kept with its full text: `detent dead list`, and `detent dead retry --channel {}` brings it back.",
          channel),
      now);
}

void Deliveries::settle_alarms(Now now) {
  for (const auto& [channel, letters] : dead_) {
    if (!letters.empty()) raise_dead_letters(channel, channel + " has dead letters", now);
  }
  const Alarms::Standing standing = alarms_.standing();
  for (const auto& [name, alarm] : standing) {
    if (!name.starts_with(kDeadLetters)) continue;
    const std::string channel = name.substr(kDeadLetters.size());
    const auto found = dead_.find(channel);
    if (found == dead_.end() || found->second.empty()) alarms_.clear(name, channel + " has no dead letters", now);
  }
  clear_failing(now);  // nothing has been tried yet
}

void Deliveries::dead_letter_closed(const DeliveryKey& letter, Now now) {
  const auto found = dead_.find(letter.channel);
  if (found == dead_.end()) return;
  found->second.erase(letter.delivery);
  if (found->second.empty()) alarms_.clear(kDeadLetters + letter.channel, letter.channel + " has no dead letters", now);
}

// ---- what the journal does not give at the moment

void Deliveries::bodies_read(const Outgoing::Bodies& bodies, const Unread& unread, Now now) {
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

Millis Deliveries::read_failed(const DeliveryKey& delivery, const RecordRef& at, const std::string& why, Now now) {
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

void Deliveries::readable(const DeliveryKey& delivery, Now now) {
  if (failing_.erase(delivery) && failing_.empty()) clear_failing(now);
}

void Deliveries::enforce_backlog_limit(Channel& home, Now now) {
  const auto oldest_s = (now.wall - options_.backlog_age).count() / 1000;
  uint64_t bytes = 0;
  // Giving up settles nothing yet, so the queue stays as it is meanwhile.
  for (size_t at = 0, bound = 0; at < home.queue().size() && bound < 10'000 && bytes < kMaxGivenUpBytes; ++at) {
    const Open& oldest = home.queue()[at];
    if (oldest.state == Open::State::Unsynced) return;
    if (!is_idle(oldest)) continue;
    const bool too_old = int64_t{oldest.admitted_s} < oldest_s;
    if (home.bytes() <= options_.backlog_bytes && !too_old) return;
    if (home.given_up() >= kMaxGivenUp) return;
    bytes += oldest.at.size;
    ++bound;
    dead_letter(home, *home.find(oldest.seq), "backlog", now);
  }
}

size_t Deliveries::drop(const std::string& name, uint64_t upto, size_t most, Now now) {
  const auto found = channels_.find(name);
  if (found == channels_.end()) return 0;
  Channel& home = found->second;
  std::vector<uint64_t> idle;
  for (const Open& open : home.queue()) {
    if (open.state == Open::State::Unsynced || open.seq > upto || idle.size() == most) break;
    if (is_idle(open)) idle.push_back(open.seq);
  }
  // Of those given up, the ones whose letters are not just being written.
  for (auto it = letters_due_.begin(); it != letters_due_.end() && idle.size() < most;) {
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
  return idle.size();
}

void Deliveries::clear_failing(Now now) { alarms_.clear("journal-read", "the journal can be read", now); }

}  // namespace detent
