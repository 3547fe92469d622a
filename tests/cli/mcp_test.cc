// `detent mcp` as an agent's runtime speaks to it, line by line, with a running broker behind it.
#include <gmock/gmock.h>

#include <boost/json.hpp>

#include "cli/mcp_server.h"
#include "proto/signal.pb.h"
#include "tests/cli/invoke.h"
#include "tests/running/running.h"

namespace detent {

namespace {

namespace json = boost::json;

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* kNobody = "tcp://127.0.0.1:9";

/// One whole life of `detent mcp`: these lines in, its answers out.
struct Talk {
  explicit Talk(const std::vector<std::string>& lines, const std::string& broker = kNobody) {
    std::string input;
    for (const std::string& line : lines) input += line + "\n";
    done = invoke({"mcp", "--source", "agent", "--broker", broker, "--deadline", "200ms"}, input);
    std::istringstream out(done.out);
    for (std::string line; std::getline(out, line);) answers.push_back(json::parse(line));
  }
  const json::object& answer(size_t at) const { return answers.at(at).as_object(); }
  int code(size_t at) const { return answer(at).at("error").at("code").to_number<int>(); }
  /// What the model reads of a call's result.
  std::string told(size_t at) const {
    return std::string(answer(at).at("result").at("content").at(0).at("text").as_string());
  }
  bool failed(size_t at) const { return answer(at).at("result").at("isError").as_bool(); }

  Invoked done;
  std::vector<json::value> answers;
};

std::string call(const std::string& tool, const json::object& arguments, int id = 1) {
  return json::serialize(json::object{{"jsonrpc", "2.0"},
                                      {"id", id},
                                      {"method", "tools/call"},
                                      {"params", {{"name", tool}, {"arguments", arguments}}}});
}

Signal read_signal(const std::string& bytes) {
  Signal signal;
  EXPECT_TRUE(signal.ParseFromString(bytes));
  return signal;
}

}  // namespace

TEST(Mcp, OpensASessionAsOpenClawDoesAndEndsWithItsInput) {
  const Talk talk({R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25",)"
                   R"("capabilities":{},"clientInfo":{"name":"openclaw-bundle-mcp","version":"0.0.0"}}})",
                   R"({"jsonrpc":"2.0","method":"notifications/initialized"})",
                   R"({"jsonrpc":"2.0","id":"p","method":"ping"})",
                   R"({"jsonrpc":"2.0","id":2,"method":"tools/list"})"});
  EXPECT_EQ(talk.done.exit, 0) << talk.done.err;
  ASSERT_THAT(talk.answers, SizeIs(3));
  EXPECT_EQ(talk.answer(0).at("result").at("protocolVersion").as_string(), "2025-11-25");
  EXPECT_EQ(talk.answer(0).at("result").at("serverInfo").at("name").as_string(), "detent");
  EXPECT_EQ(talk.answer(1).at("id").as_string(), "p");
  EXPECT_THAT(talk.answer(1).at("result").as_object(), IsEmpty());
  const auto& tools = talk.answer(2).at("result").at("tools").as_array();
  ASSERT_THAT(tools, SizeIs(4));
  EXPECT_EQ(tools[0].at("name").as_string(), "publish");
  EXPECT_EQ(tools[1].at("name").as_string(), "submit");
  EXPECT_EQ(tools[2].at("name").as_string(), "task_status");
  EXPECT_EQ(tools[3].at("name").as_string(), "inbox");
  for (const auto& tool : tools) {
    EXPECT_EQ(tool.at("inputSchema").at("type").as_string(), "object");
    EXPECT_EQ(tool.at("annotations").at("readOnlyHint").as_bool(), tool.at("name") == "task_status");
    EXPECT_FALSE(tool.at("annotations").at("destructiveHint").as_bool());
  }
}

TEST(Mcp, AnswersAVersionThatItDoesNotSpeakWithOneThatItDoes) {
  const Talk talk({R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"1999-01-01"}})"});
  EXPECT_EQ(talk.answer(0).at("result").at("protocolVersion").as_string(), "2025-11-25");
}

