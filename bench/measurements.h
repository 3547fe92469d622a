// The measurements, each a subcommand of detent-bench. Each prints its figures and throws Failure where it cannot.
#pragma once

#include <cstdint>
#include <string>

namespace detent::bench {

// ---- detent

struct PublishOptions {
  std::string endpoint;
  uint64_t count = 0;
  bool one_a_frame = false;
};
/// Through the publisher library, pipelined, until all is acknowledged.
void publish(const PublishOptions& options);
/// One publish at a time on a bare connection, each waiting for its acknowledgement; then the same through the library.
void alone(const std::string& endpoint, uint64_t count);
/// Publishes, and at the same time consumes and settles all of it on `channel`.
void deliver(const std::string& endpoint, const std::string& channel, uint64_t count);
/// Starts `broker` with `config` and waits until it has delivered a first signal of `channel`, then ends it.
void restart(const std::string& broker, const std::string& config, const std::string& endpoint,
             const std::string& channel);
/// Publishes one by one and waits until each is in the sandbox's Discord.
void visible(const std::string& endpoint, const std::string& sandbox, uint64_t count);

// ---- what it is compared with

/// DEALER to ROUTER in two processes, one signal a frame, acknowledged in windows, nothing stored.
void raw_zeromq(uint64_t count);
/// A DEALER's round trip to a ROUTER in another process.
void round_trip(uint64_t count);
/// pwrite and fdatasync of 512 bytes into a file of zeros.
void sync(const std::string& directory, uint64_t count);
void jetstream_publish(const std::string& url, uint64_t count);
void jetstream_deliver(const std::string& url, uint64_t count);
/// XADD over `clients` connections with `depth` commands under way on each.
void redis(int port, uint64_t count, int clients, int depth);

}  // namespace detent::bench
