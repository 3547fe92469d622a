// The whole of Detent as it runs: broker, consumers and sandbox as processes of their own, in a folder of their own, on
// free ports of loopback. A test talks to them as the world does: by the bus, by HTTP, by signals, by their files.
//
// Everything is ended and removed in the destructor; where the test failed, the ends of the logs are printed first. A
// process that ended although nobody told it to fails the test.
#pragma once

#include <boost/json.hpp>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "http/client.h"
#include "producers/publisher.h"
#include "proto/signal_builder.h"
#include "tests/house/child.h"

namespace detent::house {

namespace json = boost::json;

struct Plan {
  /// Whole sections or [[route]]s, put at the end of detent.toml.
  std::string more;
  /// Lines of the section.
  std::string broker, ledger, discord, telegram, digitalocean;
  /// Lines before the first section.
  std::string top;
  /// Where `state` is, and the ledger in it; empty: in the house's own folder.
  std::filesystem::path state;
  std::vector<std::string> sandbox{"--discord-global", "off", "--discord-limit", "off"};
};

class House {
 public:
  static constexpr int64_t kChat = 4242;
  static constexpr const char* kDiscordToken = "the-discord-token-of-this-house";
  static constexpr const char* kDigitalOceanToken = "dop_v1_the_token_of_this_house";
  static constexpr const char* kTelegramToken = "4242:the-telegram-token-of-this-house";

  /// The sandbox runs, detent.toml and the token files are there.
  explicit House(Plan plan = {});
  ~House();

  // ---- its processes, by name: "broker", "telegram", "discord alerts", …

  /// Started, and it answers.
  Child& start_broker();
  /// One process for all `channels` ("alerts").
  Child& start_discord(const std::vector<std::string>& channels);
  Child& start_telegram();
  Child& start_dispatcher();
  /// It has the runners that the plan's `more` gives it.
  Child& start_worker();
  /// Every channel of the default routes, a process each.
  void start_consumers();
  Child& process(const std::string& name);
  /// kill -9; `start_…` brings it back.
  void kill(const std::string& name);
  /// SIGTERM, and waits; its exit code.
  int stop(const std::string& name);
  /// Ends all but the sandbox: consumers first, then the broker, which brings the ledger up to date.
  void stop_all();
  /// What `name` logged.
  std::string log(const std::string& name) const;

  // ---- files

  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path config() const { return folder_ / "detent.toml"; }
  std::filesystem::path state() const { return plan_.state.empty() ? folder_ / "state" : plan_.state; }
  std::filesystem::path ledger() const { return (plan_.state.empty() ? folder_ : plan_.state) / "ledger.git"; }
  std::filesystem::path discord_token() const { return folder_ / "discord.token"; }
  std::filesystem::path telegram_token() const { return folder_ / "telegram.token"; }
  std::filesystem::path digitalocean_token() const { return folder_ / "digitalocean.token"; }
  void write(const std::filesystem::path& file, std::string_view text) const;
  /// Changes the plan and writes detent.toml anew; the processes go on with what they read.
  void rewrite_config(const std::function<void(Plan&)>& change);

  // ---- the sandbox: what a person would see, and bad days

  /// Of "alerts", or "chat", which is a webhook; all where empty.
  json::array discord(std::string_view channel = {});
  json::array telegram();
  /// How many of `messages` have `text` in them.
  static size_t count(const json::array& messages, std::string_view text);
  static std::string channel_id(std::string_view name);
  /// {"service": "discord", "kind": "500", …}
  void fault(const json::object& fault);
  /// Of the faults ordered, those that no request has met yet.
  size_t faults_left();
  json::value control(const std::string& method, const std::string& path, const std::string& body = {});
  /// The requests recorded so far, one a line.
  std::vector<json::object> requests() const;
  const std::filesystem::path& record() const { return record_; }
  const std::string& sandbox_url() const { return sandbox_; }

  // ---- the broker

  const std::string& endpoint() const { return endpoint_; }
  std::string http_url() const { return "http://" + http_; }
  /// No answer: status 0.
  http::Response get(const std::string& path);
  http::Response post(const std::string& path, const std::string& body);
  json::object status();
  json::object status_of(std::string_view channel);
  /// A line of /metrics: `detent_frames_rejected_total{reason="gap"}`. -1 where there is none.
  double metric(std::string_view name);
  /// `detent ARGUMENTS…` with this house's config.
  Ended detent(std::vector<std::string> arguments);

  // ---- publishing

  Publisher& publisher();
  /// Closes the publisher's connection; the next call of `publisher` makes another.
  void forget_publisher() { publisher_.reset(); }
  /// Publishes and waits until it is durable; fails the test where that does not come. The signal's id.
  std::string publish(const Draft& draft);
  Built build(const Draft& draft);

  // ---- the end

  /// Every channel has settled everything; false where that takes longer.
  bool settled(Millis patience = Millis{60'000});
  /// With all stopped: the chain is whole and equal to the journal, git itself finds no fault. Fails the test
  /// otherwise.
  void expect_a_whole_ledger();
  /// The receipts of the ledger: "<signal id> <channel>" -> "delivered", "unknown", …
  std::map<std::string, std::string> receipts() const;

 private:
  Child& start(const std::string& name, std::vector<std::string> arguments);
  void write_config() const;
  std::vector<std::string> names_of_consumers() const;

  Plan plan_;
  std::filesystem::path folder_, record_;
  std::string endpoint_, http_, dispatcher_, sandbox_;
  std::map<std::string, std::unique_ptr<Child>> processes_;
  std::set<std::string> ended_;  // because the test wanted it
  http::KeepAliveClient client_;
  SignalBuilder builder_;
  std::unique_ptr<Publisher> publisher_;
};

/// A port of loopback that nobody listens on.
int free_port();

/// The lines of the ledger's files, oldest first.
std::vector<json::object> ledger_lines(const std::filesystem::path& repository);

/// `build/<preset>/requests`: a record of each test.
std::filesystem::path records_folder();

}  // namespace detent::house
