#include "config/config.h"
#include "broker/config.h"
#include "consumers/discord/config.h"
#include "consumers/telegram/config.h"
#include "dispatch/config.h"
#include "ledger/config.h"
#include "routing/config.h"
#include "tests/support/paths.h"
#include "worker/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace detent {

namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Config good(const std::string& text) {
  Result<Config> config = parse_config(text, "/etc/detent/detent.toml");
  EXPECT_TRUE(config.has_value()) << (config ? "" : config.error().what);
  return config ? *config : Config{};
}

std::string wrong(const std::string& text) {
  const Result<Config> config = parse_config(text, "detent.toml");
  EXPECT_FALSE(config.has_value());
  return config ? "" : config.error().what;
}

struct TempFolder {
  fs::path path;
  TempFolder() {
    std::string name = (fs::temp_directory_path() / "detent-config-XXXXXX").string();
    path = mkdtemp(name.data());
  }
  ~TempFolder() { fs::remove_all(path); }
};

void write(const fs::path& file, const std::string& text) { std::ofstream(file) << text; }

}  // namespace

TEST(Config, HoldsItsDefaultsWhenEmpty) {
  const Config config = good("");
  EXPECT_EQ(config.of<BrokerConfig>().listen, "tcp://127.0.0.1:7400");
  EXPECT_EQ(config.of<BrokerConfig>().http, "127.0.0.1:7480");
  EXPECT_EQ(config.of<BrokerConfig>().max_backlog.bytes, 1ull << 30);
  EXPECT_EQ(config.of<BrokerConfig>().max_backlog.age, std::chrono::hours{720});
  EXPECT_EQ(config.of<LedgerConfig>().repository, config.state / "ledger.git");
  EXPECT_TRUE(config.state.is_absolute());
  EXPECT_THAT(config.of<RoutingConfig>().default_to, ElementsAre("discord.system"));
  EXPECT_FALSE(config.of<telegram::Settings>().configured());
}

TEST(Config, ReadsTheExampleFile) {
  std::ifstream in(test::source_folder() / "detent.example.toml");
  std::stringstream text;
  text << in.rdbuf();
  ASSERT_FALSE(text.str().empty());
  const Config config = good(text.str());
  const Config defaults = good("");
  EXPECT_EQ(config.of<BrokerConfig>(), defaults.of<BrokerConfig>());
  EXPECT_EQ(config.log, defaults.log);
  EXPECT_EQ(config.of<telegram::Settings>().chat, 123456789);
  EXPECT_EQ(config.of<telegram::Settings>().silent_below, 2);
  EXPECT_EQ(config.of<discord::Settings>().by_name.size(), 6u);
  EXPECT_EQ(config.of<discord::Settings>().by_name.at("alerts").id, "1100000000000000002");
  EXPECT_FALSE(config.of<discord::Settings>().by_name.at("alerts").silent);
  EXPECT_TRUE(config.of<discord::Settings>().by_name.at("system").silent);
  EXPECT_TRUE(config.of<discord::Settings>().by_name.at("chat").webhook.has_value());
  EXPECT_EQ(config.of<RoutingConfig>().routes.size(), 2u);
  EXPECT_EQ(config.of<RoutingConfig>().operator_channel, defaults.of<RoutingConfig>().operator_channel);
  EXPECT_EQ(config.of<RoutingConfig>().operator_alarms_to, defaults.of<RoutingConfig>().operator_alarms_to);
  EXPECT_EQ(config.of<RoutingConfig>().builtin_routes, defaults.of<RoutingConfig>().builtin_routes);
  EXPECT_THAT(config.of<WorkerConfig>().runners.at("openclaw").command, testing::Contains("{prompt_file}"));
}

TEST(Config, ReadsSizesAndDurationsInTheirUnits) {
  const Config config = good(R"(
    [broker]
    low_water = "1GiB"
    segment = 2097152
    max_backlog = { bytes = "64MiB", age = "2h" }
    [dispatch]
    fallback_after = "90s"
  )");
  EXPECT_EQ(config.of<BrokerConfig>().low_water, 1ull << 30);
  EXPECT_EQ(config.of<BrokerConfig>().segment, 2u << 20);
  EXPECT_EQ(config.of<BrokerConfig>().max_backlog.bytes, 64u << 20);
  EXPECT_EQ(config.of<BrokerConfig>().max_backlog.age, std::chrono::hours{2});
  EXPECT_EQ(config.of<DispatchConfig>().fallback_after, std::chrono::seconds{90});
}

