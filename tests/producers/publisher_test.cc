#include "producers/publisher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "base/ulid.h"
#include "proto/signal.pb.h"
#include "tests/running/running.h"
#include "tests/support/scripted_broker.h"

namespace detent {

namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr Millis kLong{20'000};

using test::signal_of;

Publisher::Options to(const std::string& endpoint) { return {.endpoint = endpoint, .name = "test"}; }

}  // namespace

TEST(Publisher, AcknowledgesWhatTheBrokerTook) {
  test::StartedBroker broker;
  Publisher publisher(to(broker.endpoint()));
  const std::string one = signal_of("one", "");
  const auto done = publisher.publish_and_wait(one, kLong);
  ASSERT_TRUE(done.has_value()) << done.error().what;
  EXPECT_THAT(broker.published(), ElementsAre(one));
  EXPECT_EQ(publisher.obstacle(), "");
}

TEST(Publisher, TakesSignalsFromManyThreadsAndLosesNone) {
  test::StartedBroker broker;
  Publisher publisher(to(broker.endpoint()));
  std::atomic<int> acknowledged = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        UlidSource ids;
        for (int i = 0; i < 2000; ++i) {
          const auto title = std::to_string(t) + "-" + std::to_string(i);
          const auto taken = publisher.publish(signal_of(title, "", "chat.message", ids.next(system_now().wall)),
                                               [&](const Publisher::Outcome& o) { acknowledged += o.durable(); });
          ASSERT_TRUE(taken.has_value());
        }
      });
    }
  }
  ASSERT_TRUE(publisher.flush(kLong));
  const auto published = broker.published();
  EXPECT_EQ(published.size(), 8000u);
  EXPECT_EQ(publisher.counts().durable, 8000u);
  EXPECT_EQ(publisher.counts().waiting(), 0u);
  std::map<char, int> next;
  for (const std::string& bytes : published) {
    Signal signal;
    ChatMessage message;
    ASSERT_TRUE(signal.ParseFromString(bytes) && message.ParseFromString(signal.payload()));
    EXPECT_EQ(message.title().substr(2), std::to_string(next[message.title()[0]]++));
  }
}

TEST(Publisher, CarriesOnInANewSession) {
  test::StartedBroker broker;
  Publisher publisher(to(broker.endpoint()));
  const std::string one = signal_of("one", ""), two = signal_of("two", "");
  ASSERT_TRUE(publisher.publish_and_wait(one, kLong).has_value());
  broker.stop();
  broker.start();
  ASSERT_TRUE(publisher.publish_and_wait(two, kLong).has_value());
  EXPECT_THAT(broker.published(), ElementsAre(one, two));
}

TEST(Publisher, DeliversOnceABrokerAppears) {
  std::string endpoint;
  { endpoint = ScriptedBroker().endpoint(); }
  Publisher publisher(to(endpoint));
  const std::string early = signal_of("early", "");
  ASSERT_TRUE(publisher.publish(early).has_value());
  EXPECT_FALSE(publisher.flush(Millis{50}));
  EXPECT_THAT(publisher.obstacle(), HasSubstr("no broker answers at " + endpoint));
  test::StartedBroker broker(endpoint);
  ASSERT_TRUE(publisher.flush(kLong));
  EXPECT_THAT(broker.published(), ElementsAre(early));
}

TEST(Publisher, SaysWhyTheBrokerRefusesASignal) {
  test::StartedBroker broker;
  Publisher publisher(to(broker.endpoint()));
  const auto refused = publisher.publish_and_wait(signal_of("x", "", ""), kLong);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().what,
            "the broker refused the signal: Signal.type: \"\" is not lower-case words joined by dots");
  EXPECT_EQ(publisher.counts().refused, 1u);
}

TEST(Publisher, SaysWhyTheBrokerRefusesTheConnection) {
  ScriptedBroker broker({.refuse_hello = "speaks versions 7"});
  Publisher publisher(to(broker.endpoint()));
  std::string obstacle;
  const auto refused = publisher.publish_and_wait("x", Millis{1500});
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().what, HasSubstr("refuses: speaks versions 7"));
}

TEST(Publisher, EndsAtItsDeadlineWhereTheBrokerIsSilent) {
  ScriptedBroker broker({.silent = true});
  Publisher publisher(to(broker.endpoint()));
  EXPECT_FALSE(publisher.publish_and_wait("x", Millis{100}).has_value());
}

TEST(Publisher, IsFullAtItsLimitAndHasRoomAgain) {
  std::string endpoint;
  { endpoint = ScriptedBroker().endpoint(); }
  Publisher publisher({.endpoint = endpoint, .name = "test", .limits = {.memory = 1000}});
  const auto signal = [] { return signal_of("x", std::string(350, 'x')); };
  ASSERT_TRUE(publisher.publish(signal()).has_value());
  ASSERT_TRUE(publisher.publish(signal()).has_value());
  EXPECT_FALSE(publisher.publish(signal()).has_value());
  test::StartedBroker broker(endpoint);
  ASSERT_TRUE(publisher.wait_for_room(500, kLong));
  EXPECT_TRUE(publisher.publish(signal()).has_value());
}

TEST(Publisher, RefusesAnEndpointThatIsNone) { EXPECT_THROW(Publisher(to("nonsense")), Failure); }

}  // namespace detent
