// Deliveries as they cross between the core and whoever reads and writes for it.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "broker/channel.h"

namespace detent {

/// A message to a peer. Where it is a Deliver, the bodies are still in the journal: whoever sends it reads them and
/// seals.
struct Outgoing {
  struct Item {
    uint64_t delivery = 0;
    uint64_t seq = 0;
    uint64_t credit = 0;  // bytes of it that this one took
    uint32_t attempt = 0;
    RecordRef at;
    bool repeat_unproven = false;
    bool copy = false;
    int64_t journalled_ms = 0;
    std::vector<std::string> parts;  // each an encoded Part
  };
  struct Bodies {
    uint64_t session = 0;
    uint64_t number = 0;
    std::string channel;
    std::vector<Item> items;
  };
  std::string peer;
  std::string frame;
  std::unique_ptr<Bodies> deliver;
};

/// Deliveries of an Outgoing whose bodies could not be read, and which its frame does without.
struct Unread {
  std::vector<Outgoing::Item> lost;     // for good: damaged, or not there
  std::vector<Outgoing::Item> failed;   // this time
  std::vector<Outgoing::Item> untried;  // after some had failed
  std::string why;
  bool empty() const { return lost.empty() && failed.empty(); }
};

/// A delivery by its id, and its channel: in a state of version 1 two channels' deliveries may share an id.
struct DeliveryKey {
  std::string channel;
  uint64_t delivery = 0;
  auto operator<=>(const DeliveryKey&) const = default;
};

/// A delivery to be written to the dead letters' journal. It is settled after that.
struct NewDeadLetter {
  uint64_t delivery = 0;
  uint64_t seq = 0;  // of its signal
  std::string channel;
  RecordRef at;
  std::string cause;
  uint32_t attempts = 0;
  int64_t at_ms = 0;
  std::vector<std::string> parts;
};

}  // namespace detent
