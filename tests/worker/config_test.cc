#include "worker/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/config.h"

namespace detent {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using Prompt = RunnerConfig::Prompt;

WorkerConfig good(const std::string& text) {
  const auto config = parse_config(text, "/etc/detent/detent.toml");
  EXPECT_TRUE(config) << config.error().what;
  return config ? config->of<WorkerConfig>() : WorkerConfig{};
}

std::string bad(const std::string& text) {
  const auto config = parse_config(text, "/etc/detent/detent.toml");
  EXPECT_FALSE(config);
  return config ? "" : config.error().what;
}

TEST(WorkerConfig, HasDefaultsThatWork) {
  const auto config = good("state = \"/var/lib/detent\"\n[runner.report]\ncommand = [\"report\"]");
  EXPECT_EQ(config.folder, "/var/lib/detent/worker");
  EXPECT_EQ(config.concurrency, 1u);
  EXPECT_EQ(config.isolation, "auto");
  EXPECT_FALSE(config.name.empty());
  EXPECT_THAT(config.hide, Contains("/etc/detent"));
  const auto& runner = config.runners.at("report");
  EXPECT_EQ(runner.prompt, Prompt::standard_input);
  EXPECT_EQ(runner.success, RunnerConfig::Success::exit);
  EXPECT_THAT(runner.pass_env, ElementsAre("PATH", "LANG", "LC_ALL", "TZ"));
  EXPECT_EQ(runner.output, 64u << 10);
}

TEST(WorkerConfig, ReadsEveryKey) {
  const auto config = good(R"(
    [worker]
    name = "worker-1"
    connect = "tcp://10.0.0.1:7410"
    concurrency = 3
    labels = ["big", "nyc3"]
    folder = "/srv/worker"
    isolation = "cgroup"
    hide = ["/srv/keys"]
    [runner.agent]
    command = ["agent", "--file={prompt_file}", "--for", "{timeout}", "{workspace}"]
    success = "openclaw-json"
    pass_env = ["PATH"]
    env = { MODE = "headless" }
    secrets = { TOKEN = "token", OTHER = "/srv/keys/other" }
    writable = ["/srv/cache"]
    readable = ["agent.json5"]
    workspace = "https://example.org/work.git"
    branch = "main"
    timeout = "2h"
    grace = "9s"
    memory = "1536MiB"
    pids = 64
    cpu = 1.5
    disk = "2GiB"
    output = "128KiB"
  )");
  EXPECT_EQ(config.name, "worker-1");
  EXPECT_EQ(config.connect, "tcp://10.0.0.1:7410");
  EXPECT_EQ(config.concurrency, 3u);
  EXPECT_THAT(config.labels, ElementsAre("big", "nyc3"));
  EXPECT_EQ(config.folder, "/srv/worker");
  EXPECT_EQ(config.isolation, "cgroup");
  EXPECT_THAT(config.hide, Contains("/srv/keys"));
  const auto& runner = config.runners.at("agent");
  EXPECT_EQ(runner.prompt, Prompt::file);
  EXPECT_EQ(runner.success, RunnerConfig::Success::openclaw_json);
  EXPECT_THAT(runner.pass_env, ElementsAre("PATH"));
  EXPECT_EQ(runner.env.at("MODE"), "headless");
  EXPECT_EQ(runner.secrets.at("TOKEN"), "/etc/detent/token");
  EXPECT_EQ(runner.secrets.at("OTHER"), "/srv/keys/other");
  EXPECT_THAT(runner.writable, ElementsAre("/srv/cache"));
  EXPECT_THAT(runner.readable, ElementsAre("/etc/detent/agent.json5"));
  EXPECT_EQ(runner.workspace, "https://example.org/work.git");
  EXPECT_EQ(runner.branch, "main");
  EXPECT_EQ(runner.timeout, std::chrono::hours{2});
  EXPECT_EQ(runner.grace, std::chrono::seconds{9});
  EXPECT_EQ(runner.memory, 1536 * kMiB);
  EXPECT_EQ(runner.pids, 64u);
  EXPECT_EQ(runner.cpu, 1.5);
  EXPECT_EQ(runner.disk, 2048 * kMiB);
  EXPECT_EQ(runner.output, 128u << 10);
}

TEST(WorkerConfig, TheCommandSaysHowThePromptIsHandedOver) {
  EXPECT_EQ(good("[runner.a]\ncommand = [\"a\", \"{prompt_file}\"]").runners.at("a").prompt, Prompt::file);
  EXPECT_EQ(good("[runner.a]\ncommand = [\"a\", \"{prompt}\"]").runners.at("a").prompt, Prompt::argument);
  EXPECT_EQ(good("[runner.a]\ncommand = \"a\"\nprompt = \"stdin\"").runners.at("a").prompt, Prompt::standard_input);
}

TEST(WorkerConfig, BracesOfTheCommandsOwnStay) {
  EXPECT_EQ(good(R"([runner.a]
command = ["sh", "-c", "f() { echo ${HOME}; }; {}", '{"a": 1}'])")
                .runners.at("a")
                .command.size(),
            4u);
}

TEST(WorkerConfig, WhatIsWrongIsNamedWithItsLineAndWhatWasMeant) {
  EXPECT_EQ(bad("[worker]\nconcurency = 2"),
            "/etc/detent/detent.toml:2:1: unknown key \"concurency\" in [worker], did you mean \"concurrency\"?");
  EXPECT_EQ(bad("[runner.a]\ncommand = [\"a\", \"{prompt_fil}\"]"),
            "/etc/detent/detent.toml:2:11: unknown placeholder {prompt_fil} in command, did you mean {prompt_file}?");
  EXPECT_THAT(bad("[worker]\nisolation = \"docker\""),
              HasSubstr("2:13: isolation must be one of auto, bwrap, cgroup, none"));
  EXPECT_THAT(bad("[runner.a]\nworkspce = \"/x\"\ncommand = \"a\""), HasSubstr("did you mean \"workspace\"?"));
  EXPECT_THAT(bad("[runner.a]\nmemory = 5"), HasSubstr("a runner needs a command"));
  EXPECT_THAT(bad("[runner.a]\ncommand = \"a\"\nprompt = \"pipe\""),
              HasSubstr("3:10: prompt must be one of file, stdin"));
  EXPECT_THAT(bad("[runner.a]\ncommand = \"a\"\nprompt = \"file\""), HasSubstr("needs {prompt_file} in the command"));
  EXPECT_THAT(bad("[runner.a]\ncommand = [\"a\", \"{prompt}\"]\nprompt = \"stdin\""),
              HasSubstr("needs prompt = \"argument\""));
  EXPECT_THAT(bad("[runner.a]\ncommand = [\"a\", \"{prompt}\", \"{prompt_file}\"]"),
              HasSubstr("one of them is enough"));
  EXPECT_THAT(bad("[runner.a]\ncommand = \"a\"\ncpu = 0"), HasSubstr("cpu must be a number of cores"));
  EXPECT_THAT(bad("[runner.a]\ncommand = \"a\"\nsecrets = { \"A B\" = \"/x\" }"),
              HasSubstr("no name of an environment variable"));
  EXPECT_THAT(bad("[runner.a]\ncommand = \"a\"\nenv = { HOME = \"/x\" }"),
              HasSubstr("HOME is set by the worker itself"));
}

}  // namespace
}  // namespace detent
