// The whole broker: the loop, its threads, the journal, the dead letters and the ledger together.
#include <gmock/gmock.h>

#include "tests/broker/running.h"

namespace detent::test {
namespace {

using testing::HasSubstr;

const std::string kChannel = "discord.chat";

bool is_in_the_ledger(const boost::json::value& status) {
  return status.at("ledger").at("behind").to_number<int>() == 0;
}

TEST(Broker, KeepsASegmentUntilTheDeadLetterInItIsWritten) {
  Running running;
  running.start();
  const std::string body(200 << 10, 'x');  // a segment each
  Caller caller(running.endpoint(), Link::Role::Consumer, {kChannel});
  for (int i = 0; i < 5; ++i) caller.publish({signal_of("number " + std::to_string(i + 1), body)});
  ASSERT_TRUE(running.wait_for(
      [&](const auto& status) { return is_in_the_ledger(status) && running.files("ids").size() >= 3; }));

  caller.credit(kChannel, 1);
  ASSERT_TRUE(caller.until([&] { return caller.deliveries.size() == 1; }));
  // While the loop reads the next body, the first delivery is given up and the time comes to look after segments: one
  // turn sees both.
  running.disk.close_gate();
  caller.credit(kChannel, 1);
  ASSERT_TRUE(caller.until([&] { return running.disk.held_up() > 0; }));
  caller.give_up(kChannel, caller.deliveries.front().delivery());
  caller.until([start = system_now().mono] { return system_now().mono - start > Millis{1200}; });
  running.disk.open_gate();

  boost::json::value letter;
  ASSERT_TRUE(caller.until([&] {
    letter = caller.ask({{"command", "dead.show"}, {"seq", 1}});
    return letter.is_object();
  })) << letter;
  EXPECT_EQ(letter.at("cause").as_string(), "400");
  EXPECT_EQ(letter.at("signal").at("body").as_string().size(), body.size());
}

}  // namespace
}  // namespace detent::test
