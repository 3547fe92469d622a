// A state machine as small as can be, on the real host: each message is a number that is added up, and answered with
// the sum once that is durable. And what a test runs it on: a disk in memory, a socket in memory, an executor that it
// steps.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "host/host.h"
#include "host/stepped_executor.h"
#include "tests/support/memory_disk.h"

namespace detent::test {

class Tally : public Machine {
 public:
  void restore(std::string_view snapshot) override {
    restored = true;
    sum = number(snapshot);
  }
  void replay(std::string_view record, const RecordPosition& position, bool after_snapshot) override {
    replayed.push_back(position);
    if (after_snapshot) sum += number(record);
  }
  void damaged(const Damage& damage) override {
    damages.push_back(damage.file);
    EXPECT_TRUE(may_be_damaged) << damage.why;
  }
  Result<void> recovered(Journal& journal, Now) override {
    bodies = journal.reader();
    return {};
  }
  void receive(std::string_view peer, std::span<char> message, Now) override {
    const std::string_view text(message.data(), message.size());
    received.emplace_back(text);
    if (text == "where?") return answers_.push_back({std::string(peer), "here"});
    sum += number(text);
    batch_.append(text);
    answers_.push_back({std::string(peer), std::to_string(sum)});
  }
  Millis deadline() const override { return next_tick; }
  void tick(Now now) override {
    ticks.push_back(now.mono);
    next_tick = now.mono + Millis{500};
  }
  void look(Now) override { ++looks; }
  void probe_peers() override { outgoing_.push_back({"consumer", "are you there?"}); }
  void flush(Now) override {}
  std::optional<Work> take_work(Now) override {
    if (!has_work()) return std::nullopt;
    under_way_ = std::exchange(answers_, {});
    Work work;
    work.batch = std::exchange(batch_, {});
    work.before = std::exchange(before, nullptr);
    work.after = std::exchange(after, nullptr);
    return work;
  }
  std::string snapshot() override { return std::to_string(sum); }
  bool send(const Send& send, Now) override {
    for (const auto& [peer, message] : std::exchange(outgoing_, {})) send(peer, message);
    return false;
  }
  void gone(std::string_view peer, Now) override { lost.emplace_back(peer); }
  void journalled(Work, const Appended& appended, Now) override {
    works.push_back(appended);
    for (auto& answer : std::exchange(under_way_, {})) outgoing_.push_back(std::move(answer));
  }
  void cannot_write(const Error& error, Now) override { failures.push_back(error.code); }
  void space(const Space& space, Now) override { spaces.push_back(space.low); }
  bool has_work() const override { return !batch_.empty() || !answers_.empty() || before || after; }
  size_t unsynced_bytes() const override { return batch_.bytes(); }
  Kept kept() const override { return keeps; }
  std::function<Result<void>()> let_go() override { return std::exchange(own_drop, nullptr); }
  void drain() override { draining = true; }

  int64_t sum = 0;
  bool restored = false, draining = false;
  bool may_be_damaged = false;
  std::vector<std::string> damages;
  int looks = 0;
  Millis next_tick{1 << 30};
  std::vector<Millis> ticks;
  std::vector<std::string> received, lost;
  std::vector<RecordPosition> replayed;
  std::vector<Appended> works;
  std::vector<bool> spaces;
  std::vector<int> failures;
  Kept keeps{UINT64_MAX, {}};
  std::function<Result<void>()> before, after, own_drop;
  std::unique_ptr<JournalReader> bodies;

 private:
  using Message = std::pair<std::string, std::string>;
  static int64_t number(std::string_view text) { return std::atoll(std::string(text).c_str()); }

  Batch batch_;
  std::vector<Message> answers_, under_way_, outgoing_;
};

class MemorySocket : public ServerSocket {
 public:
  size_t receive(size_t count, size_t bytes,
                 const std::function<void(std::string_view peer, std::span<char> message)>& take) override {
    size_t got = 0;
    for (size_t i = 0; i < count && got < bytes && !incoming.empty(); ++i) {
      auto [peer, message] = std::move(incoming.front());
      incoming.pop_front();
      got += message.size();
      take(peer, message);
    }
    return got;
  }
  Sent send(std::string_view peer, std::string_view message) override {
    if (peer == gone) return Sent::Gone;
    sent.emplace_back(message);
    return Sent::Yes;
  }
  bool lost_someone() override { return std::exchange(lost, false); }

  std::deque<std::pair<std::string, std::string>> incoming;
  std::vector<std::string> sent;
  std::string gone;
  bool lost = false;
};

/// One life of the process, on a disk that outlives it.
struct Life {
  explicit Life(MemoryDisk& disk, Host::Options options = small(), bool may_be_damaged = false)
      : ids(Host::open_ids(disk, options.directory, {}).value()),
        host(tally, ids, socket, executor, disk, std::move(options)) {
    tally.may_be_damaged = may_be_damaged;
    host.open(now).value();
  }
  static Host::Options small() {
    Host::Options options;
    options.directory = "state";
    options.journal.segment_bytes = 4096;
    options.journal.spares = 1;
    options.journal.reserve_bytes = 0;
    options.journal.low_water = 0;
    return options;
  }
  void says(const std::string& message) { socket.incoming.emplace_back("peer", message); }
  void turn(Millis passed = Millis{1}) {
    now.mono += passed;
    now.wall += passed;
    host.turn(now);
  }
  /// Does all that waits on the lanes, and the turns that its results ask for.
  void settle() {
    for (int i = 0; (i < 3 || !executor.idle()) && !executor.failure(); ++i) {
      executor.step_journal();
      executor.step_chore();
      turn();
    }
  }

  Now now{Millis{1000}, Millis{1'795'000'000'000}};
  Tally tally;
  MemorySocket socket;
  SteppedExecutor executor;
  IdWindow ids;
  Host host;
};

}  // namespace detent::test
