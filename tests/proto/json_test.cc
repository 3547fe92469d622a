#include "proto/json.h"

#include <gmock/gmock.h>

#include "proto/signal_validator.h"

namespace detent {
namespace {

using testing::HasSubstr;

std::string refusal(const std::string& text) {
  UlidSource ids(7);
  const auto signals = signals_from_json(text, ids, {Millis{0}, Millis{1'795'000'000'000}});
  EXPECT_FALSE(signals) << text;
  const std::string what = signals ? "" : signals.error().what;
  EXPECT_EQ(what.find('\n'), std::string::npos) << what;
  return what;
}

TEST(Json, ReadsFieldsInBothForms) {
  UlidSource ids(7);
  const auto signals = signals_from_json(
      R"([{"type":"a.b","title":"x","fields":{"used":95},"labels":{"team":"infra"}},
          {"type":"a.b","title":"x","fields":[{"name":"used","value":"95%","short":true}]}])",
      ids, {Millis{0}, Millis{1'795'000'000'000}});
  ASSERT_TRUE(signals) << signals.error().what;
  EXPECT_EQ(signals->size(), 2u);
  EXPECT_EQ(read_header((*signals)[0]).labels.at(0).second, "infra");
}

TEST(Json, NamesWhatIsWrongWhere) {
  EXPECT_EQ(refusal(R"({"type":"a.b","title":"x","fields":[{"name":"a","value":"b"},[[1]]]})"),
            "\"fields\"[1] must be an object of \"name\", \"value\" and \"short\"");
  EXPECT_EQ(refusal(R"({"type":"a.b","title":"x","labels":{"a":5}})"), "\"labels\".\"a\" must be a string");
  EXPECT_EQ(refusal(R"({"type":"a.b","title":"x","id":"00000000000000000000000000"})"),
            "\"id\" must be a ULID of 26 characters");
}

TEST(Json, WantsATitleAsThePublisherDoes) {
  EXPECT_EQ(refusal(R"({"type":"a.b"})"), "a signal needs a \"title\"");
  EXPECT_EQ(refusal(R"({"type":"heartbeat.ok","title":""})"), "a signal needs a \"title\"");
}

TEST(Json, SaysInOneLineThatANumberIsTooLarge) {
  EXPECT_THAT(refusal(R"({"type":"heartbeat.ok","title":"x","load":1e400})"), HasSubstr("heartbeat.ok (Heartbeat)"));
}

}  // namespace
}  // namespace detent