TEST(Config, ReadsRoutesWithEveryMatcher) {
  const Config config = good(R"(
    [[route]]
    match = { type = "incident.*", severity = ">=error", source = "robo-*", labels = { team = "infra" }, needs_response = false }
    to = ["discord.alerts", "telegram"]
    continue = true
    [[route]]
    match = { severity = "critical" }
    to = "telegram"
  )");
  ASSERT_EQ(config.of<RoutingConfig>().routes.size(), 2u);
  const RouteConfig& first = config.of<RoutingConfig>().routes[0];
  EXPECT_THAT(first.match.types, ElementsAre("incident.*"));
  EXPECT_EQ(first.match.severity, 3);
  EXPECT_FALSE(first.match.severity_exact);
  EXPECT_EQ(first.match.source, "robo-*");
  EXPECT_EQ(first.match.labels, (std::vector<LabelMatch>{{"team", "infra"}}));
  EXPECT_EQ(first.match.needs_response, false);
  EXPECT_THAT(first.to, ElementsAre("discord.alerts", "telegram"));
  EXPECT_TRUE(first.continues);
  EXPECT_EQ(first.at, "/etc/detent/detent.toml:2:5");
  EXPECT_TRUE(config.of<RoutingConfig>().routes[1].match.severity_exact);
  EXPECT_EQ(config.of<RoutingConfig>().routes[1].match.severity, 4);
}

TEST(Config, KeepsTheOrderOfExpiresAsWritten) {
  const Config config = good(R"(
    [expires]
    "heartbeat.slow" = "never"
    "heartbeat.*" = "10m"
    "a.*" = "1d"
  )");
  ASSERT_EQ(config.of<RoutingConfig>().expires.size(), 3u);
  EXPECT_EQ(config.of<RoutingConfig>().expires[0], (ExpiresConfig{"heartbeat.slow", Millis{0}}));
  EXPECT_EQ(config.of<RoutingConfig>().expires[1], (ExpiresConfig{"heartbeat.*", std::chrono::minutes{10}}));
  EXPECT_EQ(config.of<RoutingConfig>().expires[2].type, "a.*");
}

TEST(Config, ABrokerThatListensEverywhereIsReachedOnLoopback) {
  EXPECT_EQ(good("").endpoint_of("broker"), "tcp://127.0.0.1:7400");
  EXPECT_EQ(good("[broker]\nlisten = \"tcp://0.0.0.0:7000\"").endpoint_of("broker"), "tcp://127.0.0.1:7000");
  EXPECT_EQ(good("[broker]\nlisten = \"tcp://*:7000\"").endpoint_of("broker"), "tcp://127.0.0.1:7000");
  EXPECT_EQ(good("[broker]\nlisten = \"tcp://10.0.0.2:7000\"").endpoint_of("broker"), "tcp://10.0.0.2:7000");
}

TEST(Config, ASectionOfACopyIsItsOwn) {
  const Config one = good("");
  Config other = one;
  other.of<BrokerConfig>().listen = "tcp://127.0.0.1:1";
  EXPECT_EQ(one.of<BrokerConfig>().listen, "tcp://127.0.0.1:7400");
}

TEST(Config, TakesRelativePathsFromTheFilesFolder) {
  EXPECT_EQ(good("state = \"here\"").state, "/etc/detent/here");
  EXPECT_EQ(good("state = \"here\"").of<LedgerConfig>().repository, "/etc/detent/here/ledger.git");
}

