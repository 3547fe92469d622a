#include "tests/house/house.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <iostream>

#include "ledger/audit/audit_reader.h"
#include "tests/support/paths.h"

namespace detent::house {

namespace {

namespace fs = std::filesystem;

const std::map<std::string, std::string, std::less<>> kIds{
    {"briefings", "1100000000000000001"},         {"alerts", "1100000000000000002"},
    {"sub-agent-results", "1100000000000000003"}, {"system", "1100000000000000004"},
    {"memory-updates", "1100000000000000005"},    {"chat", "1100000000000000006"}};

fs::path program(const std::string& name) { return test::program_folder() / name; }

fs::path fresh_folder() {
  std::string name = (fs::temp_directory_path() / "detent-house-XXXXXX").string();
  if (!mkdtemp(name.data())) throw Failure(system_error("cannot make " + name, errno).what);
  return name;
}

/// The record of this house: named after the test, so that one run replaces that of the run before.
fs::path fresh_record() {
  static std::map<std::string, int> houses;
  std::string name = "unnamed";
  if (const auto* test = testing::UnitTest::GetInstance()->current_test_info()) {
    name = std::string(test->test_suite_name()) + "." + test->name();
  }
  for (char& c : name) c = c == '/' ? '_' : c;
  const int number = ++houses[name];
  if (number > 1) name += "." + std::to_string(number);
  fs::create_directories(records_folder());
  const fs::path file = records_folder() / (name + ".jsonl");
  fs::remove(file);
  return file;
}

std::string tail_of(const std::string& text, size_t lines) {
  size_t at = text.size();
  for (size_t n = 0; at > 0 && n <= lines; ++n) {
    at = text.rfind('\n', at - 1);
    if (at == std::string::npos) return text;
  }
  return text.substr(at + 1);
}

size_t occurrences(const std::string& text, std::string_view of) {
  size_t count = 0;
  for (size_t at = text.find(of); at != std::string::npos; at = text.find(of, at + of.size())) ++count;
  return count;
}

}  // namespace

int free_port() {
  static int next = static_cast<int>(getpid() * 37 % 12'000);
  for (int tries = 0; tries < 1000; ++tries) {
    const int port = 20'000 + (next++ % 12'000);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool free = bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    close(fd);
    if (free) return port;
  }
  throw Failure("no free port");
}

fs::path records_folder() { return test::program_folder().parent_path() / "requests"; }

House::House(Plan plan) : plan_(std::move(plan)), folder_(fresh_folder()), record_(fresh_record()) {
  endpoint_ = "tcp://127.0.0.1:" + std::to_string(free_port());
  http_ = "127.0.0.1:" + std::to_string(free_port());
  dispatcher_ = "tcp://127.0.0.1:" + std::to_string(free_port());
  std::vector<std::string> arguments{program("detent-sandbox"), "--listen", "127.0.0.1:0", "--record", record_};
  arguments.insert(arguments.end(), plan_.sandbox.begin(), plan_.sandbox.end());
  Child& sandbox = start("sandbox", arguments);
  const bool ready = eventually([&] {
    const std::string said = log("sandbox");
    const size_t at = said.find("detent-sandbox: http://"), end = at == std::string::npos ? at : said.find('\n', at);
    if (end == std::string::npos) return !sandbox.running();
    sandbox_ = said.substr(at + 16, end - at - 17);
    return true;
  });
  if (!ready || sandbox_.empty()) throw Failure("the sandbox does not start: " + log("sandbox"));
  write(discord_token(), kDiscordToken);
  write(telegram_token(), kTelegramToken);
  write(digitalocean_token(), kDigitalOceanToken);
  write_config();
}

House::~House() {
  publisher_.reset();
  for (auto& [name, child] : processes_) {
    if (!ended_.contains(name) && !child->running()) {
      ADD_FAILURE() << name << " ended by itself with " << *child->wait(Millis{0});
    }
  }
  for (auto& [name, child] : processes_) child->kill();
  for (const auto& [name, child] : processes_) {
    const std::string said = log(name);
    if (const auto report = sanitizer_report(said); !report.empty()) ADD_FAILURE() << name << ": " << report;
  }
  if (testing::Test::HasFailure()) {
    for (const auto& entry : fs::directory_iterator(folder_ / "log")) {
      std::cerr << "---- " << entry.path().stem().string() << "\n" << tail_of(read_whole(entry.path()), 40);
    }
  }
  processes_.clear();
  std::error_code ignored;  // a folder that is left behind in /tmp is no failure of what was tested
  if (!getenv("DETENT_KEEP_HOUSES")) fs::remove_all(folder_, ignored);
}

void House::write(const fs::path& file, std::string_view text) const {
  // As an editor does: whoever reads it meanwhile sees the old or the new.
  const fs::path beside = file.string() + ".new";
  std::ofstream(beside, std::ios::binary) << text;
  fs::rename(beside, file);
}

void House::write_config() const {
  std::string text = plan_.top + "\nstate = \"" + state().string() + "\"\n";
  text += "[broker]\nlisten = \"" + endpoint_ + "\"\nhttp = \"" + http_ + "\"\n";
  if (plan_.broker.find("segment") == std::string::npos) text += "segment = \"4MiB\"\n";
  if (plan_.broker.find("low_water") == std::string::npos) text += "low_water = \"1MiB\"\n";
  text += plan_.broker + "\n[ledger]\nrepository = \"" + ledger().string() + "\"\n" + plan_.ledger;
  text += "\n[digitalocean]\napi = \"" + sandbox_ + "/digitalocean/v2\"\ntoken_file = \"" +
          digitalocean_token().string() + "\"\n" + plan_.digitalocean + "\n";
  text += "\n[telegram]\napi = \"" + sandbox_ + "/telegram\"\ntoken_file = \"" + telegram_token().string() + "\"\n";
  text += "chat = " + std::to_string(kChat) + "\n" + plan_.telegram;
  text +=
      "\n[discord]\napi = \"" + sandbox_ + "/discord/api/v10\"\ntoken_file = \"" + discord_token().string() + "\"\n";
  if (plan_.discord.find("requests_per_second") == std::string::npos) text += "requests_per_second = 50\n";
  text += plan_.discord + "\n[discord.channels]\n";
  for (const auto& [name, id] : kIds) {
    if (name == "chat") {
      text += "chat = { webhook = \"" + sandbox_ + "/discord/api/v10/webhooks/" + id + "/the-webhook-token\" }\n";
    } else if (name == "sub-agent-results") {
      text += name + " = { id = \"" + id + "\", silent = true }\n";
    } else {
      text += name + " = \"" + id + "\"\n";
    }
  }
  text += "\n[dispatch]\nlisten = \"" + dispatcher_ + "\"\nlease = \"5s\"\nlow_water = \"1MiB\"\n";
  text += "[worker]\nname = \"worker-1\"\nconnect = \"" + dispatcher_ + "\"\nconcurrency = 2\nisolation = \"none\"\n";
  write(config(), text + "\n" + plan_.more);
}

void House::rewrite_config(const std::function<void(Plan&)>& change) {
  change(plan_);
  write_config();
}

// ---- processes

Child& House::start(const std::string& name, std::vector<std::string> arguments) {
  fs::create_directories(folder_ / "log");
  ended_.erase(name);
  auto& child = processes_[name];
  child = std::make_unique<Child>(
      Child::Options{.arguments = std::move(arguments), .log = folder_ / "log" / (name + ".log")});
  return *child;
}

Child& House::start_broker() {
  Child& broker = start("broker", {program("detent-broker"), "--config", config()});
  if (!eventually([&] { return get("/healthz").status != 0 || !broker.running(); }) || !broker.running()) {
    throw Failure("the broker does not start: " + tail_of(log("broker"), 5));
  }
  return broker;
}

Child& House::start_discord(const std::vector<std::string>& channels) {
  std::string name = "discord";
  std::vector<std::string> arguments{program("detent-discord"), "--config", config()};
  for (const std::string& channel : channels) {
    name += " " + channel;
    arguments.insert(arguments.end(), {"--channel", channel});
  }
  return start(name, arguments);
}

Child& House::start_telegram() { return start("telegram", {program("detent-telegram"), "--config", config()}); }

Child& House::start_dispatcher() { return start("dispatcher", {program("detent-dispatch"), "--config", config()}); }

Child& House::start_worker() { return start("worker", {program("detent-worker"), "--config", config()}); }

void House::start_consumers() {
  for (const auto& [name, id] : kIds) start_discord({name});
  start_telegram();
}

Child& House::process(const std::string& name) {
  const auto found = processes_.find(name);
  if (found == processes_.end()) throw Failure("no process " + name);
  return *found->second;
}

void House::kill(const std::string& name) {
  if (!process(name).running()) ADD_FAILURE() << name << " ended by itself, before it was killed";
  ended_.insert(name);
  process(name).kill();
}

int House::stop(const std::string& name) {
  ended_.insert(name);
  process(name).signal(SIGTERM);
  const auto code = process(name).wait(Millis{30'000});
  if (!code) ADD_FAILURE() << name << " does not end after SIGTERM";
  return code.value_or(-1);
}

std::vector<std::string> House::names_of_consumers() const {
  std::vector<std::string> names;
  for (const auto& [name, child] : processes_) {
    if (name != "broker" && name != "sandbox" && !ended_.contains(name)) names.push_back(name);
  }
  return names;
}

void House::stop_all() {
  for (const std::string& name : names_of_consumers()) EXPECT_EQ(stop(name), 0) << name;
  publisher_.reset();
  if (processes_.contains("broker") && !ended_.contains("broker")) {
    EXPECT_EQ(stop("broker"), 0);
  }
}

std::string House::log(const std::string& name) const { return read_whole(folder_ / "log" / (name + ".log")); }

// ---- the sandbox

json::value House::control(const std::string& method, const std::string& path, const std::string& body) {
  http::Request request{.method = method, .url = sandbox_ + "/control/" + path, .body = body};
  if (!body.empty()) request.headers = {{"Content-Type", "application/json"}};
  const http::Answer answer = client_.send(request);
  if (!answer) throw Failure("the sandbox does not answer: " + answer.error().error.what);
  if (answer->status != 200) throw Failure("the sandbox refuses " + path + ": " + answer->body);
  return json::parse(answer->body);
}

std::string House::channel_id(std::string_view name) { return kIds.find(name)->second; }

json::array House::discord(std::string_view channel) {
  const std::string which = channel.empty() ? "" : "&channel=" + channel_id(channel);
  return control("GET", "messages?service=discord" + which).as_array();
}

json::array House::telegram() { return control("GET", "messages?service=telegram").as_array(); }

size_t House::count(const json::array& messages, std::string_view text) {
  size_t found = 0;
  for (const json::value& message : messages) found += occurrences(json::serialize(message), text) > 0;
  return found;
}

void House::fault(const json::object& fault) { control("POST", "faults", json::serialize(fault)); }

size_t House::faults_left() {
  size_t left = 0;
  const json::value faults = control("GET", "faults");
  for (const json::value& fault : faults.as_array()) left += fault.at("count").to_number<size_t>();
  return left;
}

std::vector<json::object> House::requests() const {
  std::vector<json::object> out;
  std::ifstream in(record_);
  for (std::string line; std::getline(in, line);) {
    if (!line.empty() && line.back() == '}') out.push_back(json::parse(line).as_object());
  }
  return out;
}

// ---- the broker

http::Response House::get(const std::string& path) {
  const http::Answer answer = client_.send({.method = "GET", .url = http_url() + path, .deadline = Millis{5'000}});
  return answer ? *answer : http::Response{};
}

http::Response House::post(const std::string& path, const std::string& body) {
  const http::Answer answer = client_.send(
      {.method = "POST", .url = http_url() + path, .headers = {{"Content-Type", "application/json"}}, .body = body});
  return answer ? *answer : http::Response{};
}

json::object House::status() {
  const http::Response response = get("/v1/status");
  return response.status == 200 ? json::parse(response.body).as_object() : json::object();
}

json::object House::status_of(std::string_view channel) {
  const json::object whole = status();
  const auto* channels = whole.if_contains("channels");
  if (!channels) return {};
  for (const json::value& each : channels->as_array()) {
    if (each.at("name").as_string() == channel) return each.as_object();
  }
  return {};
}

double House::metric(std::string_view name) {
  const std::string text = "\n" + get("/metrics").body;
  const std::string line = "\n" + std::string(name) + " ";
  const size_t at = text.find(line);
  return at == std::string::npos ? -1 : std::stod(text.substr(at + line.size()));
}

Ended House::detent(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {program("detent").string(), "--config", config().string()});
  return run(arguments, folder_);
}

// ---- publishing

Publisher& House::publisher() {
  if (!publisher_) publisher_ = std::make_unique<Publisher>(Publisher::Options{.endpoint = endpoint_, .name = "test"});
  return *publisher_;
}

Built House::build(const Draft& draft) { return builder_.build(draft, system_now()).value(); }

std::string House::publish(const Draft& draft) {
  const Built built = build(draft);
  const auto done = publisher().publish_and_wait(built.signal, Millis{30'000});
  if (!done) ADD_FAILURE() << draft.type << " \"" << draft.title << "\": " << done.error().what;
  return built.id.text();
}

// ---- the end

bool House::settled(Millis patience) {
  return eventually(
      [this] {
        const json::object now = status();
        const auto* channels = now.if_contains("channels");
        if (!channels) return false;
        for (const json::value& channel : channels->as_array()) {
          if (channel.at("pending").to_number<uint64_t>() != 0) return false;
        }
        return true;
      },
      patience);
}

void House::expect_a_whole_ledger() {
  const auto reader = AuditReader::open(ledger());
  ASSERT_TRUE(reader.has_value()) << reader.error().what;
  const auto report = reader->verify({});
  ASSERT_TRUE(report.has_value()) << report.error().what;
  EXPECT_TRUE(report->whole());
  for (const std::string& problem : report->problems) ADD_FAILURE() << "ledger: " << problem;
  for (const std::string& foreign : report->foreign) ADD_FAILURE() << "ledger: a foreign commit: " << foreign;
  // Under a repack, which outlives the broker that is killed, fsck misses objects that were just moved.
  const Ended fsck = run({"flock", (ledger() / "detent-packing.lock").string(), "git", "-C", ledger().string(), "fsck",
                          "--full", "--strict", "--no-progress"});
  EXPECT_EQ(fsck.code, 0) << fsck.output;
  for (const char* fault : {"error", "missing", "broken", "corrupt", "warning"}) {
    EXPECT_EQ(fsck.output.find(fault), std::string::npos) << fsck.output;
  }
}

std::map<std::string, std::string> House::receipts() const {
  std::map<std::string, std::string> out;
  std::map<uint64_t, std::string> ids;  // a receipt names its signal by number
  for (const json::object& line : ledger_lines(ledger())) {
    const auto* state = line.if_contains("receipt");
    const auto seq = line.at("seq").to_number<uint64_t>();
    if (!state) {
      ids[seq] = std::string(line.at("id").as_string());
    } else {
      out[ids[seq] + " " + std::string(line.at("channel").as_string())] = state->as_string();
    }
  }
  return out;
}

std::vector<json::object> ledger_lines(const fs::path& repository) {
  const std::string git = "git -C '" + repository.string() + "'";
  const Ended all = run({"sh", "-c",
                         git +
                             " ls-tree -r --format='%(objectname) %(path)' detent/ledger signals | sort -k2 -V"
                             " | cut -d' ' -f1 | " +
                             git + " cat-file --batch='' --buffer"},
                        {}, Millis{120'000});
  if (all.code != 0) throw Failure("the ledger cannot be read: " + all.output.substr(0, 500));
  std::vector<json::object> out;
  size_t at = 0;
  while (at < all.output.size()) {
    size_t end = all.output.find('\n', at);
    if (end == std::string::npos) end = all.output.size();
    const std::string_view line(all.output.data() + at, end - at);
    if (line.starts_with("{")) out.push_back(json::parse(line).as_object());
    at = end + 1;
  }
  return out;
}

}  // namespace detent::house
