#include "broker/channel.h"

#include <algorithm>

#include "base/result.h"

namespace detent {

using State = Open::State;

void Channel::admit(const Open& open) {
  CHECK(queue_.empty() || queue_.back().seq < open.seq, "signals are admitted in order");
  queue_.push_back(open);
  queue_.back().state = State::Unsynced;
  ++open_;
  bytes_ += open.at.size;
}

void Channel::restore(const Open& open) {
  admit(open);
  queue_.back().state = State::Fresh;
  unsynced_ = gone_ + queue_.size();
}

size_t Channel::journalled(uint64_t upto, uint32_t segment, uint32_t base) {
  size_t count = 0;
  if (unsynced_ < gone_) unsynced_ = gone_;
  for (; unsynced_ < gone_ + queue_.size(); ++unsynced_, ++count) {
    Open& open = queue_[unsynced_ - gone_];
    if (open.seq > upto) break;
    open.at.segment = segment;
    open.at.offset += base;
    if (open.state == Open::State::Unsynced) open.state = Open::State::Fresh;
  }
  return count;
}

Open* Channel::find(uint64_t seq) {
  // Most often every number is this channel's, and then the place tells itself.
  if (!queue_.empty() && seq >= queue_.front().seq && seq - queue_.front().seq < queue_.size()) {
    Open& open = queue_[seq - queue_.front().seq];
    if (open.seq == seq) return open.state == State::Settled ? nullptr : &open;
  }
  const auto found = std::lower_bound(queue_.begin(), queue_.end(), seq,
                                      [](const Open& open, uint64_t wanted) { return open.seq < wanted; });
  if (found == queue_.end() || found->seq != seq || found->state == State::Settled) return nullptr;
  return &*found;
}

bool Channel::has_ready() const { return !ready_.empty() || std::max(cursor_, gone_) < std::max(unsynced_, gone_); }

std::optional<Millis> Channel::due() const {
  if (waiting_.empty()) return std::nullopt;
  return waiting_.begin()->first;
}

void Channel::wake_due(Now now) {
  while (!waiting_.empty() && waiting_.begin()->first <= now.mono) {
    const uint64_t seq = waiting_.begin()->second;
    waiting_.erase(waiting_.begin());
    due_.erase(seq);
    find(seq)->state = State::Ready;
    ready_.insert(seq);
  }
}

Open* Channel::take() {
  if (!ready_.empty()) {
    Open* open = find(*ready_.begin());
    ready_.erase(ready_.begin());
    open->state = State::UnderWay;
    return open;
  }
  for (cursor_ = std::max(cursor_, gone_); cursor_ < unsynced_; ++cursor_) {
    Open& open = queue_[cursor_ - gone_];
    if (open.state != State::Fresh && open.state != State::GivenUp) continue;
    if (open.key) {
      Line& line = lines_[open.key];
      if (line.current) {
        if (open.state == State::Fresh) open.state = State::Blocked;
        line.behind.push_back(open.seq);
        continue;
      }
      line.current = open.seq;
    }
    if (open.state == State::GivenUp) continue;
    open.state = State::UnderWay;
    ++cursor_;
    return &open;
  }
  return nullptr;
}

void Channel::put_back(uint64_t seq, Millis due, Now now) {
  Open* open = find(seq);
  CHECK(open && open->state == State::UnderWay, "only what is under way comes back");
  if (due > now.mono) {
    open->state = State::Waiting;
    waiting_.insert({due, seq});
    due_.emplace(seq, due);
  } else {
    open->state = State::Ready;
    ready_.insert(seq);
  }
}

void Channel::unblock(const Open& settled) {
  if (!settled.key) return;
  const auto found = lines_.find(settled.key);
  if (found == lines_.end() || found->second.current != settled.seq) return;
  Line& line = found->second;
  line.current = 0;
  while (!line.behind.empty()) {
    const uint64_t seq = line.behind.front();
    line.behind.pop_front();
    if (Open* next = find(seq)) {
      line.current = seq;
      if (next->state == State::GivenUp) return;
      next->state = State::Ready;
      ready_.insert(seq);
      return;
    }
  }
  lines_.erase(found);
}

void Channel::stop_waiting(const Open& open) {
  if (open.state == State::Ready) ready_.erase(open.seq);
  if (open.state == State::Waiting) {
    const auto due = due_.find(open.seq);
    waiting_.erase({due->second, open.seq});
    due_.erase(due);
  }
}

void Channel::give_up(uint64_t seq) {
  Open* open = find(seq);
  CHECK(open && open->state != State::Unsynced && open->state != State::GivenUp, "only what is open is given up, once");
  stop_waiting(*open);
  open->state = State::GivenUp;
  ++given_up_;
  bytes_ -= open->at.size;
}

void Channel::settle(uint64_t seq) {
  Open* open = find(seq);
  CHECK(open, "only what is open is settled");
  stop_waiting(*open);
  if (open->state == State::GivenUp) {
    --given_up_;
  } else {
    bytes_ -= open->at.size;
  }
  open->state = State::Settled;
  --open_;
  ++holes_;
  if (!parts.empty()) parts.erase(open->delivery);
  if (!losses.empty()) losses.erase(open->delivery);
  unblock(*open);
  tidy();
}

void Channel::tidy() {
  while (!queue_.empty() && queue_.front().state == State::Settled) {
    queue_.pop_front();
    ++gone_;
    --holes_;
  }
  if (holes_ < 4096 || holes_ < queue_.size() / 2) return;
  // Most of what lies behind an old open one is settled: close the gaps, and keep the marks at the same signals.
  const auto position_of = [this](uint64_t mark) {
    const size_t index = mark <= gone_ ? 0 : std::min<size_t>(mark - gone_, queue_.size());
    return gone_ + static_cast<uint64_t>(std::count_if(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(index),
                                                       [](const Open& open) { return open.state != State::Settled; }));
  };
  cursor_ = position_of(cursor_);
  unsynced_ = position_of(unsynced_);
  std::erase_if(queue_, [](const Open& open) { return open.state == State::Settled; });
  holes_ = 0;
}

std::vector<std::pair<uint64_t, uint64_t>> Channel::settled(uint64_t next_seq) const {
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  uint64_t expected = floor(next_seq);
  for (const Open& open : queue_) {
    if (open.state == State::Settled) continue;
    if (open.seq > expected) ranges.emplace_back(expected, open.seq);
    expected = open.seq + 1;
  }
  if (expected < next_seq) ranges.emplace_back(expected, next_seq);
  return ranges;
}

}  // namespace detent
