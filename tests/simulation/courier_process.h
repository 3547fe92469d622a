// A consumer's process as consumers/process.cc has it, without threads and sockets: real couriers over real channels of
// Discord and Telegram, and the simulated platforms behind them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/secret.h"
#include "bus/link.h"
#include "consumers/courier.h"
#include "consumers/discord/rate_limits.h"
#include "tests/simulation/platforms.h"

namespace detent::test {

class CourierProcess {
 public:
  /// `link` outlives it.
  CourierProcess(int client, uint64_t life, const std::vector<std::string>& channels, Link& link, Platforms& platforms);

  void on_event(const Link::Event& event, Now now);
  void answered(const Platforms::Answered& answered, Now now);
  void turn(Now now);
  /// Looks whether its tokens are others than before, as the process does once a second.
  void look_at_tokens(Now now);
  /// SIGTERM. Once it has left, another process takes its place.
  void stop() { stopping_ = true; }
  bool has_left() const { return left_; }

 private:
  struct Line {
    Asker asker;
    Secret secret;
    std::unique_ptr<consumers::Channel> channel;
    std::unique_ptr<consumers::Courier> courier;
  };
  void hand_on(Line& line, Now now);

  Link& link_;
  Platforms& platforms_;
  discord::RateLimits limits_;
  std::vector<std::unique_ptr<Line>> lines_;
  bool stopping_ = false, draining_ = false, bye_sent_ = false, left_ = false;
};

}  // namespace detent::test
