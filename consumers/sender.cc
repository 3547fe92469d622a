#include "consumers/sender.h"

#include "base/result.h"

namespace detent::consumers {

Sender::Sender(Done done) : done_(std::move(done)), thread_([this](const std::stop_token& stop) { run(stop); }) {}

Sender::~Sender() {
  thread_.request_stop();
  client_.interrupt();
}

void Sender::post(Courier::Sending sending) {
  {
    const std::lock_guard lock(mutex_);
    CHECK(!next_, "a channel has one request in flight");
    next_ = std::move(sending);
  }
  posted_.notify_one();
}

void Sender::interrupt() { client_.interrupt(); }

void Sender::run(const std::stop_token& stop) {
  for (;;) {
    Courier::Sending sending;
    {
      std::unique_lock lock(mutex_);
      if (!posted_.wait(lock, stop, [this] { return next_.has_value(); })) return;
      sending = std::move(*next_);
      next_.reset();
    }
    http::Answer answer = client_.send(sending.request);
    done_(sending.number, std::move(answer));
  }
}

}  // namespace detent::consumers
