#include "tests/simulation/world.h"

#include <spdlog/fmt/fmt.h>

#include "proto/journal.pb.h"
#include "proto/signal.pb.h"
#include "proto/wire.pb.h"

namespace detent::test {

namespace {
const std::vector<std::string> kTypes{"heartbeat.ok", "incident.detected", "cron.output", "note.odd", "chat.message"};
constexpr int kProducers = 2, kConsumers = 3;
}  // namespace

struct World::Client {
  int number = 0;
  bool producer = false;
  uint64_t life = 1;  // of its connection; a restart or a reconnect is a new one
  std::unique_ptr<Link> link;
  Millis cut_off_until{0};

  std::unique_ptr<PublisherCore> publisher;
  std::map<uint64_t, std::string> tickets;  // not acknowledged: ticket -> id
  std::set<uint64_t> forged;                // ids used again for other content, not refused yet

  struct Held {
    std::string channel, id;
    uint64_t seq = 0;
    bool begun = false, durable = false;
  };
  std::vector<std::string> channels;
  std::vector<Held> held;
  std::map<std::string, int64_t> credit;  // given and not used up, by channel

  std::string peer() const { return fmt::format("{}/{}", number, life); }
};

World::World(uint64_t seed, Weather weather) : dice_(seed), weather_(weather) {
  config_ = *parse_config(R"(
[telegram]
chat = 1
[discord.channels]
alerts = "2"
system = "4"
chat = "6"
)",
                          "simulated.toml");
  const uint64_t backlog = chance(weather_.small_backlog) ? 4'000 + below(20'000) : uint64_t{1} << 30;
  broker_ =
      std::make_unique<SimulatedBroker>(config_, backlog, dice_, [this](const std::string& what) { broken(what); });
  broker_->start(now_);
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
      // Two compete for the same channels, the third has telegram beside one of them.
      client->channels = i == kProducers + 2
                             ? std::vector<std::string>{"telegram", "discord.system"}
                             : std::vector<std::string>{"discord.system", "discord.alerts", "discord.chat"};
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
    if (now_.mono < broker_up_at_) return;
    broker_->start(now_);
    if (failure_.empty()) check_acknowledged(broker_->everything());
    return;
  }
  broker_->turn(now_);
  for (auto& [peer, frame] : broker_->outgoing) {
    send(std::stoi(peer), false, peer.substr(peer.find('/') + 1) + "|" + frame);
  }
  broker_->outgoing.clear();
}

void World::check_acknowledged(const Books& books) {
  for (const auto& [id, signal] : published_) {
    if (signal.acknowledged && !books.ids.contains(id)) {
      return broken("acknowledged and gone after a restart: " + Ulid::from_bytes(id)->text());
    }
  }
}

// ---- the network

void World::send(int client, bool to_broker, std::string bytes) {
  Packet packet{client, clients_[static_cast<size_t>(client)]->life, to_broker, std::move(bytes)};
  if (!to_broker) {
    const auto bar = packet.bytes.find('|');
    packet.life = std::stoull(packet.bytes.substr(0, bar));
    packet.bytes.erase(0, bar + 1);
  }
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
    std::string bytes = packet.bytes;
    if (broker_->is_up()) broker_->core().receive(fmt::format("{}/{}", packet.client, packet.life), bytes, now_);
    return;
  }
  if (packet.life != client.life) return;
  const auto event = client.link->receive(packet.bytes, now_);
  if (event.kind != Link::Event::None) on_event(client, event);
}

// ---- clients

void World::crash_client(Client& client) {
  ++client.life;
  Link::Options options;
  options.name = client.peer();
  options.role = client.producer ? Link::Role::Producer : Link::Role::Consumer;
  options.channels = client.channels;
  options.instance = dice_.random() | 1;
  client.link = std::make_unique<Link>(options, dice_.random());
  client.held.clear();
  client.credit.clear();
  if (client.producer) {
    // It kept what was not acknowledged (as an outbox would) and publishes it again, with the same ids.
    std::vector<std::string> again;
    for (const auto& [ticket, id] : client.tickets) again.push_back(id);
    client.tickets.clear();
    client.forged.clear();
    client.publisher = std::make_unique<PublisherCore>();
    for (const auto& id : again) client.tickets[*client.publisher->add(published_[id].bytes)] = id;
  }
}

