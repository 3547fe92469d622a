#include "tests/simulation/world.h"

#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "broker/config.h"
#include "tests/simulation/client.h"

namespace detent::test {

namespace {
constexpr int kProducers = 2, kConsumers = 3;

/// A repository costs what a hundred days cost.
std::unique_ptr<Audit> audit_of(uint64_t seed) {
  if (seed % 100 != 0) return nullptr;
  return std::make_unique<Audit>(fmt::format("{}detent-simulated-{}-{}", testing::TempDir(), getpid(), seed));
}

Config config_of(bool own_routes) {
  std::string text = R"(
[telegram]
chat = 1
[discord.channels]
alerts = "2"
system = "4"
chat = "6"
)";
  if (own_routes)
    text += R"(
[[route]]
match = { type = "note.*" }
to = ["discord.chat"]
[[route]]
match = { type = "cron.*" }
to = ["telegram", "discord.alerts"]
continue = true
)";
  return *parse_config(text, "simulated.toml");
}
}  // namespace

World::World(uint64_t seed, Weather weather) : dice_(seed), weather_(weather), config_(config_of(false)) {
  if (chance(weather_.small_backlog)) config_.of<BrokerConfig>().max_backlog.bytes = 4'000 + below(20'000);
  broker_ = std::make_unique<SimulatedBroker>(
      config_, dice_, [this](const std::string& what) { broken(what); }, audit_of(seed));
  broker_->start(now_);
  if (chance(0.3)) weather_.longest_step = 400;
  if (chance(weather_.down)) {
    static const std::vector<std::string> kChannels{"telegram", "discord.alerts", "discord.system", "discord.chat"};
    down_ = kChannels[below(kChannels.size())];
  }
  if (seed % 2) platforms_ = std::make_unique<Platforms>(dice_);
  for (int i = 0; i < kProducers + kConsumers; ++i) {
    auto client = std::make_unique<Client>();
    client->number = i;
    client->producer = i < kProducers;
    if (client->producer) {
      PublisherCore::Limits limits;
      limits.frame_signals = 1 + below(8);
      limits.window = 1 + below(4);
      client->publisher = std::make_unique<PublisherCore>(limits);
    } else {
      // Two compete for each channel.
      static const std::vector<std::string> kServed[kConsumers] = {{"discord.system", "discord.alerts", "discord.chat"},
                                                                   {"discord.alerts", "discord.chat", "telegram"},
                                                                   {"telegram", "discord.system"}};
      client->channels = kServed[i - kProducers];
    }
    clients_.push_back(std::move(client));
    crash_client(*clients_.back());
  }
}

World::~World() = default;

void World::broken(const std::string& what) {
  if (failure_.empty()) failure_ = what;
}

void World::broker_turn() {
  if (!broker_->is_up()) {
    http_ended();
    if (now_.mono < broker_up_at_) return;
    broker_->start(now_);
    if (!broker_->is_up()) {
      broker_up_at_ = now_.mono + Millis{below(2000)};
      return;
    }
    if (failure_.empty()) check_acknowledged(broker_->everything());
    return;
  }
  broker_->turn(now_);
  if (!broker_->is_up()) {
    broker_up_at_ = now_.mono + Millis{below(4000)};
    return;
  }
  for (auto& [peer, frame] : broker_->outgoing) {
    send(std::stoi(peer), false, peer.substr(peer.find('/') + 1) + "|" + frame);
  }
  broker_->outgoing.clear();
}

// ---- the network

void World::send(int client, bool to_broker, std::string bytes) {
  Packet packet{client, clients_[static_cast<size_t>(client)]->life, to_broker, std::move(bytes)};
  if (!to_broker) {
    const auto bar = packet.bytes.find('|');
    packet.life = std::stoull(packet.bytes.substr(0, bar));
    packet.bytes.erase(0, bar + 1);
  }
  sent_ = sent_ * 0x9e3779b97f4a7c15 +
          crc32c(static_cast<uint32_t>(now_.mono.count()), packet.bytes.data(), packet.bytes.size());
  if (clients_[static_cast<size_t>(client)]->cut_off_until > now_.mono || chance(weather_.lose)) return;
  const int copies = chance(weather_.repeat) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    const Millis delay{chance(weather_.late) ? below(3000) : 1};
    network_.emplace(std::pair{now_.mono + delay, packets_++}, packet);
  }
}

void World::deliver(const Packet& packet) {
  Client& client = *clients_[static_cast<size_t>(packet.client)];
  if (packet.to_broker) {  // also what a client said that has died since
    if (broker_->is_up()) broker_->receive(fmt::format("{}/{}", packet.client, packet.life), packet.bytes);
    return;
  }
  if (packet.life != client.life) return;
  if (client.paused_until > now_.mono) {
    network_.emplace(std::pair{client.paused_until, packets_++}, packet);
    return;
  }
  const auto event = client.link->receive(packet.bytes, now_);
  if (event.kind != Link::Event::None) on_event(client, event);
}

