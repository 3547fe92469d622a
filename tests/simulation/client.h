// A process beside the broker: a producer or a consumer. For tests/simulation alone.
#pragma once

#include <spdlog/fmt/fmt.h>

#include "tests/simulation/courier_process.h"
#include "tests/simulation/world.h"

namespace detent::test {

struct World::Client {
  int number = 0;
  bool producer = false;
  uint64_t life = 1;  // of its connection; a restart or a reconnect is a new one
  std::unique_ptr<Link> link;
  Millis cut_off_until{0}, paused_until{0};
  std::vector<std::string> channels;  // of a consumer

  std::unique_ptr<PublisherCore> publisher;
  std::map<uint64_t, std::string> tickets;  // not acknowledged: ticket -> id
  std::set<uint64_t> forged;                // ids used again for other content, not refused yet

  // A consumer delivers with couriers, or is a plain one: that has many deliveries in hand, settles them in any order,
  // and its platform is what `World::taken_` says.
  std::unique_ptr<CourierProcess> couriers;
  Millis next_look{0};
  struct Held {
    std::string channel, id;
    uint64_t delivery = 0, seq = 0;
    bool begun = false, durable = false;
  };
  std::vector<Held> held;
  std::map<std::string, int64_t> credit;  // given and not used up, by channel

  std::string peer() const { return fmt::format("{}/{}", number, life); }
};

}  // namespace detent::test
