// One channel's progress through the stream: what is open, in which order it may go, and what is settled. Plain state;
// the broker core owns one for each channel and is the only caller.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace detent {

/// Where a signal's record lies in the journal: a RecordPosition in 12 bytes.
struct RecordRef {
  uint32_t segment = 0;
  uint32_t offset = 0;
  uint32_t size = 0;
};

/// A signal that this channel has not settled. Small, since a backlog is a million of these.
struct Open {
  enum class State : uint8_t {
    Unsynced,  // appended to a batch that is not durable yet
    Fresh,     // never looked at
    Blocked,   // behind another one of its thread key
    Ready,     // to be delivered (again)
    Waiting,   // until a time
    UnderWay,  // with a consumer
    GivenUp,   // settled as soon as its dead letter is durable
    Settled,   // gone, as soon as those before it are
  };
  uint64_t seq = 0;
  RecordRef at;
  uint32_t key = 0;         // hash of the thread key; 0: none
  uint32_t expires_s = 0;   // wall time; 0: never
  uint32_t admitted_s = 0;  // wall time
  // The id of its delivery, from when it is first handed out; 0: never yet. 17e12 are 500 years at a thousand a second.
  uint64_t delivery : 44 = 0;
  State state : 3 = State::Unsynced;
  bool repeat_unproven : 1 = false;
  bool copy : 1 = false;  // the operator is asked for the response in another channel
  uint16_t attempts : 15 = 0;

  static constexpr uint64_t kMaxDelivery = (uint64_t{1} << 44) - 1;
  static constexpr uint32_t kMaxAttempts = (1U << 15) - 1;  // counted; more are this many
};
static_assert(sizeof(Open) == 40, "a backlog is a million of these");

class Channel {
 public:
  explicit Channel(std::string name) : name_(std::move(name)) {}

  const std::string& name() const { return name_; }

  /// Takes a signal in, behind all others. Its `at` is relative to the batch until `journalled`.
  void admit(const Open& open);
  /// Everything up to `upto` is durable, in `segment`; offsets were relative to `base`. Returns how many that were.
  size_t journalled(uint64_t upto, uint32_t segment, uint32_t base);
  /// During recovery: a signal whose place is known.
  void restore(const Open& open);

  /// Those that waited until now may go again.
  void wake_due(Now now);
  /// The next signal to deliver, marked as under way, or nothing. Signals that share a key come one at a time.
  Open* take();
  /// Back from a consumer, to be tried again at `due` (monotonic), at once where that has passed.
  void put_back(uint64_t seq, Millis due, Now now);
  /// Not to be delivered any more, and not counted in `bytes`; those of its thread key wait until it is settled.
  void give_up(uint64_t seq);
  void settle(uint64_t seq);

  Open* find(uint64_t seq);
  const Open* find(uint64_t seq) const { return const_cast<Channel*>(this)->find(seq); }
  /// Calls `visit` for up to `count` open signals, going round; for expiry.
  template <class Visit>
  void sweep(size_t count, const Visit& visit);

  size_t open() const { return open_; }
  /// Of those, the ones whose dead letters are not settled yet.
  size_t given_up() const { return given_up_; }
  uint64_t bytes() const { return bytes_; }
  /// When a waiting signal is due (monotonic).
  std::optional<Millis> due() const;
  bool has_ready() const;

  /// All below is settled or was never this channel's.
  uint64_t floor(uint64_t next_seq) const { return queue_.empty() ? next_seq : queue_.front().seq; }
  /// The ranges [first, last) of settled numbers between the floor and `next_seq`.
  std::vector<std::pair<uint64_t, uint64_t>> settled(uint64_t next_seq) const;
  const std::deque<Open>& queue() const { return queue_; }

  /// Parts known of an open delivery, by its id: encoded, by part number.
  std::unordered_map<uint64_t, std::map<uint32_t, std::string>> parts;
  /// How often a consumer died and was at this delivery, by its id.
  std::unordered_map<uint64_t, uint32_t> losses;

 private:
  struct Line {
    uint64_t current = 0;  // the one that may go, or is under way
    std::deque<uint64_t> behind;
  };
  /// Out of those that may go, or will at a time.
  void stop_waiting(const Open& open);
  void unblock(const Open& settled);
  void tidy();

  std::string name_;
  std::deque<Open> queue_;  // by seq
  uint64_t gone_ = 0;       // how many were popped from the front, ever: positions below count from there
  uint64_t cursor_ = 0;     // position of the first never looked at
  uint64_t unsynced_ = 0;   // position of the first not durable
  uint64_t sweep_ = 0;
  size_t open_ = 0, holes_ = 0, given_up_ = 0;
  uint64_t bytes_ = 0;
  std::set<uint64_t> ready_;
  std::set<std::pair<Millis, uint64_t>> waiting_;  // by when they are due
  std::unordered_map<uint64_t, Millis> due_;       // of each that waits, by seq
  std::unordered_map<uint32_t, Line> lines_;
};

template <class Visit>
void Channel::sweep(size_t count, const Visit& visit) {
  std::vector<uint64_t> seqs;
  for (size_t i = 0; i < count && i < queue_.size(); ++i) {
    if (sweep_ < gone_ || sweep_ >= gone_ + queue_.size()) sweep_ = gone_;
    const Open& open = queue_[sweep_++ - gone_];
    if (open.state != Open::State::Settled) seqs.push_back(open.seq);
  }
  for (const uint64_t seq : seqs) {
    if (Open* open = find(seq)) visit(*open);  // a visit may settle, also others
  }
}

}  // namespace detent
