// What a consumer tells the broker about its channel's deliveries, each as one frame. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "consumers/channel.h"

namespace detent {
class Delivery;
}

namespace detent::consumers {

/// A frame to the broker.
struct Report {
  uint32_t field = 0;  // its number in Frame's oneof (proto/wire.proto)
  std::string body;
};

/// A part is about to be sent, or (`part.done`) has arrived.
Report begun(std::string_view channel, uint64_t delivery, const PartState& part);

/// What became of a delivery. `outcome` is proto/wire.proto's Outcome.
Report settled(std::string_view channel, uint64_t delivery, int outcome, std::string_view cause, Millis delay,
               const std::vector<PartState>& parts);

/// The circuit opened, and why; or it closed.
Report circuit(std::string_view channel, bool open, const std::string& why);

/// The broker may send so much more.
Report credit(std::string_view channel, uint32_t count, uint64_t bytes);

/// The parts of a delivery as the broker told them; of a part told more than once the last word counts.
std::vector<PartState> known_parts(const Delivery& delivery);

/// `text` on one line of at most `most` bytes, ending with a whole character.
std::string within(std::string_view text, size_t most);

}  // namespace detent::consumers
