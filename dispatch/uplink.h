// The dispatcher's end of its links to the broker: as the consumer of `dispatch` it takes tasks in, as a producer it
// says how they ended. A plain state machine without sockets or clock. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "bus/link.h"
#include "bus/publisher_core.h"

namespace detent {

class Uplink {
 public:
  /// The names under which the broker is a peer of the dispatcher's socket.
  static constexpr std::string_view kConsumer = "broker/consumer", kProducer = "broker/producer";

  Uplink(uint64_t instance, uint64_t seed);

  /// Whether `peer` is the broker.
  static bool is_broker(std::string_view peer) { return peer == kConsumer || peer == kProducer; }
  void receive(std::string_view peer, std::string_view message, Now now);
  void tick(Now now);
  Millis deadline() const;
  /// Nothing more is taken in.
  void drain() { draining_ = true; }

  /// A signal that was delivered; it is to be settled, refused or put off, each once.
  struct Delivered {
    uint64_t session = 0;  // which one of ours
    uint64_t delivery = 0;
    std::string signal;
  };
  std::vector<Delivered> delivered;
  void settle(const std::vector<Delivered>& deliveries);
  /// It becomes a dead letter.
  void refuse(const Delivered& delivery, std::string_view cause);
  void put_off(const Delivered& delivery, Millis delay);

  /// Publishes an encoded signal; its ticket. An error where there is no room for it now.
  Result<uint64_t> publish(std::string_view signal) { return publisher_.add(signal); }
  /// Tickets up to here are durable at the broker, or refused for good (and logged).
  uint64_t published() const { return publisher_.settled_upto(); }

  /// Hands each message that is to be sent to `send`.
  template <class Send>
  void flush(const Send& send, Now now) {
    publish_frames(now);
    for (auto* link : {&consumer_, &producer_}) {
      for (auto& message : link->outgoing) {
        send(link == &consumer_ ? kConsumer : kProducer, message);
        link->reuse(std::move(message));
      }
      link->outgoing.clear();
    }
  }

  bool is_connected() const { return consumer_.is_open(); }

 private:
  void on_consumer(const Link::Event& event);
  void on_producer(const Link::Event& event, Now now);
  void publish_frames(Now now);
  void say(const class Settle& settle, uint32_t count, uint64_t bytes);

  Link consumer_, producer_;
  PublisherCore publisher_;
  uint64_t session_ = 0;
  bool draining_ = false;
  std::string refused_;  // why, as logged last
};

}  // namespace detent
