// The broker itself, over a disk in memory, with one channel that consumers serve; and what became of what it was
// given.
#pragma once

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <string>
#include <vector>

#include "broker/config.h"
#include "ledger/audit/audit_reader.h"
#include "ledger/config.h"
#include "proto/signal.pb.h"
#include "tests/running/running.h"
#include "tests/support/eventually.h"

namespace detent::testing {

class WholeBroker {
 public:
  /// All signals but Detent's own go to `channel`.
  void start(const std::string& channel) {
    channel_ = channel;
    Config config = *parse_config("builtin_routes = false\ndefault_to = [\"" + channel + R"("]
[telegram]
chat = 1
[discord.channels]
alerts = "2"
chat = "3"
system = "4"
[[route]]
match = { source = "detent" }
to = ["discord.system"]
)",
                                  {});
    running_.config.of<BrokerConfig>().segment = 4 << 20;
    config.state = running_.config.state;
    config.of<BrokerConfig>() = running_.config.of<BrokerConfig>();
    config.of<LedgerConfig>() = running_.config.of<LedgerConfig>();
    running_.config = config;
    running_.start();
    running_.config.of<BrokerConfig>().listen = running_.endpoint();
  }
  std::string endpoint() const { return running_.endpoint(); }

  /// With an id and a time of its own.
  void publish(Signal signal) {
    const Now now = system_now();
    const Ulid id = ids_.next(now.wall);
    signal.set_id(std::string(id.view()));
    signal.set_created_ms(now.wall.count());
    test::Caller(endpoint()).publish({signal.SerializeAsString()});
    published_.push_back(id);
  }

  void restart() {
    running_.stop();
    running_.start();
  }

  /// False where not `count` are settled within a while.
  bool wait_settled(size_t count) {
    return running_.wait_for([&](const boost::json::value& status) {
      const auto* channel = channel_in(status);
      return channel && published_.size() - channel->at("pending").to_number<size_t>() >= count;
    });
  }
  bool wait_circuit(bool open) {
    return running_.wait_for([&](const boost::json::value& status) {
      const auto* channel = channel_in(status);
      return channel && channel->at("circuit_open") == open;
    });
  }

  struct Outcome {
    std::string state, cause, link;
  };
  /// Of each signal, in the order in which they were published.
  std::vector<Outcome> outcomes() {
    std::vector<Outcome> out;
    test::Caller caller(endpoint());
    for (const Ulid& id : published_) {
      out.emplace_back();
      // What is settled is told once it is durable.
      EXPECT_TRUE(eventually([&] { return (out.back() = outcome(caller, id)).state != "queued"; }));
    }
    return out;
  }
  /// Expects that all were delivered.
  void expect_delivered() {
    for (const Outcome& one : outcomes()) EXPECT_EQ(one.state, "delivered") << one.cause;
  }

 private:
  Outcome outcome(test::Caller& caller, const Ulid& id) {
    const auto story = caller.ask({{"command", "trace"}, {"id", id.text()}});
    return story.is_object() ? told_by(story.at("channels").at(0)) : told_by_ledger(id);
  }
  static Outcome told_by(const boost::json::value& channel) {
    Outcome out{std::string(channel.at("state").as_string()), std::string(channel.at("cause").as_string()), {}};
    for (const auto& event : channel.at("events").as_array()) {
      if (const auto* link = event.as_object().if_contains("link")) out.link = link->as_string();
    }
    return out;
  }
  /// Where the journal has let it go.
  Outcome told_by_ledger(const Ulid& id) {
    Outcome out;
    const auto lines = AuditReader::open(running_.config.of<LedgerConfig>().repository)->show(id.text());
    for (const auto& line : lines.value()) {
      if (!line.receipt) continue;
      const auto receipt = boost::json::parse(line.text).as_object();
      const auto text = [&](std::string_view key) {
        const auto* found = receipt.if_contains(key);
        return found ? std::string(found->as_string()) : std::string();
      };
      out = {text("receipt"), text("cause"), text("link")};
    }
    return out;
  }

  const boost::json::object* channel_in(const boost::json::value& status) const {
    for (const auto& channel : status.at("channels").as_array()) {
      if (channel.at("name").as_string() == channel_.c_str()) return &channel.as_object();
    }
    return nullptr;
  }

  test::Running running_;
  std::string channel_;
  UlidSource ids_;
  std::vector<Ulid> published_;
};

}  // namespace detent::testing