TEST(Config, SaysWhereAnUnknownKeyIsAndWhatWasMeant) {
  EXPECT_EQ(wrong("[discord]\n  chanels = {}\n"),
            "detent.toml:2:3: unknown key \"chanels\" in [discord], did you mean \"channels\"?");
  EXPECT_EQ(wrong("brokr = 1"), "detent.toml:1:1: unknown key \"brokr\", did you mean \"broker\"?");
  EXPECT_EQ(wrong("[broker]\nxyzzy = 1"), "detent.toml:2:1: unknown key \"xyzzy\" in [broker]");
  EXPECT_THAT(wrong("[[route]]\nmatch = { tpye = \"a\" }\nto = []"),
              HasSubstr("unknown key \"tpye\" in [route.match], did you mean \"type\"?"));
}

TEST(Config, ReportsEveryProblemInTheOrderOfTheFile) {
  const std::string all = wrong(R"([telegram]
chat = "me"
silent_below = "loud"
[broker]
low_water = "much"
listen = "127.0.0.1:7400"
max_backlog = 7
[discord.channels]
Alerts = "1"
alerts = 12
system = { silent = true }
)");
  std::istringstream lines(all);
  std::vector<std::string> each;
  for (std::string line; std::getline(lines, line);) each.push_back(line);
  ASSERT_EQ(each.size(), 8u) << all;
  EXPECT_EQ(each[0], "detent.toml:2:8: chat must be a whole number");
  EXPECT_THAT(each[1], HasSubstr("detent.toml:3:16: silent_below must be one of"));
  EXPECT_THAT(each[2], HasSubstr("detent.toml:5:13: low_water must be a size"));
  EXPECT_THAT(each[3], HasSubstr("detent.toml:6:10: listen must be \"tcp://HOST:PORT\""));
  EXPECT_THAT(each[4], HasSubstr("detent.toml:7:15: max_backlog must be a table"));
  EXPECT_THAT(each[5], HasSubstr("not \"Alerts\""));
  EXPECT_THAT(each[6], HasSubstr("detent.toml:10:10: channel \"alerts\" must be an id in quotes"));
  EXPECT_THAT(each[7], HasSubstr("needs exactly one of id, webhook, webhook_file"));
}

TEST(Config, SaysWhereTheFileIsNoToml) { EXPECT_THAT(wrong("state = \n[broker"), HasSubstr("detent.toml:1:")); }

TEST(Config, RefusesASegmentThatIsNoSegment) {
  EXPECT_THAT(wrong("[broker]\nsegment = 12"), HasSubstr("detent.toml:2:11: segment must be between"));
  EXPECT_THAT(wrong("[broker]\nsegment = \"4GiB\""), HasSubstr("detent.toml:2:11: segment must be between"));
}

TEST(Config, RefusesAddressesOnWhichNobodyCanListen) {
  for (const char* listen : {"tcp://127.0.0.1:99999", "tcp://127.0.0.1", "tcp://:7400", "127.0.0.1:7400"}) {
    EXPECT_THAT(wrong(fmt::format("[broker]\nlisten = \"{}\"", listen)), HasSubstr("detent.toml:2:10: listen must be"));
  }
  for (const char* http : {"127.0.0.1:70000", "nohost", "0.0.0.0:7480"}) {
    EXPECT_THAT(wrong(fmt::format("[broker]\nhttp = \"{}\"", http)), HasSubstr("detent.toml:2:8: http must be"));
  }
  good("[broker]\nlisten = \"tcp://*:0\"\nhttp = \"[::1]:0\"");
  good("[broker]\nhttp = \"0.0.0.0:7480\"\nhttp_token_file = \"token\"");
}

TEST(Config, SaysThatAFolderIsNoFile) {
  const TempFolder folder;
  const auto config = load_config(folder.path.string());
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().what, HasSubstr("it is a folder"));
}

TEST(Config, RefusesAPatternThatDoesNotCompile) {
  EXPECT_THAT(wrong("[redact]\npatterns = [\"a(b\"]"),
              HasSubstr("detent.toml:2:12: the pattern 'a(b' does not compile"));
  EXPECT_THAT(wrong("[redact]\npatterns = [\"x*\"]"), HasSubstr("matches the empty text"));
}

TEST(Config, TakesTheLogLevelsNamesInBothSpellings) {
  EXPECT_EQ(good("[log]\nlevel = \"warn\"\n").log.level, "warn");
  EXPECT_EQ(good("[log]\nlevel = \"warning\"\n").log.level, "warning");
}