void World::publish(Client& client) {
  Signal signal;
  UlidSource ids(dice_.random());
  signal.set_id(std::string(ids.next(now_.wall).view()));
  signal.set_type(kTypes[below(kTypes.size())]);
  signal.set_needs_response(chance(0.2));
  if (chance(0.5)) signal.set_thread(fmt::format("thread-{}", below(3)));
  const bool expires = chance(weather_.expires);
  // The clock jumps, and all others must arrive.
  signal.set_expires_ms(now_.wall.count() + (expires ? static_cast<int64_t>(below(20'000)) : 10LL * 365 * 86'400'000));
  Note note;
  note.set_title(fmt::format("signal {}", made_++));
  if (chance(0.1)) note.set_body(std::string(below(20'000), 'x'));
  signal.set_payload(note.SerializeAsString());
  Published published;
  published.bytes = signal.SerializeAsString();
  published.thread = signal.thread();
  published.expires = expires;
  const Head head = read_head(published.bytes);
  auto router = *Router::compile(config_);
  const Route& route = router.decide({head.type, 0, head.source, head.labels, head.needs_response});
  published.channels = {route.channels.begin(), route.channels.end()};
  client.tickets[*client.publisher->add(published.bytes)] = signal.id();
  published_[signal.id()] = std::move(published);
}

/// As an outbox does, or a person: what was acknowledged long ago, once more; or its id for something else.
void World::publish_again(Client& client) {
  auto any = published_.begin();
  std::advance(any, static_cast<ptrdiff_t>(below(published_.size())));
  const auto& [id, published] = *any;
  if (!published.acknowledged) return;
  ++counts_.again;
  if (chance(0.7)) {
    client.tickets[*client.publisher->add(published.bytes)] = id;
    return;
  }
  Signal signal;
  signal.ParseFromString(published.bytes);
  signal.set_source("forged");
  client.forged.insert(*client.publisher->add(signal.SerializeAsString()));
}

void World::on_published(Client& client, std::string_view body) {
  const auto progress = client.publisher->published(body, now_);
  for (const auto& refusal : progress.refusals) {
    if (refusal.reason != ID_REUSED || !client.forged.erase(refusal.ticket)) broken("refused: " + refusal.text);
  }
  if (!client.forged.empty() && *client.forged.begin() <= progress.upto) broken("an id was used for two contents");
  while (!client.tickets.empty() && client.tickets.begin()->first <= progress.upto) {
    published_[client.tickets.begin()->second].acknowledged = true;
    client.tickets.erase(client.tickets.begin());
  }
}

void World::on_event(Client& client, const Link::Event& event) {
  if (event.kind == Link::Event::Opened) {
    if (client.producer) return client.publisher->opened();
    client.held.clear();
    client.credit.clear();
    for (const auto& channel : client.channels) {
      Credit credit;
      credit.set_channel(channel);
      credit.set_count(1 + static_cast<uint32_t>(below(6)));
      credit.set_bytes(1 + below(100'000));
      client.credit[channel] = credit.count();
      client.link->send(Frame::kCredit, credit.SerializeAsString());
    }
    return;
  }
  if (event.kind == Link::Event::Lost) {
    if (client.producer) client.publisher->lost();
    return;  // a consumer goes on with what it has in hand: what it says of it later is stale
  }
  if (event.kind != Link::Event::Frame) return;
  if (event.field == Frame::kPublished) {
    on_published(client, event.body);
  } else if (event.field == Frame::kDeliver) {
    on_deliver(client, event.body);
  } else if (event.field == Frame::kBegunDurable) {
    BegunDurable durable;
    durable.ParseFromArray(event.body.data(), static_cast<int>(event.body.size()));
    for (auto& held : client.held) {
      if (held.channel == durable.channel() && held.seq == durable.delivery()) held.durable = true;
    }
  }
}

void World::on_deliver(Client& client, std::string_view body) {
  Deliver deliver;
  if (!deliver.ParseFromArray(body.data(), static_cast<int>(body.size()))) return broken("a Deliver cannot be read");
  for (const auto& delivery : deliver.deliveries()) {
    ++counts_.deliveries;
    const Head head = read_head(delivery.signal());
    const std::string id(head.id);
    if (head.source == "detent") {
      auto& alarm = published_[id];
      alarm.own = true;
      alarm.bytes = delivery.signal();
      alarm.channels.insert(deliver.channel());
    }
    const auto known = published_.find(id);
    if (known == published_.end() || known->second.bytes != delivery.signal()) return broken("a signal was invented");
    if (!known->second.channels.contains(deliver.channel())) return broken("a signal in the wrong channel");
    if (--client.credit[deliver.channel()] < 0) return broken("more was delivered than credit was given");
    client.held.push_back({deliver.channel(), id, delivery.delivery(), false, false});
  }
}

void World::consumer_acts(Client& client) {
  if (client.held.empty() || !client.link->is_open()) return;
  const size_t index = below(client.held.size());
  auto& held = client.held[index];
  if (!held.begun) {
    held.begun = true;
    Begun begun;
    begun.set_channel(held.channel);
    begun.set_delivery(held.seq);
    begun.mutable_part()->set_part(1);
    return client.link->send(Frame::kBegun, begun.SerializeAsString());
  }
  if (!held.durable) return;
  Settle settle;
  settle.set_channel(held.channel);
  const double fate = std::uniform_real_distribution<>(0, 1)(dice_.random);
  if (fate < 0.15) {
    auto* one = settle.add_settled();
    one->set_delivery(held.seq);
    one->set_outcome(NOT_NOW);
    one->set_delay_ms(static_cast<uint32_t>(below(2000)));
  } else if (fate < 0.15 + weather_.give_up) {
    auto* one = settle.add_settled();
    one->set_delivery(held.seq);
    one->set_outcome(GIVEN_UP);
    one->set_cause("given up");
  } else {
    const auto& signal = published_[held.id];
    if (taken_.insert({held.channel, held.id}).second && !signal.thread.empty()) {
      // The platform sees it for the first time: never before an earlier one of its thread.
      auto& last = last_first_[{held.channel, signal.thread}];
      if (held.seq < last)
        return broken(fmt::format("{} took {} of {} after {}", held.channel, held.seq, signal.thread, last));
      last = held.seq;
    }
    settle.add_delivered(held.seq);
  }
  client.link->send(Frame::kSettle, settle.SerializeAsString());
  Credit credit;
  credit.set_channel(held.channel);
  credit.set_count(1);
  credit.set_bytes(20'000);
  client.credit[held.channel] += 1;
  client.link->send(Frame::kCredit, credit.SerializeAsString());
  client.held.erase(client.held.begin() + static_cast<ptrdiff_t>(index));
}

void World::client_turn(Client& client) {
  if (const auto event = client.link->tick(now_); event.kind != Link::Event::None) on_event(client, event);
  if (client.producer && client.link->is_open()) {
    while (auto frame = client.publisher->next_frame(now_)) {
      auto& out = client.link->begin(Frame::kPublish, frame->size());
      out.append(frame->head);
      out.append(frame->signals);
    }
  }
  if (!client.producer) consumer_acts(client);
  for (auto& message : client.link->outgoing) send(client.number, true, std::move(message));
  client.link->outgoing.clear();
}

// ---- a day

void World::step(bool calm) {
  now_.mono += Millis{1 + below(60)};
  now_.wall += Millis{30};
  if (!calm) {
    if (chance(weather_.clock_jump)) now_.wall += Millis{static_cast<int64_t>(below(7'200'000)) - 3'600'000};
    if (broker_->is_up() && chance(weather_.broker_crash)) {
      broker_->crash(chance(weather_.power_cut));
      broker_up_at_ = now_.mono + Millis{below(4000)};
    }
    if (broker_->is_up() && chance(weather_.orders)) broker_->order(chance(0.7));
    for (auto& client : clients_) {
      if (chance(weather_.client_crash)) crash_client(*client);
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
  for (auto& client : clients_) client_turn(*client);
}

void World::check_all_arrived() {
  const Books& books = broker_->books();
  for (const auto& [id, signal] : published_) {
    if (!signal.own && !signal.acknowledged) return broken("never acknowledged");
  }
  check_acknowledged(books);
  for (const auto& [seq, entry] : books.signals) {
    const auto signal = published_.find(entry.id);
    if (signal == published_.end() ? entry.source != "detent" : signal->second.bytes != entry.bytes)
      return broken("the journal has a signal that nobody published");
    for (const auto& channel : entry.channels) {
      const auto settled = books.settled.find({channel, seq});
      if (settled == books.settled.end()) return broken(fmt::format("{} of {} is not settled", seq, channel));
      switch (settled->second.state) {
        case SettledRecord::DELIVERED:
          if (!taken_.contains({channel, entry.id})) return broken("said to be delivered, and nobody took it");
          break;
        case SettledRecord::EXPIRED:
          ++counts_.expired;
          if (!signal->second.expires) return broken("expired without an end");
          break;
        case SettledRecord::DEAD:
          ++counts_.dead;
          if (broker_->was_closed({channel, seq})) break;
          if (broker_->letters().read({channel, seq})->cause == "backlog") ++counts_.backlog;
          break;
        default:
          return broken("settled in a way that nobody asked for");
      }
    }
  }
  for (const auto& [key, place] : broker_->letters().letters()) {
    if (!books.settled.contains(key)) return broken("a dead letter of a delivery that is not settled");
  }
}

bool World::settled_all() const {
  for (const auto& client : clients_) {
    if (client->producer && !client->publisher->idle()) return false;
  }
  return broker_->is_done();
}

std::string World::run() {
  for (int i = 0; i < weather_.steps && failure_.empty(); ++i) step(false);
  weather_.lose = weather_.repeat = weather_.late = 0;
  for (auto& client : clients_) client->cut_off_until = Millis{0};
  for (int i = 0; i < 20'000 && failure_.empty() && !settled_all(); ++i) step(true);
  if (!failure_.empty()) return failure_;
  if (!settled_all()) return "not everything settled";
  broker_->check_letters(broker_->books());
  check_all_arrived();
  return failure_;
}

}  // namespace detent::test
