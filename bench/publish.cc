#include <future>

#include "base/result.h"
#include "bench/figures.h"
#include "bench/measurements.h"
#include "bench/signals.h"
#include "producers/publisher.h"

namespace detent::bench {

void publish(const PublishOptions& options) {
  constexpr uint64_t kSampled = 97;  // every so many signals, one is timed
  constexpr Millis kPatience{60'000};
  Publisher::Options how{.endpoint = options.endpoint, .name = "bench"};
  if (options.one_a_frame) {
    how.limits.window *= how.limits.frame_signals;  // as many signals under way as with packed frames
    how.limits.frame_signals = 1;
  }
  std::vector<double> waits;  // the publisher's thread fills it; it is read once `done` was told of the last signal
  waits.reserve(options.count / kSampled + 2);
  std::promise<void> done;
  Publisher publisher(how);
  Signals signals;
  if (auto first = publisher.publish_and_wait(signals.next(), kPatience); !first) throw Failure(first.error().what);

  const double cpu = cpu_seconds();
  const auto begin = Clock::now();
  for (uint64_t i = 0; i < options.count; ++i) {
    const auto signal = signals.next();
    Publisher::Done told;
    const bool last = i + 1 == options.count;
    if (last || i % kSampled == 0) {
      told = [&waits, &done, last, at = Clock::now()](const Publisher::Outcome&) {
        waits.push_back(micros_since(at));
        if (last) done.set_value();
      };
    }
    while (!publisher.publish(signal, told)) {
      if (!publisher.wait_for_room(how.limits.memory / 2, kPatience)) throw Failure(publisher.obstacle());
    }
  }
  if (done.get_future().wait_for(kPatience) != std::future_status::ready) {
    throw Failure("not all was acknowledged: " + publisher.obstacle());
  }
  const double took = seconds_since(begin);
  if (publisher.counts().refused) throw Failure("the broker refused signals");
  Figures()
      .set("rate", static_cast<double>(options.count) / took)
      .set("cpu", cpu_seconds() - cpu)
      .spread("ack", waits)
      .print();
}

}  // namespace detent::bench
