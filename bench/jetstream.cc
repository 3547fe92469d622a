#include <nats/nats.h>

#include <atomic>
#include <memory>
#include <thread>

#include "base/result.h"
#include "bench/figures.h"
#include "bench/measurements.h"
#include "bench/signals.h"

namespace detent::bench {

namespace {

constexpr const char* kSubject = "signals";
constexpr const char* kStream = "SIGNALS";

void good(natsStatus status, const char* what) {
  if (status != NATS_OK) throw Failure(std::string("nats: ") + what + ": " + natsStatus_GetText(status));
}

/// A connection with a fresh file stream.
class JetStream {
 public:
  explicit JetStream(const std::string& url) {
    good(natsConnection_ConnectTo(&connection_, url.c_str()), "connect");
    jsOptions options;
    jsOptions_Init(&options);
    options.PublishAsync.MaxPending = 16'384;
    options.PublishAsync.StallWait = 60'000;
    options.PublishAsync.ErrHandler = [](jsCtx*, jsPubAckErr*, void* closure) {
      ++*static_cast<std::atomic<uint64_t>*>(closure);
    };
    options.PublishAsync.ErrHandlerClosure = &refused_;
    good(natsConnection_JetStream(&context_, connection_, &options), "jetstream");
    js_DeleteStream(context_, kStream, nullptr, nullptr);
    jsStreamConfig config;
    jsStreamConfig_Init(&config);
    const char* subjects[] = {kSubject};
    config.Name = kStream;
    config.Subjects = subjects;
    config.SubjectsLen = 1;
    config.Storage = js_FileStorage;
    good(js_AddStream(nullptr, context_, &config, nullptr, nullptr), "add stream");
  }
  ~JetStream() {
    js_DeleteStream(context_, kStream, nullptr, nullptr);
    jsCtx_Destroy(context_);
    natsConnection_Destroy(connection_);
  }

  void publish(uint64_t count) {
    Signals signals;
    for (uint64_t i = 0; i < count; ++i) {
      const auto signal = signals.next();
      good(js_PublishAsync(context_, kSubject, signal.data(), static_cast<int>(signal.size()), nullptr), "publish");
    }
    jsPubOptions patience;
    jsPubOptions_Init(&patience);
    patience.MaxWait = 120'000;
    good(js_PublishAsyncComplete(context_, &patience), "acknowledgements");
    if (refused_) throw Failure("nats: publishes were refused");
  }

  jsCtx* context() { return context_; }
  natsConnection* connection() { return connection_; }

 private:
  natsConnection* connection_ = nullptr;
  jsCtx* context_ = nullptr;
  std::atomic<uint64_t> refused_ = 0;
};

}  // namespace

void jetstream_publish(const std::string& url, uint64_t count) {
  JetStream stream(url);
  const double cpu = cpu_seconds();
  const auto begin = Clock::now();
  stream.publish(count);
  Figures().set("rate", static_cast<double>(count) / seconds_since(begin)).set("cpu", cpu_seconds() - cpu).print();
}

void jetstream_deliver(const std::string& url, uint64_t count) {
  JetStream stream(url);
  std::atomic<uint64_t> seen = 0;
  jsSubOptions how;
  jsSubOptions_Init(&how);
  how.ManualAck = true;
  how.Config.Durable = "bench";
  how.Config.AckPolicy = js_AckExplicit;
  how.Config.MaxAckPending = 16'384;
  natsSubscription* subscription = nullptr;
  const auto on_message = [](natsConnection*, natsSubscription*, natsMsg* message, void* closure) {
    natsMsg_Ack(message, nullptr);
    natsMsg_Destroy(message);
    ++*static_cast<std::atomic<uint64_t>*>(closure);
  };
  good(js_Subscribe(&subscription, stream.context(), kSubject, on_message, &seen, nullptr, &how, nullptr), "subscribe");
  good(natsSubscription_SetPendingLimits(subscription, -1, -1), "limits");
  const double cpu = cpu_seconds();
  const auto begin = Clock::now();
  stream.publish(count);
  // Over once the server has counted every acknowledgement.
  for (uint64_t pending = 1; seen < count || pending > 0;) {
    if (seconds_since(begin) > 300) throw Failure("nats: deliveries stopped coming");
    if (seen < count) {
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
      continue;
    }
    good(natsConnection_Flush(stream.connection()), "flush");
    jsConsumerInfo* info = nullptr;
    good(natsSubscription_GetConsumerInfo(&info, subscription, nullptr, nullptr), "consumer info");
    pending = static_cast<uint64_t>(info->NumAckPending) + info->NumPending;
    jsConsumerInfo_Destroy(info);
  }
  Figures().set("rate", static_cast<double>(count) / seconds_since(begin)).set("cpu", cpu_seconds() - cpu).print();
  natsSubscription_Unsubscribe(subscription);
  natsSubscription_Destroy(subscription);
}

}  // namespace detent::bench