TEST(Mcp, PublishesWhatItsArgumentsSay) {
  test::StartedBroker broker;
  const Talk talk({call("publish", {{"type", "incident.detected"},
                                    {"title", "disk 95%"},
                                    {"body", "it **fills** up"},
                                    {"severity", "error"},
                                    {"fields", {{"host", "robo-1"}, {"used", 95}}},
                                    {"labels", {{"team", "infra"}}},
                                    {"thread", "disk"},
                                    {"needs_response", true},
                                    {"id", "01ARZ3NDEKTSV4RRFFQ69G5FAV"}})},
                  broker.endpoint());
  EXPECT_FALSE(talk.failed(0)) << talk.told(0);
  EXPECT_EQ(talk.told(0), R"({"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","durability":"JOURNALED"})");
  const auto published = broker.published();
  ASSERT_THAT(published, SizeIs(1));
  const Signal signal = read_signal(published[0]);
  EXPECT_EQ(signal.type(), "incident.detected");
  EXPECT_EQ(signal.source(), "agent");
  EXPECT_EQ(signal.severity(), ERROR);
  EXPECT_EQ(signal.thread(), "disk");
  EXPECT_TRUE(signal.needs_response());
  EXPECT_EQ(signal.labels(0).value(), "infra");
  Incident incident;
  ASSERT_TRUE(incident.ParseFromString(signal.payload()));
  EXPECT_EQ(incident.host(), "robo-1");
  EXPECT_EQ(incident.fields(0).value(), "95");
}

TEST(Mcp, TheSameCallTwiceIsTwoSignalsAndWithAnIdOne) {
  test::StartedBroker broker;
  const json::object twice{{"type", "a.b"}, {"title", "again"}};
  const json::object once{{"type", "a.b"}, {"title", "once"}, {"id", "01ARZ3NDEKTSV4RRFFQ69G5FAV"}};
  const Talk talk({call("publish", twice), call("publish", twice), call("publish", once), call("publish", once)},
                  broker.endpoint());
  for (size_t i = 0; i < 4; ++i) EXPECT_FALSE(talk.failed(i)) << talk.told(i);
  EXPECT_THAT(broker.published(), SizeIs(3));
}

TEST(Mcp, ATaskIsASignalThatAsksForIt) {
  test::StartedBroker broker;
  const Talk talk({call("submit", {{"runner", "openclaw"},
                                   {"prompt", "\n# Review the week.\nAll of it."},
                                   {"priority", 3},
                                   {"timeout", "2h"},
                                   {"labels", {{"gpu", "no"}}},
                                   {"after", "01ARZ3NDEKTSV4RRFFQ69G5FAV"}})},
                  broker.endpoint());
  EXPECT_FALSE(talk.failed(0)) << talk.told(0);
  const auto published = broker.published();
  ASSERT_THAT(published, SizeIs(1));
  const Signal signal = read_signal(published[0]);
  EXPECT_EQ(signal.type(), "task.requested");
  EXPECT_THAT(talk.told(0), HasSubstr(Ulid::from_bytes(signal.id())->text()));
  EXPECT_EQ(signal.labels(0).key(), "gpu");
  TaskRequest request;
  ASSERT_TRUE(request.ParseFromString(signal.payload()));
  EXPECT_EQ(request.title(), "Review the week.");
  EXPECT_EQ(request.body(), "\n# Review the week.\nAll of it.");
  EXPECT_EQ(request.runner(), "openclaw");
  EXPECT_EQ(request.priority(), 3);
  EXPECT_EQ(request.timeout_ms(), 7'200'000u);
  ASSERT_EQ(request.after_size(), 1);
  EXPECT_EQ(request.after(0), "01ARZ3NDEKTSV4RRFFQ69G5FAV");
}