TEST(Config, KnowsWhichChannelsItHas) {
  const Config config = good("[telegram]\nchat = 5\n[discord.channels]\nalerts = \"7\"\n");
  EXPECT_TRUE(config.has_channel("telegram"));
  EXPECT_TRUE(config.has_channel("discord.alerts"));
  EXPECT_TRUE(config.has_channel("dispatch"));
  EXPECT_FALSE(config.has_channel("discord.system"));
  EXPECT_FALSE(config.has_channel("alerts"));
  EXPECT_FALSE(good("").has_channel("telegram"));
  EXPECT_THAT(config.channels(), ElementsAre("discord.alerts", "telegram", "dispatch"));
}

TEST(Config, SaysWhatToWriteForAChannelThatIsNotThere) {
  const Config config = good("[discord.channels]\nalerts = \"7\"\n");
  EXPECT_EQ(config.remedy_for("discord.alert"), "did you mean \"discord.alerts\"?");
  EXPECT_EQ(config.remedy_for("discord.briefings"), "add briefings to [discord.channels]");
  EXPECT_EQ(config.remedy_for("telegram"), "set [telegram] chat");
  EXPECT_EQ(config.remedy_for("mail"), "channels are discord.NAME, telegram and dispatch");
}

TEST(Config, IsLookedForByFlagThenVariable) {
  TempFolder folder;
  write(folder.path / "one.toml", "[telegram]\nchat = 1\n");
  write(folder.path / "two.toml", "[telegram]\nchat = 2\n");
  setenv("DETENT_CONFIG", (folder.path / "two.toml").c_str(), 1);
  EXPECT_EQ(load_config((folder.path / "one.toml").string())->of<telegram::Settings>().chat, 1);
  EXPECT_EQ(load_config("")->of<telegram::Settings>().chat, 2);
  setenv("DETENT_CONFIG", (folder.path / "none.toml").c_str(), 1);
  EXPECT_THAT(load_config("").error().what, HasSubstr("named by $DETENT_CONFIG"));
  unsetenv("DETENT_CONFIG");
  EXPECT_THAT(load_config((folder.path / "none.toml").string()).error().what, HasSubstr("named by --config"));
}

TEST(Secret, NeverPrintsItself) {
  Secret secret = Secret::literal("hunter2-hunter2");
  std::ostringstream out;
  out << secret;
  EXPECT_EQ(out.str(), "[secret]");
  EXPECT_EQ(secret.reveal(), "hunter2-hunter2");
}

TEST(Secret, IsReadAgainWhenItsFileChanges) {
  TempFolder folder;
  const fs::path file = folder.path / "token";
  write(file, "first\n");
  Secret secret(file, "DETENT_TEST_TOKEN");
  EXPECT_TRUE(*secret.refresh());
  EXPECT_EQ(secret.reveal(), "first");
  EXPECT_FALSE(*secret.refresh());
  write(file, "  second value\n");
  EXPECT_TRUE(*secret.refresh());
  EXPECT_EQ(secret.reveal(), "second value");
}

TEST(Secret, ComesFromTheEnvironmentWhereTheFileIsMissing) {
  Secret secret("/nonexistent/token", "DETENT_TEST_TOKEN");
  unsetenv("DETENT_TEST_TOKEN");
  const Result<bool> missing = secret.refresh();
  ASSERT_FALSE(missing.has_value());
  EXPECT_THAT(missing.error().what, HasSubstr("/nonexistent/token"));
  EXPECT_THAT(missing.error().what, HasSubstr("DETENT_TEST_TOKEN is not set"));
  setenv("DETENT_TEST_TOKEN", "from-env", 1);
  EXPECT_TRUE(*secret.refresh());
  EXPECT_EQ(secret.reveal(), "from-env");
  EXPECT_EQ(secret.origin(), "DETENT_TEST_TOKEN");
  unsetenv("DETENT_TEST_TOKEN");
}

TEST(Secret, SaysThatAnEmptyFileIsEmpty) {
  TempFolder folder;
  write(folder.path / "token", "\n");
  Secret secret(folder.path / "token", "");
  EXPECT_THAT(secret.refresh().error().what, HasSubstr("is empty"));
}

}  // namespace detent
