// The thread that sends one channel's requests: blocking, one at a time, over a kept connection.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "consumers/courier.h"
#include "http/client.h"

namespace detent::consumers {

/// `post` and `interrupt` from the loop's thread; `done` is called on the sender's own.
class Sender {
 public:
  using Done = std::function<void(uint64_t number, http::Answer answer)>;

  explicit Sender(Done done);
  /// Breaks off what is in flight.
  ~Sender();

  void post(Courier::Sending sending);
  void interrupt();

 private:
  void run(const std::stop_token& stop);

  Done done_;
  http::KeepAliveClient client_;
  std::mutex mutex_;
  std::condition_variable_any posted_;
  std::optional<Courier::Sending> next_;
  std::jthread thread_;
};

}  // namespace detent::consumers