TEST(Mcp, ABadArgumentIsToldToTheModelInOneLine) {
  const std::pair<json::object, const char*> bad[] = {
      {{{"title", "x"}}, "\"type\" is missing"},
      {{{"type", "a.b"}, {"title", "x"}, {"severity", "loud"}}, "critical"},
      {{{"type", "a.b"}, {"title", 7}}, "\"title\" must be a string"},
      {{{"type", "a.b"}, {"titel", "x"}}, "is \"title\" meant?"},
      {{{"type", "a.b"}, {"title", "x"}, {"id", "7"}}, "ULID"},
      {{{"type", "a.b"}, {"title", "x"}, {"labels", {{"a", {1}}}}}, "labels.a"},
      {{{"type", "a.b"}, {"title", "x"}, {"needs_response", "yes"}}, "true or false"},
      {{{"type", "NO TYPE"}, {"title", "x"}}, "type"}};
  for (const auto& [arguments, why] : bad) {
    const Talk talk({call("publish", arguments)});
    EXPECT_TRUE(talk.failed(0));
    EXPECT_THAT(talk.told(0), HasSubstr(why));
    EXPECT_THAT(talk.told(0), testing::Not(HasSubstr("\n")));
  }
  EXPECT_THAT(Talk({call("submit", {{"runner", "r"}, {"prompt", "p"}, {"timeout", "soon"}})}).told(0),
              HasSubstr("duration"));
  EXPECT_THAT(Talk({call("submit", {{"runner", "r"}, {"prompt", "p"}, {"priority", 1.5}})}).told(0),
              HasSubstr("whole number"));
  EXPECT_THAT(Talk({call("submit", {{"runner", "r"}, {"prompt", "p"}, {"priority", 5'000'000'000}})}).told(0),
              HasSubstr("out of range"));
}

TEST(Mcp, ADispatcherThatIsAwayIsAnErrorOfTheTool) {
  const std::string asks = call("task_status", {{"id", "01ARZ3NDEKTSV4RRFFQ69G5FAV"}});
  const Invoked done = invoke({"mcp", "--dispatcher", kNobody, "--deadline", "200ms"}, asks + "\n");
  EXPECT_EQ(done.exit, 0) << done.err;
  EXPECT_THAT(done.out, testing::AllOf(HasSubstr("dispatcher"), HasSubstr("\"isError\":true")));
}

TEST(Mcp, ABrokerThatIsAwayIsAnErrorOfTheToolAndTheSessionGoesOn) {
  const Talk talk({call("publish", {{"type", "a.b"}, {"title", "x"}}), R"({"jsonrpc":"2.0","id":2,"method":"ping"})"});
  EXPECT_TRUE(talk.failed(0));
  EXPECT_THAT(talk.told(0), HasSubstr("127.0.0.1:9"));
  EXPECT_TRUE(talk.answer(1).contains("result"));
  EXPECT_EQ(talk.done.exit, 0);
}

TEST(Mcp, WhatIsNoRequestGetsTheErrorThatJsonRpcHasForIt) {
  const Talk talk({"{", "[]", R"({"jsonrpc":"2.0","id":{},"method":"ping"})", R"({"id":1,"method":"ping"})",
                   R"({"jsonrpc":"2.0","id":1})", R"({"jsonrpc":"2.0","id":1,"method":"resources/list"})",
                   R"({"jsonrpc":"2.0","id":1,"method":"ping","params":[]})",
                   R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"drop"}})",
                   R"({"jsonrpc":"2.0","id":1,"method":"initialize"})", "", "   ",
                   R"({"jsonrpc":"2.0","method":"no/such"})", R"({"jsonrpc":"2.0","id":9,"result":{}})"});
  EXPECT_EQ(talk.done.exit, 0);
  ASSERT_THAT(talk.answers, SizeIs(9));
  const int codes[] = {-32700, -32600, -32600, -32600, -32600, -32601, -32602, -32602, -32602};
  for (size_t i = 0; i < 9; ++i) EXPECT_EQ(talk.code(i), codes[i]) << i;
  EXPECT_TRUE(talk.answer(0).at("id").is_null());
  EXPECT_EQ(talk.answer(5).at("id").as_int64(), 1);
}

TEST(Mcp, AnEndlessLineIsRefusedAndTheNextOneRead) {
  const Talk talk({std::string(9 << 20, 'x'), R"({"jsonrpc":"2.0","id":1,"method":"ping"})"});
  ASSERT_THAT(talk.answers, SizeIs(2));
  EXPECT_EQ(talk.code(0), -32600);
  EXPECT_TRUE(talk.answer(1).contains("result"));
}

TEST(Mcp, ALastLineWithoutNewlineIsRead) {
  const Invoked done = invoke({"mcp", "--broker", kNobody}, R"({"jsonrpc":"2.0","id":1,"method":"ping"})");
  EXPECT_EQ(done.out, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n");
}

TEST(Mcp, AConfigThatDoesNotLoadIsAnErrorOfTheToolThatNeedsIt) {
  const Folder folder;
  const std::string config = folder.write("detent.toml", "[broker]\nlissen = 1\n");
  const Invoked done = invoke({"--config", config, "mcp"}, call("publish", {{"type", "a.b"}, {"title", "x"}}) + "\n");
  EXPECT_EQ(done.exit, 0) << done.err;
  EXPECT_THAT(done.out, HasSubstr("lissen"));
  EXPECT_THAT(done.out, HasSubstr("\"isError\":true"));
}

/// A server whose dispatcher is played: it answers each question with `answer`.
struct Played {
  explicit Played(json::object answer) : answers(std::move(answer)) {}
  /// What it says to these lines.
  std::string serve(const std::string& lines) {
    std::istringstream in(lines);
    std::ostringstream out;
    server.serve(in, out);
    return out.str();
  }

  json::object answers;
  json::array asked;
  std::istringstream nothing;
  std::ostringstream nowhere;
  Invocation invocation{nothing, nowhere, nowhere, "detent"};
  McpServer server{mcp_tools(invocation, "agent", [this](const json::object& question) -> json::value {
    asked.push_back(question);
    return answers;
  })};
};

TEST(Mcp, ATaskIsShownWithoutItsPrompt) {
  Played played({{"state", "running"}, {"signal", {{"body", "the prompt"}}}});
  EXPECT_THAT(played.serve(call("task_status", {{"id", "01ARZ3NDEKTSV4RRFFQ69G5FAV"}})),
              testing::AllOf(HasSubstr("running"), testing::Not(HasSubstr("the prompt"))));
  EXPECT_THAT(played.serve(call("task_status", {})), HasSubstr("missing"));
  ASSERT_THAT(played.asked, SizeIs(1));
  EXPECT_EQ(played.asked[0].at("command").as_string(), "task.show");
  EXPECT_EQ(played.asked[0].at("id").as_string(), "01ARZ3NDEKTSV4RRFFQ69G5FAV");
}

TEST(Mcp, ResultsCountAsReadOnceTheyAreHandedOverAndNotBefore) {
  const json::object one{{"id", "01ARZ3NDEKTSV4RRFFQ69G5FAV"}, {"end", 3}, {"result", "all is well"}};
  Played played({{"tasks", json::array{one}}, {"left_off", 0}});
  EXPECT_THAT(played.serve(call("inbox", {{"peek", true}})), HasSubstr("all is well"));
  EXPECT_THAT(*played.server.answer(call("inbox", {})), HasSubstr("all is well"));
  EXPECT_THAT(played.asked, SizeIs(2)) << "nothing was written";
  EXPECT_THAT(played.serve(call("inbox", {})), HasSubstr("all is well"));
  ASSERT_THAT(played.asked, SizeIs(4));
  EXPECT_EQ(json::serialize(played.asked[3]),
            R"({"command":"inbox.read","read":[{"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","end":3}]})");
}

TEST(Mcp, AnEmptyInboxIsAskedForAndNothingIsMarked) {
  Played played({{"tasks", json::array{}}, {"left_off", 0}});
  EXPECT_THAT(played.serve(call("inbox", {})), HasSubstr("left_off"));
  EXPECT_THAT(played.asked, SizeIs(1));
}

}  // namespace detent
