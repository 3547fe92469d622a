// kill -9 on broker and consumers in turn, under load, with an outside record: the ids that were acknowledged on one
// side, what a person sees in the sandbox on the other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <random>
#include <thread>

#include "tests/house/house.h"

namespace detent::house {

namespace {

int rounds() {
  const char* asked = getenv("DETENT_ROUNDS");
  return asked ? std::max(1, atoi(asked)) : 200;
}

/// Follows the sandbox's record: how many messages each place took.
class Arrivals {
 public:
  explicit Arrivals(std::filesystem::path record) : in_(record) {}

  void look() {
    for (std::string line; std::getline(in_, line);) {
      if (in_.eof()) {  // half a line: the rest comes with the next look
        in_.clear();
        in_.seekg(-static_cast<std::streamoff>(line.size()), std::ios::cur);
        return;
      }
      const json::object request = json::parse(line).as_object();
      if (request.at("status").to_number<int>() != 200 || request.at("method").as_string() != "POST") continue;
      ++total_;
      const std::string path(request.at("path").as_string());
      for (const char* name : {"alerts", "system", "chat"}) {
        if (path.find(House::channel_id(name)) != std::string::npos) ++places_["discord " + std::string(name)];
      }
      if (request.at("service").as_string() == "telegram") ++places_["telegram"];
    }
    in_.clear();
  }
  size_t total() const { return total_; }
  size_t of(const std::string& consumer) { return places_[consumer]; }

 private:
  std::ifstream in_;
  size_t total_ = 0;
  std::map<std::string, size_t> places_;
};

/// A producer that never rests, and the record of what was acknowledged to it.
class Load {
 public:
  struct Said {
    std::string id, type, thread;
    bool needs_response = false;
  };

  explicit Load(const std::string& endpoint)
      : publisher_({.endpoint = endpoint, .name = "load"}),
        thread_([this](const std::stop_token& stop) { run(stop); }) {}

  /// One that the operator must answer goes out with the next burst.
  void ask() { asks_ = true; }
  /// No more than so many may be on their way to a person.
  void arrived(size_t count) { arrived_ = count; }
  size_t acknowledged() const { return acknowledged_; }

