// The inbox: each end of a task is there until somebody says that it was read, and not after that.
#include <gmock/gmock.h>

#include "tests/dispatch/desk.h"

namespace detent::test {

namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class Inbox : public Desk {
 protected:
  json::value mark(const json::array& tasks) {
    json::array read;
    for (const auto& task : tasks) read.push_back({{"id", task.at("id")}, {"end", task.at("end")}});
    return ask({{"command", "inbox.read"}, {"read", std::move(read)}});
  }
};

}  // namespace

TEST_F(Inbox, HasEndsWithTheirResultsUntilTheyAreRead) {
  EXPECT_THAT(inbox(), IsEmpty());
  const std::string good = ended(SUCCEEDED, "all is well"), bad = ended(FAILED);
  submit("it waits");
  const auto tasks = inbox();
  ASSERT_THAT(tasks, SizeIs(2));
  EXPECT_EQ(tasks[0].at("id"), json::string(good));
  EXPECT_EQ(tasks[0].at("result"), "all is well");
  EXPECT_EQ(tasks[1].at("id"), json::string(bad));
  EXPECT_EQ(tasks[1].at("error"), "it went wrong");
  EXPECT_EQ(mark({tasks[0]}).at("marked"), 1);
  EXPECT_EQ(mark({tasks[0]}).at("marked"), 0) << "it was read before";
  ASSERT_THAT(inbox(), SizeIs(1));
  EXPECT_EQ(inbox()[0].at("id"), json::string(bad));
  EXPECT_TRUE(ask({{"command", "task.show"}, {"id", good}}).at("read").as_bool());
}

TEST_F(Inbox, WhatWasReadStaysReadThroughARestartWithAndWithoutASnapshot) {
  const std::string read = ended(SUCCEEDED, "one"), unread = ended(SUCCEEDED, "two");
  mark({inbox()[0]});
  for (const bool snapshot : {false, true}) {
    if (snapshot) {
      host->want_snapshot();
      submit("more");
    }
    crash();
    const auto tasks = inbox();
    ASSERT_THAT(tasks, SizeIs(1)) << snapshot;
    EXPECT_EQ(tasks[0].at("id"), json::string(unread));
    EXPECT_EQ(tasks[0].at("result"), "two");
  }
}

TEST_F(Inbox, AMarkIsNotAnsweredBeforeItIsDurable) {
  ended(SUCCEEDED, "one");
  const auto tasks = inbox();
  journal_works = false;
  EXPECT_TRUE(mark(tasks).is_null());
  crash();
  EXPECT_THAT(inbox(), SizeIs(1));
  journal_works = true;
}

TEST_F(Inbox, SaysHowManyMoreThereAre) {
  for (int i = 0; i < 6; ++i) ended(SUCCEEDED, std::string(250'000, 'x'));
  const json::value first = ask({{"command", "inbox"}});
  EXPECT_THAT(first.at("tasks").as_array(), SizeIs(4));
  EXPECT_EQ(first.at("left_off"), 2);
  mark(first.at("tasks").as_array());
  const json::value rest = ask({{"command", "inbox"}, {"limit", 1}});
  EXPECT_THAT(rest.at("tasks").as_array(), SizeIs(1));
  EXPECT_EQ(rest.at("left_off"), 1);
}

TEST_F(Inbox, WhatCannotBeAMarkIsRefusedAsAWhole) {
  const std::string id = ended(SUCCEEDED);
  const auto refuses = [&](const json::value& read) {
    const json::value answer = ask({{"command", "inbox.read"}, {"read", read}});
    return answer.is_string() ? std::string(answer.as_string()) : "taken";
  };
  EXPECT_THAT(refuses(7), HasSubstr("list"));
  EXPECT_THAT(refuses({{{"id", id}, {"end", 1}}, {{"id", "x"}, {"end", 1}}}), HasSubstr("\"x\""));
  EXPECT_THAT(refuses({{{"id", id}, {"end", -1}}, {{"id", id}}}), HasSubstr("-1"));
  EXPECT_THAT(inbox(), SizeIs(1));
  EXPECT_EQ(mark({{{"id", id}, {"end", 2}}}).at("marked"), 0) << "it has had no second end";
}

}  // namespace detent::test
