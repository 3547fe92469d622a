// A dispatcher on its real host over a disk in memory, without broker or workers but for what a test plays of them:
// time goes by as it says.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "dispatch/dispatcher.h"
#include "host/host.h"
#include "host/stepped_executor.h"
#include "tests/support/memory_disk.h"

namespace detent::test {

class Alone {
 public:
  /// `toml`: its detent.toml, but for `state`.
  explicit Alone(const std::string& toml, Now now);
  ~Alone();

  Dispatcher& operator*() { return *dispatcher_; }
  Dispatcher* operator->() { return dispatcher_.get(); }
  Now now() const { return now_; }

  /// Turns, with all that they begin, until nothing is left to do; then time goes by to its deadline, and so on.
  void pass(Millis span);
  /// Killed, with all that the disk has not synced, and `down` later another one.
  void die(Millis down = Millis{0}) { restart(false, down); }
  /// Stopped, and `down` later another one, with `toml` where it is given.
  void stop_and_start(Millis down, const std::string& toml = {});
  /// Only the clock on the wall is set.
  void set_clock(Millis by) { now_.wall += by; }

  /// Told of each message that it sends; null: nobody is.
  std::function<void(std::string_view peer, std::string_view message)> sent;
  /// A message for its next turn.
  void arrive(std::string_view peer, std::string message) {
    socket_.arrived.emplace_back(std::string(peer), std::move(message));
  }

 private:
  struct Socket : ServerSocket {
    explicit Socket(Alone& of) : alone(of) {}
    size_t receive(size_t count, size_t bytes,
                   const std::function<void(std::string_view, std::span<char>)>& take) override;
    Sent send(std::string_view peer, std::string_view message) override;
    bool lost_someone() override { return false; }
    Alone& alone;
    std::deque<std::pair<std::string, std::string>> arrived;
  };
  void configure(const std::string& toml);
  void start();
  void settle();
  void restart(bool cleanly, Millis down);

  Config config_;
  Now now_;
  MemoryDisk disk_;
  Socket socket_{*this};
  std::unique_ptr<SteppedExecutor> executor_;
  std::unique_ptr<Dispatcher> dispatcher_;
  std::unique_ptr<Host> host_;
};

}  // namespace detent::test