  /// Stops, and waits until all is acknowledged.
  bool finish() {
    thread_.request_stop();
    thread_.join();
    return publisher_.flush(Millis{60'000});
  }
  /// By number. After `finish`.
  const std::vector<Said>& said() const { return said_; }
  size_t refused() const { return refused_; }

  static std::string title(size_t number) {
    std::string digits = std::to_string(number);
    return "Load-" + std::string(6 - digits.size(), '0') + digits;
  }

 private:
  void run(const std::stop_token& stop) {
    SignalBuilder builder;
    std::mt19937 random(4711);
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::unique_lock lock(mutex);
    while (!stopped.wait_for(lock, stop, Millis{60}, [&] { return stop.stop_requested(); })) {
      for (int i = 0; i < 6 && said_.size() < arrived_ + 150; ++i) {
        const char* const types[] = {"cron.output", "threshold.crossed", "chat.message"};
        Draft draft{.type = types[random() % 3], .title = title(said_.size()), .body = "Under *load*."};
        if (random() % 4 == 0) draft.thread = "key-" + std::to_string(random() % 3);
        if (asks_.exchange(false))
          draft = {.type = "question.asked", .title = title(said_.size()), .needs_response = true};
        const Built built = builder.build(draft, system_now()).value();
        const auto taken = publisher_.publish(built.signal, [this](const Publisher::Outcome& outcome) {
          ++(outcome.durable() ? acknowledged_ : refused_);
        });
        if (!taken) break;  // its memory is full: what is there goes first
        said_.push_back({built.id.text(), draft.type, draft.thread, draft.needs_response});
      }
    }
  }

  std::atomic<bool> asks_ = false;
  std::atomic<size_t> arrived_ = 0, acknowledged_ = 0, refused_ = 0;
  std::vector<Said> said_;
  Publisher publisher_;
  std::jthread thread_;
};

struct Seen {
  std::string id;  // of the message
  size_t number = 0;
  bool repeat = false;
};

std::vector<Seen> seen(const json::array& messages, const char* field) {
  std::vector<Seen> out;
  for (const json::value& message : messages) {
    const auto* text = message.as_object().if_contains(field);
    const std::string content = text ? std::string(text->as_string()) : "";
    const size_t at = content.find("Load-");
    if (at == std::string::npos) continue;
    const auto* id = message.as_object().if_contains("id");
    out.push_back({id ? std::string(id->as_string()) : "", static_cast<size_t>(std::stoul(content.substr(at + 5, 6))),
                   content.find("(repeat)") != std::string::npos});
  }
  return out;
}

}  // namespace

TEST(Kills, OfBrokerAndConsumersUnderLoadLoseNothingAndShowNothingTwice) {
  House house({.broker = "segment = \"1MiB\"\n"});
  house.start_broker();
  const std::vector<std::string> consumers{"discord alerts", "discord system", "discord chat", "telegram"};
  const auto start = [&](const std::string& consumer) {
    consumer == "telegram" ? house.start_telegram() : house.start_discord({consumer.substr(8)});
  };
  for (const std::string& consumer : consumers) start(consumer);
  Arrivals arrivals(house.record());
  Load load(house.endpoint());

  // Every other round takes the broker, sometimes together with a consumer.
  for (int round = 0; round < rounds() && !testing::Test::HasFailure(); ++round) {
    const std::string& consumer = consumers[static_cast<size_t>(round / 2) % consumers.size()];
    const bool broker = round % 2 == 0, both = round % 5 == 0;
    if (round % 2 == 1) load.ask();
    arrivals.look();
    const size_t arrived = arrivals.total(), arrived_there = arrivals.of(consumer), acknowledged = load.acknowledged();
    const size_t connections = consumer == "telegram" ? house.log(consumer).size() : 0;
    if (broker) house.kill("broker");
    if (!broker || both) house.kill(consumer);
    if (broker) house.start_broker();
    if (!broker || both) start(consumer);
    const bool alive = eventually([&] {
      arrivals.look();
      load.arrived(arrivals.total());
      if (load.acknowledged() < acknowledged + 5 || arrivals.total() < arrived + 5) return false;
      if (broker && !both) return true;
      if (consumer != "telegram") return arrivals.of(consumer) > arrived_there;
      return house.log(consumer).find("connected to the broker", connections) != std::string::npos;
    });
    ASSERT_TRUE(alive) << "no life after round " << round << " (" << (broker ? "broker " : "") << consumer
                       << "): " << load.acknowledged() - acknowledged << " acknowledged, " << arrivals.total() - arrived
                       << " arrived";
  }

  ASSERT_TRUE(load.finish()) << "not all was acknowledged";
  EXPECT_EQ(load.refused(), 0u);
  ASSERT_TRUE(house.settled(Millis{180'000})) << json::serialize(house.status());
  const json::array alerts = house.discord("alerts"), system = house.discord("system"), chat = house.discord("chat"),
                    phone = house.telegram();
  // The ledger may have been left locked by a broker that was killed in the middle of a commit.
  ASSERT_TRUE(
      eventually([&] { return house.status().at("ledger").at("behind").to_number<uint64_t>() == 0; }, Millis{90'000}));
  house.stop_all();
  const auto receipts = house.receipts();

  const std::vector<Load::Said>& said = load.said();
  std::map<std::string, std::map<size_t, size_t>> times;  // by place and number
  for (const auto& [place, messages] :
       {std::pair{"discord.alerts", &alerts}, std::pair{"discord.system", &system}, std::pair{"discord.chat", &chat}}) {
    std::map<std::string, size_t> last;  // of each thread key
    std::vector<Seen> there = seen(*messages, "content");
    std::sort(there.begin(), there.end(), [](const Seen& a, const Seen& b) {
      return a.id.size() != b.id.size() ? a.id.size() < b.id.size() : a.id < b.id;
    });
    for (const Seen& one : there) {
      ++times[place][one.number];
      ASSERT_LT(one.number, said.size()) << "nobody said this";
      const std::string& thread = said[one.number].thread;
      if (thread.empty()) continue;
      EXPECT_GE(one.number, last[thread]) << place << ": out of order within " << thread;
      last[thread] = one.number;
    }
  }
  size_t unmarked = 0, repeats = 0;
  std::map<size_t, size_t> plain;
  for (const Seen& one : seen(phone, "text")) {
    ++times["telegram"][one.number];
    ++(one.repeat ? repeats : unmarked);
    if (!one.repeat) {
      EXPECT_EQ(++plain[one.number], 1u) << Load::title(one.number) << " is a repeat and does not say so";
    }
  }

  size_t unknown = 0;
  const auto state = [&](const Load::Said& one, const std::string& place) {
    const auto found = receipts.find(one.id + " " + place);
    return found == receipts.end() ? std::string("nothing") : found->second;
  };
  for (size_t number = 0; number < said.size(); ++number) {
    const Load::Said& one = said[number];
    const std::string what = Load::title(number) + " (" + one.id + ", " + one.type + ")";
    const std::string place = one.type == "threshold.crossed" ? "discord.alerts"
                              : one.type == "chat.message"    ? "discord.chat"
                                                              : "discord.system";
    for (const auto& [other, numbers] : times) {
      if (other != place && !(one.needs_response && other == "telegram")) {
        EXPECT_FALSE(numbers.contains(number)) << what << " in " << other;
      }
    }
    if (place == "discord.chat") {  // a webhook: at most once, and what nobody knows is said
      EXPECT_LE(times[place][number], 1u) << what;
      const std::string ledger = state(one, place);
      EXPECT_TRUE(ledger == "unknown" || (ledger == "delivered" && times[place][number] == 1))
          << what << ": " << ledger << " in the ledger";
      unknown += ledger == "unknown";
    } else {
      EXPECT_EQ(times[place][number], 1u) << what << " in " << place << "; the ledger says " << state(one, place);
      EXPECT_EQ(state(one, place), "delivered") << what;
    }
    if (one.needs_response) {
      EXPECT_GE(times["telegram"][number], 1u) << what << " in telegram; the ledger says " << state(one, "telegram");
      EXPECT_EQ(state(one, "telegram"), "delivered") << what;
    }
  }
  house.expect_a_whole_ledger();
  std::cout << rounds() << " rounds: " << said.size() << " signals, " << unmarked << " in Telegram, of which "
            << repeats << " repeated and marked, " << unknown << " unknown at the webhook and said so\n";
}

}  // namespace detent::house
