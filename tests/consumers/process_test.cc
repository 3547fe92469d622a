// Whole consumers, as processes run them, between the broker and the sandbox.
#include "consumers/process.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "consumers/discord/channel.h"
#include "consumers/telegram/chat.h"
#include "http/client.h"
#include "sandbox/sandbox.h"
#include "tests/consumers/requests.h"
#include "tests/consumers/stories.h"
#include "tests/consumers/whole_broker.h"

namespace detent::consumers {
namespace {

namespace json = boost::json;
using testing::note;
using testing::WholeBroker;

struct World : ::testing::Test {
  std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("detent-consumers." + std::to_string(::getpid()));
  std::string record = (folder / "requests.jsonl").string();
  World() { std::filesystem::create_directories(folder); }
  ~World() override {
    stop();
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }

  sandbox::Sandbox& town() {
    if (!town_)
      town_ = std::make_unique<sandbox::Sandbox>(sandbox::SandboxOptions{.listen = "127.0.0.1:0", .record = record});
    return *town_;
  }
  json::value control(const std::string& method, const std::string& path, const json::object& body = {}) {
    http::KeepAliveClient client;
    const auto answer = client.send({.method = method,
                                     .url = town().url() + "/control/" + path,
                                     .headers = {{"Content-Type", "application/json"}},
                                     .body = method == "POST" ? json::serialize(body) : ""});
    EXPECT_TRUE(answer && answer->status == 200) << (answer ? answer->body : answer.error().error.what);
    return answer ? json::parse(answer->body) : json::value();
  }
  void fault(const std::string& service, const std::string& kind, json::object more = {}) {
    more["service"] = service;
    more["kind"] = kind;
    // Only what sends a message: looking round is not at stake.
    if (service == "discord") more["method"] = "POST";
    control("POST", "faults", more);
  }
  json::array messages(const std::string& service) { return control("GET", "messages?service=" + service).as_array(); }
  /// The first lines of the messages.
  std::multiset<std::string> titles(const std::string& service) {
    std::multiset<std::string> out;
    for (const json::value& message : messages(service)) {
      std::string text(message.at(service == "discord" ? "content" : "text").as_string());
      text.resize(text.find('\n') == std::string::npos ? text.size() : text.find('\n'));
      // The signals' time stands still, so they are late by more each day.
      if (const size_t late = text.find(" · "); late != std::string::npos)
        text.erase(late, text.find(" late", late) + 5 - late);
      out.insert(text);
    }
    return out;
  }

  std::shared_ptr<Secret> token(const std::string& value) {
    auto secret = std::make_shared<Secret>(Secret::literal(value));
    (void)secret->refresh();
    return secret;
  }
  void serve_discord(std::shared_ptr<Secret> secret, discord::Channel::Place place = {}) {
    place.api = town().url() + "/discord/api/v10";
    if (place.name.empty()) place.name = "discord.alerts";
    if (!place.webhook) place.id = "1100000000000000002";
    place.deadline = Millis{500};
    std::vector<Served> served;
    served.push_back({place.name, std::make_unique<discord::Channel>(place, *secret, limits), secret});
    start(std::move(served));
  }
  void serve_telegram(std::shared_ptr<Secret> secret, int64_t chat = 4242, int silent_below = 0) {
    std::vector<Served> served;
    const telegram::Chat::Place place{.api = town().url() + "/telegram",
                                      .name = "telegram",
                                      .chat = chat,
                                      .silent_below = silent_below,
                                      .deadline = Millis{500}};
    served.push_back({"telegram", std::make_unique<telegram::Chat>(place, *secret), secret});
    start(std::move(served));
  }
  void start(std::vector<Served> served) {
    broker.start(served[0].name);
    process = std::make_unique<Process>(broker.endpoint(), "test", std::move(served));
    thread = std::thread([this] { process->run(); });
  }
  void stop() {
    if (!process) return;
    process->stop();
    thread.join();
    process.reset();
  }

