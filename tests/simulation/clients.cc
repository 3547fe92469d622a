// Producers and plain consumers.
#include "proto/signal.pb.h"
#include "proto/wire.pb.h"
#include "tests/simulation/client.h"

namespace detent::test {

namespace {
const std::vector<std::string> kTypes{"heartbeat.ok", "incident.detected", "cron.output", "note.odd", "chat.message"};
}  // namespace

void World::crash_client(Client& client) {
  // A process that is killed closes its connections; a machine that goes dark does not.
  if (broker_->is_up() && chance(0.5)) broker_->hang_up(fmt::format("{}/{}", client.number, client.life));
  ++client.life;
  Link::Options options;
  options.name = client.peer();
  options.role = client.producer ? Link::Role::Producer : Link::Role::Consumer;
  std::vector<std::string> served = client.channels;
  std::erase(served, down_);
  options.channels = served;
  options.instance = dice_.random() | 1;
  client.link = std::make_unique<Link>(options, dice_.random());
  client.held.clear();
  client.credit.clear();
  if (!client.producer && platforms_) {
    client.couriers = std::make_unique<CourierProcess>(client.number, client.life, served, *client.link, *platforms_);
  }
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
  Published published;
  published.number = made_++;
  Note note;
  note.set_title(fmt::format("signal {}", published.number));
  if (chance(0.1)) published.words = static_cast<int>(below(900));
  for (int i = 1; i <= published.words; ++i) *note.mutable_body() += fmt::format("sig{}word{} ", published.number, i);
  signal.set_payload(note.SerializeAsString());
  published.needs_response = signal.needs_response();
  published.bytes = signal.SerializeAsString();
  published.thread = signal.thread();
  published.expires = expires;
  const auto route = route_of(published.bytes);
  published.channels = {route.begin(), route.end()};
  published.routes = {route};
  published_[signal.id()] = std::move(published);
  if (broker_->is_up() && chance(weather_.http)) return publish_over_http(client, signal.id());
  client.tickets[*client.publisher->add(published_[signal.id()].bytes)] = signal.id();
}

std::vector<std::string> World::route_of(std::string_view signal) const {
  const SignalHeader head = read_header(signal);
  auto router = *Router::compile(config_);
  return router.decide({head.type, 0, head.source, head.labels, head.needs_response}).channels;
}

void World::publish_over_http(Client& client, const std::string& id) {
  over_http_.insert(id);
  broker_->admit(published_[id].bytes, now_, [this, &client, id](const LocalDone& done) {
    over_http_.erase(id);
    if (!done.rejections.at(0).reason) {
      published_[id].acknowledged = true;
      return;
    }
    client.tickets[*client.publisher->add(published_[id].bytes)] = id;  // it tries again, in another way
  });
}

void World::http_ended() {
  Client& client = *clients_.front();
  for (const auto& id : over_http_) client.tickets[*client.publisher->add(published_[id].bytes)] = id;
  over_http_.clear();
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
  if (client.couriers) {
    if (event.kind == Link::Event::Frame && event.field == Frame::kDeliver) on_deliver(client, event.body);
    return client.couriers->on_event(event, now_);
  }
  if (event.kind == Link::Event::Opened) {
    if (client.producer) return client.publisher->opened();
    client.held.clear();
    client.credit.clear();
    for (const auto& channel : client.channels) {
      if (channel == down_) continue;
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
      if (held.channel == durable.channel() && held.delivery == durable.delivery()) held.durable = true;
    }
  }
}

void World::on_deliver(Client& client, std::string_view body) {
  Deliver deliver;
  if (!deliver.ParseFromArray(body.data(), static_cast<int>(body.size()))) return broken("a Deliver cannot be read");
  for (const auto& delivery : deliver.deliveries()) {
    ++counts_.deliveries;
    if (delivery.signals_size() != 1) return broken("a delivery of other than one signal");
    const std::string& bytes = delivery.signals(0).signal();
    const SignalHeader head = read_header(bytes);
    const std::string id(head.id);
    if (head.source == "detent") {
      auto& alarm = published_[id];
      alarm.own = true;
      alarm.bytes = bytes;
      alarm.channels.insert(deliver.channel());
    }
    const auto known = published_.find(id);
    if (known == published_.end() || known->second.bytes != bytes) return broken("a signal was invented");
    if (!known->second.channels.contains(deliver.channel())) return broken("a signal in the wrong channel");
    if (client.couriers) continue;
    if (--client.credit[deliver.channel()] < 0) return broken("more was delivered than credit was given");
    client.held.push_back({deliver.channel(), id, delivery.id(), delivery.signals(0).seq(), false, false});
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
    begun.set_delivery(held.delivery);
    begun.mutable_part()->set_part(1);
    return client.link->send(Frame::kBegun, begun.SerializeAsString());
  }
  if (!held.durable) return;
  Settle settle;
  settle.set_channel(held.channel);
  const double fate = std::uniform_real_distribution<>(0, 1)(dice_.random);
  if (fate < 0.15) {
    auto* one = settle.add_settled();
    one->set_delivery(held.delivery);
    one->set_outcome(NOT_NOW);
    one->set_delay_ms(static_cast<uint32_t>(below(2000)));
  } else if (fate < 0.15 + weather_.give_up) {
    auto* one = settle.add_settled();
    one->set_delivery(held.delivery);
    one->set_outcome(GIVEN_UP);
    one->set_cause("given up");
  } else {
    const auto& signal = published_[held.id];
    if (taken_.insert({held.channel, held.id}).second && !signal.thread.empty()) {
      // The platform sees it for the first time: never before an earlier one of its thread.
      auto& last = last_first_[{held.channel, signal.thread}];
      if (held.seq < last) overtaken_.push_back({held.channel, held.seq});
      last = std::max(last, held.seq);
    }
    settle.add_delivered(held.delivery);
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
  if (client.couriers) {
    client.couriers->turn(now_);
    if (now_.mono >= client.next_look) {
      client.next_look = now_.mono + Millis{1000};
      client.couriers->look_at_tokens(now_);
    }
    if (client.couriers->has_left()) crash_client(client);
  } else if (!client.producer) {
    consumer_acts(client);
  }
  for (auto& message : client.link->outgoing) send(client.number, true, std::move(message));
  client.link->outgoing.clear();
}

}  // namespace detent::test
