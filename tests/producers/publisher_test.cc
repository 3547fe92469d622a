#include "producers/publisher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/support/small_broker.h"

namespace detent {

namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr Millis kLong{20'000};

Publisher::Options to(const std::string& endpoint) { return {.endpoint = endpoint, .name = "test"}; }

}  // namespace

TEST(Publisher, AcknowledgesWhatTheBrokerTook) {
  SmallBroker broker;
  Publisher publisher(to(broker.endpoint()));
  const auto done = publisher.publish_and_wait("one", kLong);
  ASSERT_TRUE(done.has_value()) << done.error().what;
  EXPECT_THAT(broker.published(), ElementsAre("one"));
  EXPECT_EQ(publisher.obstacle(), "");
}

TEST(Publisher, TakesSignalsFromManyThreadsAndLosesNone) {
  SmallBroker broker;
  Publisher publisher(to(broker.endpoint()));
  std::atomic<int> acknowledged = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 2000; ++i) {
          const auto taken = publisher.publish(std::to_string(t) + "-" + std::to_string(i),
                                               [&](const Publisher::Outcome& o) { acknowledged += o.durable(); });
          ASSERT_TRUE(taken.has_value());
        }
      });
    }
  }
  ASSERT_TRUE(publisher.flush(kLong));
  EXPECT_EQ(broker.published().size(), 8000u);
  EXPECT_EQ(publisher.counts().durable, 8000u);
  EXPECT_EQ(publisher.counts().waiting(), 0u);
  std::map<char, int> next;
  for (const std::string& signal : broker.published()) EXPECT_EQ(signal.substr(2), std::to_string(next[signal[0]]++));
}

TEST(Publisher, CarriesOnInANewSession) {
  SmallBroker broker;
  Publisher publisher(to(broker.endpoint()));
  ASSERT_TRUE(publisher.publish_and_wait("one", kLong).has_value());
  broker.forget();
  ASSERT_TRUE(publisher.publish_and_wait("two", kLong).has_value());
  EXPECT_THAT(broker.published(), ElementsAre("one", "two"));
}

TEST(Publisher, DeliversOnceABrokerAppears) {
  std::string endpoint;
  { endpoint = SmallBroker().endpoint(); }
  Publisher publisher(to(endpoint));
  ASSERT_TRUE(publisher.publish("early").has_value());
  EXPECT_FALSE(publisher.flush(Millis{50}));
  EXPECT_THAT(publisher.obstacle(), HasSubstr("no broker answers at " + endpoint));
  SmallBroker broker({}, endpoint);
  ASSERT_TRUE(publisher.flush(kLong));
  EXPECT_THAT(broker.published(), ElementsAre("early"));
}

TEST(Publisher, SaysWhyTheBrokerRefusesASignal) {
  SmallBroker broker({.refuse_signals = "Signal.type: empty"});
  Publisher publisher(to(broker.endpoint()));
  const auto refused = publisher.publish_and_wait("x", kLong);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().what, "the broker refused the signal: Signal.type: empty");
  EXPECT_EQ(publisher.counts().refused, 1u);
}

TEST(Publisher, SaysWhyTheBrokerRefusesTheConnection) {
  SmallBroker broker({.refuse_hello = "speaks versions 7"});
  Publisher publisher(to(broker.endpoint()));
  std::string obstacle;
  const auto refused = publisher.publish_and_wait("x", Millis{1500});
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().what, HasSubstr("refuses: speaks versions 7"));
}

TEST(Publisher, EndsAtItsDeadlineWhereTheBrokerIsSilent) {
  SmallBroker broker({.silent = true});
  Publisher publisher(to(broker.endpoint()));
  EXPECT_FALSE(publisher.publish_and_wait("x", Millis{100}).has_value());
}

TEST(Publisher, IsFullAtItsLimitAndHasRoomAgain) {
  std::string endpoint;
  { endpoint = SmallBroker().endpoint(); }
  Publisher publisher({.endpoint = endpoint, .name = "test", .limits = {.memory = 1000}});
  const std::string signal(400, 'x');
  ASSERT_TRUE(publisher.publish(signal).has_value());
  ASSERT_TRUE(publisher.publish(signal).has_value());
  EXPECT_FALSE(publisher.publish(signal).has_value());
  SmallBroker broker({}, endpoint);
  ASSERT_TRUE(publisher.wait_for_room(500, kLong));
  EXPECT_TRUE(publisher.publish(signal).has_value());
}

TEST(Publisher, RefusesAnEndpointThatIsNone) { EXPECT_THROW(Publisher(to("nonsense")), Failure); }

}  // namespace detent
