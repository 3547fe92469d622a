#include "proto/signal_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/signal.pb.h"

namespace detent {

namespace {

using testing::HasSubstr;
using testing::Not;

constexpr Now kNow{Millis{5}, Millis{1'795'357'327'123}};

Signal built(SignalBuilder& builder, const Draft& draft) {
  const auto result = builder.build(draft, kNow);
  EXPECT_TRUE(result.has_value()) << (result ? "" : result.error().what);
  Signal signal;
  EXPECT_TRUE(signal.ParseFromString(result ? result->signal : ""));
  return signal;
}

}  // namespace

TEST(SignalBuilder, FillsTheHead) {
  SignalBuilder builder;
  const Signal signal = built(builder, {.type = "note.x",
                                        .title = "hello",
                                        .source = "host-1",
                                        .severity = 2,
                                        .needs_response = true,
                                        .labels = {{"team", "infra"}},
                                        .thread = "t",
                                        .expires_in = Millis{1000}});
  EXPECT_EQ(signal.id().size(), 16u);
  EXPECT_EQ(Ulid::from_bytes(signal.id())->time(), kNow.wall);
  EXPECT_EQ(signal.type(), "note.x");
  EXPECT_EQ(signal.source(), "host-1");
  EXPECT_EQ(signal.severity(), WARNING);
  EXPECT_TRUE(signal.needs_response());
  EXPECT_EQ(signal.labels(0).key(), "team");
  EXPECT_EQ(signal.thread(), "t");
  EXPECT_EQ(signal.created_ms(), kNow.wall.count());
  EXPECT_EQ(signal.expires_ms(), kNow.wall.count() + 1000);
}

TEST(SignalBuilder, GivesEachSignalAnIdAndKeepsOneThatIsGiven) {
  SignalBuilder builder;
  EXPECT_NE(built(builder, {.type = "a", .title = "x"}).id(), built(builder, {.type = "a", .title = "x"}).id());
  const Ulid id = *Ulid::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV");
  EXPECT_EQ(built(builder, {.type = "a", .title = "x", .id = id}).id(), id.view());
}

TEST(SignalBuilder, MakesTheSameBytesOfTheSameIdAtAnyTime) {
  SignalBuilder builder;
  const Draft draft{
      .type = "a", .title = "x", .expires_in = Millis{1000}, .id = *Ulid::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV")};
  const Now later{kNow.mono + Millis{5000}, kNow.wall + Millis{5000}};
  EXPECT_EQ(builder.build(draft, kNow)->signal, builder.build(draft, later)->signal);
}

TEST(SignalBuilder, PutsFieldsOfTheTypesOwnPayloadWhereTheyBelong) {
  SignalBuilder builder;
  const Signal signal = built(builder, {.type = "threshold.crossed",
                                        .title = "disk",
                                        .fields = {{"metric", "disk"}, {"value", "0.95"}, {"mount", "/"}}});
  Threshold threshold;
  ASSERT_TRUE(threshold.ParseFromString(signal.payload()));
  EXPECT_EQ(threshold.metric(), "disk");
  EXPECT_DOUBLE_EQ(threshold.value(), 0.95);
  ASSERT_EQ(threshold.fields_size(), 1);
  EXPECT_EQ(threshold.fields(0).name(), "mount");
  EXPECT_EQ(threshold.fields(0).value(), "/");
}

TEST(SignalBuilder, CarriesATypedPayload) {
  SignalBuilder builder;
  CronOutput payload;
  payload.set_title("backup ok");
  payload.set_exit_code(0);
  payload.set_output("password=hunter2-and-more\n");
  const auto result = builder.build({.type = "cron.output"}, payload, kNow);
  ASSERT_TRUE(result.has_value());
  Signal signal;
  CronOutput back;
  ASSERT_TRUE(signal.ParseFromString(result->signal));
  ASSERT_TRUE(back.ParseFromString(signal.payload()));
  EXPECT_EQ(back.title(), "backup ok");
  EXPECT_EQ(back.output(), "password=[redacted]******\n");
}

TEST(SignalBuilder, MasksSecretsEverywhere) {
  const std::string secret = "ghp_" + std::string(36, 'a');
  SignalBuilder builder(Patterns::compile({"corp-[0-9]+"}).value());
  const auto result = builder.build({.type = "a.b",
                                     .title = "see " + secret,
                                     .body = "and " + secret + " corp-123456",
                                     .fields = {{"api_key", "abcdefgh1234"}, {"x", secret}},
                                     .source = secret,
                                     .labels = {{"password", "hun\"ter2"}, {"l", secret}}},
                                    kNow);
  ASSERT_TRUE(result.has_value());
  EXPECT_THAT(result->signal, Not(HasSubstr(secret)));
  EXPECT_THAT(result->signal, Not(HasSubstr("corp-123456")));
  EXPECT_THAT(result->signal, Not(HasSubstr("abcdefgh1234")));
  EXPECT_THAT(result->signal, Not(HasSubstr("ter2")));
}

TEST(SignalBuilder, NamesTheFieldThatIsOverItsLimit) {
  SignalBuilder builder;
  const auto wrong = [&](const Draft& draft) {
    const auto result = builder.build(draft, kNow);
    EXPECT_FALSE(result.has_value());
    return result ? std::string() : result.error().what;
  };
  EXPECT_THAT(wrong({.type = "a", .title = std::string(513, 'x')}),
              HasSubstr("title: 513 bytes, over the limit of 512"));
  EXPECT_THAT(wrong({.type = "a", .title = "x", .source = std::string(200, 's')}), HasSubstr("source"));
  EXPECT_THAT(wrong({.type = "Not A Type", .title = "x"}), HasSubstr("Signal.type"));
  EXPECT_THAT(wrong({.type = "a", .title = "\xff"}), HasSubstr("not UTF-8"));
  EXPECT_THAT(wrong({.type = "a"}), HasSubstr("needs a title"));
  EXPECT_THAT(wrong({.type = "threshold.crossed", .title = "x", .fields = {{"value", "high"}}}),
              HasSubstr("field value: \"high\" is not a number"));
}

}  // namespace detent