  WholeBroker broker;
  discord::RateLimits limits{{.per_second = 200}};
  std::unique_ptr<sandbox::Sandbox> town_;
  std::unique_ptr<Process> process;
  std::thread thread;
};

TEST_F(World, EveryTypeArrivesInDiscordAndDiscordsDocumentsFindNoFault) {
  serve_discord(token("good"));
  const auto signals = testing::one_of_each();
  for (const Signal& signal : signals) broker.publish(signal);
  Signal threaded = note("threaded", "one"), second = note("threaded again", "two");
  threaded.set_thread("k");
  second.set_thread("k");
  broker.publish(threaded);
  ASSERT_TRUE(broker.wait_settled(signals.size() + 1));
  broker.publish(second);
  broker.publish(note("long", std::string(300'000, 'x')));
  broker.publish(note("parts", std::string(9'000, 'y')));
  ASSERT_TRUE(broker.wait_settled(signals.size() + 4));
  for (const auto& one : broker.outcomes()) {
    EXPECT_EQ(one.state, "delivered") << one.cause;
    EXPECT_TRUE(one.link.starts_with("https://discord.com/channels/")) << one.link;
  }
  EXPECT_EQ(messages("discord").size(), signals.size() + 4 + 2);
  stop();
  town_.reset();
  testing::check_requests(record);
}

TEST_F(World, AQuestionMakesASoundOnThePhoneAndWhatIsLessSevereDoesNot) {
  serve_telegram(token("1:good"), 4242, WARNING);
  Signal question = note("deploy?", "yes or no"), remark = note("by the way", "b");
  question.set_needs_response(true);
  for (const Signal& signal : {question, remark}) broker.publish(signal);
  ASSERT_TRUE(broker.wait_settled(2));
  const json::array shown = messages("telegram");
  ASSERT_EQ(shown.size(), 2U);
  EXPECT_FALSE(shown[0].at("sandbox").at("silent").as_bool()) << shown[0];
  EXPECT_TRUE(shown[1].at("sandbox").at("silent").as_bool()) << shown[1];
}

TEST_F(World, QuestionsArriveInTelegramAndTelegramsDocumentsFindNoFault) {
  serve_telegram(token("1:good"));
  for (Signal signal : testing::one_of_each()) {
    if (signal.type() != "incident.detected" && signal.type() != "memory.updated") continue;
    signal.set_needs_response(true);
    broker.publish(signal);
  }
  broker.publish(note("long", std::string(300'000, 'x')));
  ASSERT_TRUE(broker.wait_settled(3));
  broker.expect_delivered();
  stop();
  town_.reset();
  testing::check_requests(record);
}

TEST_F(World, NoFaultOfDiscordLosesOrDoublesAMessage) {
  serve_discord(token("good"));
  size_t count = 0;
  std::multiset<std::string> expected;
  for (const std::string kind :
       {"429", "500", "502", "503", "timeout", "reset", "accept-then-reset", "accept-then-timeout", "slow"}) {
    fault("discord", kind, kind == "slow" ? json::object{{"seconds", 0.2}} : json::object{{"retry_after", 0.2}});
    for (const char* which : {" one", " two"}) {
      broker.publish(note(kind + which, "b"));
      expected.insert("⚪ **" + kind + which + "**");
      ++count;
    }
    ASSERT_TRUE(broker.wait_settled(count)) << kind;
  }
  for (const std::string scope : {"global", "shared", "sublimit"}) {
    fault("discord", "429", {{"retry_after", 0.2}, {"scope", scope}});
    broker.publish(note(scope, "b"));
    expected.insert("⚪ **" + scope + "**");
    ASSERT_TRUE(broker.wait_settled(++count)) << scope;
  }
  broker.expect_delivered();
  EXPECT_EQ(titles("discord"), expected);
}

TEST_F(World, NoFaultOfTelegramLosesAQuestionAndRepeatsAreMarked) {
  serve_telegram(token("1:good"));
  size_t count = 0;
  const std::set<std::string> open_kinds = {"timeout", "reset", "accept-then-reset", "accept-then-timeout"};
  for (const std::string kind : {"429", "500", "timeout", "reset", "accept-then-reset", "accept-then-timeout"}) {
    fault("telegram", kind, {{"retry_after", 1}});
    Signal signal = note(kind, "b");
    signal.set_needs_response(true);
    broker.publish(signal);
    ASSERT_TRUE(broker.wait_settled(++count)) << kind;
  }
  broker.expect_delivered();
  std::map<std::string, int> unmarked, all;
  for (const std::string& text : titles("telegram")) {
    const std::string& line = text;
    const bool marked = line.ends_with(" (repeat)");
    const std::string title = marked ? line.substr(0, line.size() - 9) : line;
    ++all[title];
    unmarked[title] += !marked;
  }
  EXPECT_EQ(all.size(), 6U);
  for (const auto& [title, number] : unmarked) EXPECT_LE(number, 1) << title;
}

TEST_F(World, WhatTelegramPerhapsHasIsUnknownAndNotSentTwice) {
  serve_telegram(token("1:good"));
  fault("telegram", "accept-then-reset");
  broker.publish(note("ambient", "b"));
  ASSERT_TRUE(broker.wait_settled(1));
  const auto outcome = broker.outcomes().at(0);
  EXPECT_EQ(outcome.state, "unknown");
  EXPECT_FALSE(outcome.cause.empty());
  EXPECT_EQ(messages("telegram").size(), 1U);
}

TEST_F(World, ABrokerThatRestartsGetsNoSecondMessage) {
  serve_discord(token("good"));
  for (int i = 0; i < 30; ++i) {
    broker.publish(note("n" + std::to_string(i), "b"));
    if (i % 5 == 4) broker.restart();
    if (i % 5 == 0) {
      ASSERT_TRUE(broker.wait_settled(static_cast<size_t>(i) / 2));
    }
  }
  ASSERT_TRUE(broker.wait_settled(30));
  EXPECT_EQ(messages("discord").size(), 30U);
}

TEST_F(World, ANewTokenInTheFileClosesTheCircuit) {
  const auto file = folder / "token";
  std::ofstream(file) << "bad\n";
  auto secret = std::make_shared<Secret>(file, "");
  ASSERT_TRUE(secret->refresh());
  serve_discord(secret);
  broker.publish(note("t", "b"));
  ASSERT_TRUE(broker.wait_circuit(true));
  std::ofstream(file) << "a good one\n";
  ASSERT_TRUE(broker.wait_settled(1));
  broker.expect_delivered();
  EXPECT_TRUE(broker.wait_circuit(false));
}

TEST_F(World, DeniedEmbedsFilesAndThreadsLeavePlainMessages) {
  serve_discord(token("good"));
  control("POST", "permissions",
          {{"channel", "1100000000000000002"},
           {"deny", json::array{"EMBED_LINKS", "ATTACH_FILES", "CREATE_PUBLIC_THREADS"}}});
  Signal threaded = note("threaded", "b");
  threaded.set_thread("k");
  broker.publish(threaded);
  broker.publish(note("long", std::string(50'000, 'x')));
  ASSERT_TRUE(broker.wait_settled(2));
  broker.expect_delivered();
  for (const json::value& message : messages("discord")) EXPECT_TRUE(message.at("embeds").as_array().empty());
}

TEST_F(World, AWebhookTakesMessagesToo) {
  serve_discord(token(town().url() + "/discord/api/v10/webhooks/1100000000000000009/hook"),
                {.name = "discord.chat", .webhook = true});
  broker.publish(note("t", "b"));
  ASSERT_TRUE(broker.wait_settled(1));
  broker.expect_delivered();
  EXPECT_EQ(messages("discord").size(), 1U);
  stop();
  town_.reset();
  testing::check_requests(record);
}

TEST_F(World, AMigratedGroupIsFollowed) {
  serve_telegram(token("1:good"), -77);
  control("POST", "migrate", {{"chat", -77}, {"to", -1001000077}});
  broker.publish(note("t", "b"));
  ASSERT_TRUE(broker.wait_settled(1));
  broker.expect_delivered();
}

}  // namespace
}  // namespace detent::consumers