// ---- a day

void World::reload() {
  ++counts_.reloads;
  own_routes_ = !own_routes_;
  Config fresh = config_of(own_routes_);
  fresh.of<BrokerConfig>() = config_.of<BrokerConfig>();
  config_ = std::move(fresh);
  broker_->reload(config_);
  // Only what may not have been admitted yet goes by the new one.
  for (auto& [id, signal] : published_) {
    if (signal.own || signal.acknowledged) continue;
    const auto route = route_of(signal.bytes);
    signal.channels.insert(route.begin(), route.end());
    signal.routes.insert(route);
  }
}

void World::step(bool calm) {
  const bool quiet = calm && network_.empty();
  const Millis passed{1 + below(quiet ? 600 : weather_.longest_step)};
  now_.mono += passed;
  now_.wall += passed;
  if (!calm) {
    if (chance(weather_.clock_jump)) {
      // Platforms tell time too: what compares theirs with ours holds for clocks that are about right.
      const int64_t most = platforms_ ? 25'000 : 3'600'000;
      const Millis skew{static_cast<int64_t>(below(2 * static_cast<uint64_t>(most))) - most};
      now_.wall += skew - skew_;
      skew_ = skew;
    }
    if (broker_->is_up() && chance(weather_.broker_crash)) {
      broker_->crash(chance(weather_.power_cut));
      broker_up_at_ = now_.mono + Millis{below(4000)};
    }
    if (broker_->is_up() && chance(weather_.orders)) broker_->order(chance(0.7));
    if (broker_->is_up() && chance(weather_.drop)) broker_->drop_a_channel();
    if (chance(weather_.reload)) reload();
    if (platforms_ && chance(weather_.revoke)) {
      platforms_->revoke();
      renewed_at_ = now_.mono + Millis{below(20'000)};
    }
    for (auto& client : clients_) {
      if (chance(weather_.client_crash)) crash_client(*client);
      if (client->couriers && chance(weather_.client_crash)) client->couriers->stop();
      if (chance(weather_.pause)) client->paused_until = now_.mono + Millis{below(20'000)};
      if (chance(weather_.partition)) client->cut_off_until = now_.mono + Millis{below(15'000)};
    }
    auto& producer = *clients_[below(kProducers)];
    if (made_ < weather_.signals && chance(0.15)) publish(producer);
    if (!published_.empty() && chance(weather_.again)) publish_again(producer);
  }
  while (!network_.empty() && network_.begin()->first.first <= now_.mono) {
    const Packet packet = std::move(network_.begin()->second);
    network_.erase(network_.begin());
    deliver(packet);
  }
  broker_turn();
  if (platforms_) {
    if (calm || now_.mono >= renewed_at_) platforms_->renew();
    for (const auto& answered : platforms_->turn({now_.mono, now_.wall - skew_})) {
      Client& client = *clients_[static_cast<size_t>(answered.asker.client)];
      if (client.life == answered.asker.life) client.couriers->answered(answered, now_);
    }
  }
  for (auto& client : clients_) {
    if (client->paused_until <= now_.mono) client_turn(*client);
  }
}

bool World::settled_all() const {
  for (const auto& client : clients_) {
    if (client->producer && !client->publisher->idle()) return false;
  }
  return over_http_.empty() && broker_->is_done(down_);
}

std::string World::run() {
  for (int i = 0; i < weather_.steps && failure_.empty(); ++i) step(false);
  weather_.lose = weather_.repeat = weather_.late = 0;
  broker_->weather().clear();
  if (platforms_) platforms_->calm();
  for (auto& client : clients_) client->cut_off_until = client->paused_until = Millis{0};
  const auto settle = [&](const char* otherwise) {
    for (int i = 0; i < 20'000 && failure_.empty() && !settled_all(); ++i) step(true);
    if (failure_.empty() && !settled_all()) failure_ = otherwise + (", alarms:" + broker_->standing_alarms());
  };
  settle("not everything settled");
  if (!down_.empty()) {
    down_.clear();
    for (auto& client : clients_) {
      if (!client->producer) crash_client(*client);
    }
    settle("not everything settled after the channel was served again");
  }
  if (!failure_.empty()) return failure_;
  broker_->check_letters(broker_->books());
  broker_->check_nothing_kept();
  if (failure_.empty()) broker_->check_ledger(now_);
  check_all_arrived();
  if (platforms_ && failure_.empty()) check_shown();
  return failure_;
}

}  // namespace detent::test
