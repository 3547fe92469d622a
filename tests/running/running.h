// The whole broker on a thread of this process, over a disk in memory whose reads a test can hold up, and a client that
// speaks with it.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <boost/json.hpp>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <optional>
#include <thread>

#include "base/ulid.h"
#include "broker/process.h"
#include "bus/connection.h"
#include "proto/signal.pb.h"
#include "proto/wire.pb.h"
#include "tests/support/memory_disk.h"

namespace detent::test {

/// Reads of segments wait while the gate is closed, writes while they are held up; id files are written only where
/// there is room for them.
class GatedDisk : public MemoryDisk {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  void close_gate() { closed_ = true; }
  void open_gate() {
    closed_ = false;
    closed_.notify_all();
  }
  void hold_writes(bool held) {
    writes_held_ = held;
    writes_held_.notify_all();
  }
  /// How many reads wait, or have waited, at the gate.
  int held_up() const { return held_up_; }
  /// Of segments.
  std::size_t bytes_read() const { return bytes_read_; }
  std::atomic<bool> no_room_for_ids = false;

 private:
  friend class GatedFile;
  std::atomic<bool> closed_ = false, writes_held_ = false;
  std::atomic<int> held_up_ = 0;
  std::atomic<std::size_t> bytes_read_ = 0;
};

/// A client with one session.
class Caller {
 public:
  explicit Caller(const std::string& endpoint, Link::Role role = Link::Role::Admin,
                  std::vector<std::string> channels = {});

  /// Turns until `done` answers true; false where it does not within a minute.
  bool until(const std::function<bool()>& done);
  void send(uint32_t field, const std::string& body) { connection_.link().send(field, body); }
  /// Waits until the signals are durable.
  void publish(const std::vector<std::string>& signals);
  /// The same without waiting, and perhaps refused.
  void try_to_publish(const std::vector<std::string>& signals);
  bool is_acknowledged() const { return acknowledged_ == published_; }
  /// The answer as JSON, or its error's text.
  boost::json::value ask(const boost::json::object& call);
  /// Asks without waiting; the number that its answer will have.
  uint64_t begin_to_ask(const boost::json::object& call);
  void credit(const std::string& channel, uint32_t count);
  void tail(int64_t since_ms, const std::string& type = {}, const std::vector<std::string>& also_from = {});
  void settle(const std::string& channel, uint64_t delivery);
  void give_up(const std::string& channel, uint64_t delivery);

  Connection& connection() { return connection_; }
  std::vector<Delivery> deliveries;
  std::vector<TailedSignal> tailed;
  std::vector<AdminReply> answers;
  int lost = 0;  // sessions
  bool caught_up = false;
  Published held;  // the first answer that told to wait

 private:
  void take(const Link::Event& event);

  Connection connection_;
  uint64_t published_ = 0, acknowledged_ = 0, asked_ = 0;
};

std::string signal_of(const std::string& title, const std::string& body, const std::string& type = "chat.message",
                      std::optional<Ulid> id = {});

/// Starts with `config`, which a test may change before; its ledger lies in a folder of its own.
class Running {
 public:
  Running();
  ~Running();
  void start();
  void stop();
  std::string endpoint() const { return broker_->endpoint(); }
  /// Where `config` asks for HTTP.
  std::string http_url() const { return broker_->http_url(); }
  boost::json::value status() { return Caller(endpoint()).ask({{"command", "status"}}); }
  /// Asks for the status until `good` is content with it.
  bool wait_for(const std::function<bool(const boost::json::value&)>& good, Millis patience = Millis{120'000});
  std::vector<std::string> files(const std::string& folder) { return disk.list("state/" + folder).value(); }

  GatedDisk disk;
  Config config;

 private:
  std::filesystem::path folder_;
  std::unique_ptr<BrokerProcess> broker_;
  std::thread thread_;
};

/// Started at once, and after a `stop` and `start` where it was.
class StartedBroker : public Running {
 public:
  explicit StartedBroker(const std::string& endpoint = "tcp://127.0.0.1:*");
  /// The bytes of all signals that it was given, in their order.
  std::vector<std::string> published();
  /// Waits until there are as many; false where there are not in time.
  bool wait_for_signals(size_t count);
};

}  // namespace detent::test
