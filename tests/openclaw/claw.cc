#include "tests/openclaw/claw.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <sstream>

#include "base/base64.h"
#include "tests/support/eventually.h"
#include "tests/support/paths.h"

namespace detent::house {

namespace {

namespace fs = std::filesystem;

constexpr Millis kPatience{180'000};  // its commands take from 2 to 40 seconds, depending on what else runs

/// Shared by all presets: it is 650 MB.
fs::path installed() { return test::source_folder() / "build" / "openclaw"; }

fs::path node() { return installed() / "node_modules/node/bin/node"; }

constexpr const char* kToken = "the-http-token-of-this-house";

fs::path token_file(const House& house) { return house.folder() / "http.token"; }

}  // namespace

const std::string& Claw::missing() {
  static const std::string why = [] {
    const Ended ended =
        house::run({(test::source_folder() / "tests/openclaw/install.sh").string(), installed()}, {}, Millis{600'000});
    if (ended.code == 0) return std::string();
    if (ended.code != 77) ADD_FAILURE() << ended.output;
    return ended.output.empty() ? "it cannot be installed" : ended.output;
  }();
  return why;
}

Claw::Claw(House& house) : house_(house), folder_(house.folder() / "openclaw"), port_(free_port()) {
  for (const char* name : {"tmp", "state", "workspace"}) fs::create_directories(folder_ / name);
  model_ = std::make_unique<Child>(Child::Options{
      .arguments = {node(), test::source_folder() / "tests/openclaw/model.mjs"}, .log = folder_ / "model.log"});
  const bool serves = eventually([&] {
    const std::string said = read_whole(folder_ / "model.log");
    const size_t at = said.find("http://"), end = said.find('\n');
    if (at == std::string::npos || end == std::string::npos) return false;
    model_url_ = said.substr(at, end - at);
    return true;
  });
  if (!serves) throw Failure("the model does not start: " + read_whole(folder_ / "model.log"));
  write_config();
}

void Claw::want_token(House& house) {
  house.write(token_file(house), std::string(kToken) + "\n");
  house.rewrite_config([&](Plan& plan) { plan.broker = "http_token_file = \"" + token_file(house).string() + "\"\n"; });
}

void Claw::write_config() {
  const std::string plugin = test::source_folder() / "producers/openclaw";
  const std::string program = test::program_folder() / "detent";
  const json::object config{
      {"gateway",
       {{"mode", "local"}, {"port", port_}, {"bind", "loopback"}, {"auth", {{"mode", "token"}, {"token", "test"}}}}},
      {"agents",
       {{"defaults",
         {{"model", {{"primary", "local/fake"}}},
          {"workspace", (folder_ / "workspace").string()},
          {"heartbeat", {{"every", "0m"}, {"target", "detent"}, {"to", "heartbeat.ok"}}}}}}},
      {"models",
       {{"providers",
         {{"local",
           {{"baseUrl", model_url_ + "/v1"},
            {"apiKey", "sk-local"},
            {"api", "openai-completions"},
            {"models", json::array{{{"id", "fake"}, {"name", "Fake"}}}}}}}}}},
      {"cron", {{"webhookToken", kToken}, {"webhookSsrfPolicy", {{"allowedHostnames", {"127.0.0.1"}}}}}},
      {"plugins", {{"load", {{"paths", {plugin}}}}, {"entries", {{"detent", {{"enabled", true}}}}}}},
      {"channels",
       {{"defaults", {{"heartbeatVisibility", {{"showOk", true}}}}},
        {"detent", {{"enabled", true}, {"url", house_.http_url()}, {"tokenFile", token_file(house_).string()}}}}},
      {"tools", {{"toolSearch", false}, {"alsoAllow", {"detent_publish"}}}},
      {"mcp",
       {{"servers",
         {{"detent",
           {{"command", program},
            {"args", {"mcp", "--source", "openclaw"}},
            {"env", {{"DETENT_CONFIG", house_.config().string()}}}}}}}}}};
  house_.write(folder_ / "openclaw.json", json::serialize(config));
}

std::vector<std::string> Claw::command(const std::vector<std::string>& arguments) const {
  const char* path = getenv("PATH");
  // What is started here starts the real process and passes TERM on to it; killed, it would leave that behind. So it
  // gets TERM where this test ends, however that is, and where it takes too long.
  std::vector<std::string> all{"setpriv",
                               "--pdeathsig",
                               "TERM",
                               "env",
                               "PATH=" + node().parent_path().string() + ":" + (path ? path : "/usr/bin:/bin"),
                               "HOME=" + folder_.string(),
                               "TMPDIR=" + (folder_ / "tmp").string(),
                               "OPENCLAW_STATE_DIR=" + (folder_ / "state").string(),
                               "OPENCLAW_CONFIG_PATH=" + (folder_ / "openclaw.json").string(),
                               "NODE_COMPILE_CACHE=" + (installed() / "compile-cache").string(),
                               "OPENCLAW_NO_RESPAWN=1",
                               "NO_COLOR=1",
                               node(),
                               installed() / "node_modules/openclaw/openclaw.mjs"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return all;
}

void Claw::start_gateway() {
  gateway_ = std::make_unique<Child>(
      Child::Options{.arguments = command({"gateway", "run"}), .log = folder_ / "gateway.log", .folder = folder_});
  http::KeepAliveClient client;
  const std::string url = "http://127.0.0.1:" + std::to_string(port_) + "/readyz";
  const bool ready = eventually(
      [&] {
        const auto answer = client.send({.url = url});
        return !gateway_->running() || (answer && answer->status == 200);
      },
      kPatience);
  if (!ready || !gateway_->running())
    throw Failure("OpenClaw's gateway does not start: " + read_whole(folder_ / "gateway.log"));
}

Claw::~Claw() {
  if (!gateway_) return;
  gateway_->signal(SIGTERM);
  if (!gateway_->wait(Millis{60'000})) ADD_FAILURE() << "OpenClaw's gateway does not end";
}

Ended Claw::run(const std::vector<std::string>& arguments) {
  std::vector<std::string> all{"timeout", std::to_string(kPatience.count() / 1000 - 10)};
  const auto rest = command(arguments);
  all.insert(all.end(), rest.begin(), rest.end());
  return house::run(all, folder_ / "workspace", kPatience);
}

json::object Claw::object_in(const std::string& output) {
  // Its log lines stand before and behind.
  std::istringstream lines(output);
  std::string object;
  for (std::string line; std::getline(lines, line);) {
    if (object.empty() && !line.starts_with('{')) continue;
    object += line + '\n';
    boost::system::error_code code;
    const auto value = json::parse(object, code);
    if (!code && value.is_object()) return value.get_object();
  }
  ADD_FAILURE() << "no JSON object in: " << output;
  return {};
}

std::string Claw::order(const json::object& what) {
  std::string text = "order(";
  append_base64(text, json::serialize(what));
  return text + ")";
}

size_t Claw::spooled() const {
  size_t count = 0;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder_ / "state/detent-spool", none)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_regular_file() && !name.starts_with('.') && name.ends_with(".json")) ++count;
  }
  return count;
}

const std::vector<json::object>& Claw::signals() {
  const size_t last = json::parse(house_.detent({"status", "--json"}).output).at("next_seq").to_number<size_t>() - 1;
  if (last == read_) return signals_;
  std::vector<json::object> all;
  std::istringstream lines(house_.detent({"tail", "--since", "1h", "--json", "--count", std::to_string(last)}).output);
  for (std::string line; std::getline(lines, line);) {
    boost::system::error_code code;
    const auto value = json::parse(line, code);
    if (code || !value.is_object()) continue;
    const auto& signal = value.at("signal").as_object();
    if (signal.at("source").as_string() == "openclaw") all.push_back(signal);
  }
  read_ = last;
  return signals_ = std::move(all);
}

size_t Claw::count_with(const std::string& text) {
  size_t count = 0;
  for (const auto& signal : signals()) count += json::serialize(signal).find(text) != std::string::npos;
  return count;
}

json::object Claw::signal_with(const std::string& text) {
  json::object found;
  const bool came = eventually(
      [&] {
        for (const auto& signal : signals()) {
          if (json::serialize(signal).find(text) != std::string::npos) found = signal;
        }
        return !found.empty();
      },
      kPatience);
  EXPECT_TRUE(came) << "no signal with \"" << text << "\"";
  return found;
}

}  // namespace detent::house
