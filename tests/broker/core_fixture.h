// What the tests of the broker core share.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "broker/core.h"
#include "broker/dead_letters.h"
#include "broker/records.h"
#include "bus/link.h"
#include "proto/signal.pb.h"
#include "proto/wire.pb.h"
#include "tests/support/memory_disk.h"

namespace detent {

/// A broker core on a disk in memory, and clients that reach it over a wire that loses nothing.
struct CoreTest : testing::Test {
  struct Client {
    Link link;
    std::vector<Published> published;
    std::vector<Delivery> delivered;
    std::vector<Stale> stale;
    std::vector<BegunDurable> durable;
    std::string refused;
    uint64_t next = 1;
  };

  void SetUp() override { start(); }

  void start() {
    ids = std::make_unique<IdWindow>(*IdFiles::open(disk, "s/ids"));
    options.channels = config.channels();
    core = std::make_unique<Core>(options, *Router::compile(config), validator, *ids, 1);
    JournalOptions small{.segment_bytes = 1 << 20, .spares = 1, .reserve_bytes = 0, .low_water = 0};
    JournalVisitor visitor;
    visitor.snapshot = [&](std::string_view bytes) { core->restore(bytes); };
    visitor.record = [&](const RecordPosition& place, std::string_view bytes, bool after) {
      core->replay(bytes, place, after);
    };
    visitor.damage = [](const Damage& damage) { FAIL() << damage.why; };
    journal = *Journal::open(disk, "s/journal", small, visitor);
    dead = *DeadLetters::open(disk, "s/dead", *core, visitor.damage);
    reader = journal->reader();
    EXPECT_EQ(core->recovered(now).count, 0U);
  }
  void restart() {
    clients.clear();
    reader.reset();
    dead.reset();
    journal.reset();
    disk.kill();
    start();
  }

  Client& connect(const std::string& peer, Link::Role role = Link::Role::Producer,
                  std::vector<std::string> channels = {}) {
    auto& client =
        clients
            .emplace(
                peer,
                Client{
                    Link({peer, role, std::move(channels), std::hash<std::string>{}(peer)}, 7), {}, {}, {}, {}, {}, 1})
            .first->second;
    client.link.tick(now);
    turn();
    return client;
  }
  Client& consumer(const std::string& peer, const std::string& channel, uint32_t count = 10) {
    auto& client = connect(peer, Link::Role::Consumer, {channel});
    credit(client, channel, count);
    return client;
  }
  void credit(Client& client, const std::string& channel, uint32_t count) {
    Credit credit;
    credit.set_channel(channel);
    credit.set_count(count);
    credit.set_bytes(1 << 20);
    client.link.send(Frame::kCredit, credit.SerializeAsString());
    turn();
  }

  /// Everything the clients have to say goes in, what the core says comes out; no sync.
  void exchange() {
    for (auto& [peer, client] : clients) {
      for (auto& message : client.link.outgoing) core->receive(peer, message, now);
      client.link.outgoing.clear();
    }
    core->flush(now);
    std::vector<Outgoing> out;
    out.swap(core->outgoing);
    for (auto& message : out) {
      Unread unread;
      if (message.deliver) {
        message.frame = deliver_frame(*message.deliver, *reader, unread);
        core->deliveries().bodies_read(*message.deliver, unread, now);
      }
      const auto found = clients.find(message.peer);
      if (found != clients.end()) hear(found->second, message.frame);
    }
  }
  void sync() {
    while (core->wants_sync()) {
      auto work = core->take_work();
      DeadLetters::Written letters;
      ASSERT_TRUE(dead->write(work.new_dead_letters, *reader, letters));
      dead->written(letters.letters);
      const auto appended = *journal->append(work.batch);
      if (snapshot) {
        snapshot = false;
        // taken as the broker takes it: directly after the work, and written behind it
        ASSERT_TRUE(journal->put_snapshot(appended.end, core->snapshot()));
      }
      core->journalled(static_cast<uint32_t>(appended.segment), appended.base_offset, now);
      core->deliveries().dead_lettered(letters.keys(), letters.unread, letters.why, now);
    }
  }
  void turn() {
    for (int i = 0; i < 4; ++i) {
      exchange();
      sync();
    }
  }
  void hear(Client& client, const std::string& frame) {
    const auto event = client.link.receive(frame, now);
    if (event.kind == Link::Event::Refused || event.kind == Link::Event::Lost)
      client.refused = event.text.empty() ? "lost" : event.text;
    if (event.kind != Link::Event::Frame) return;
    const auto parse = [&event](auto message) {
      EXPECT_TRUE(message.ParseFromArray(event.body.data(), static_cast<int>(event.body.size())));
      return message;
    };
    if (event.field == Frame::kPublished) client.published.push_back(parse(Published()));
    if (event.field == Frame::kStale) client.stale.push_back(parse(Stale()));
    if (event.field == Frame::kBegunDurable) client.durable.push_back(parse(BegunDurable()));
    if (event.field == Frame::kDeliver) {
      const Deliver deliver = parse(Deliver());
      for (const auto& delivery : deliver.deliveries()) client.delivered.push_back(delivery);
    }
  }

  Signal signal(const std::string& type = "incident.detected", const std::string& title = "t",
                const std::string& body = {}) {
    Note note;
    note.set_title(title);
    note.set_body(body);
    Signal signal;
    signal.set_id(std::string(ulids.next(now.wall).view()));
    signal.set_type(type);
    signal.set_payload(note.SerializeAsString());
    return signal;
  }
  void publish(Client& client, const std::vector<Signal>& signals, uint64_t first = 0) {
    Publish publish;
    publish.set_first(first ? first : client.next);
    for (const auto& one : signals) publish.add_signals(one.SerializeAsString());
    client.next = publish.first() + signals.size();
    client.link.send(Frame::kPublish, publish.SerializeAsString());
  }
  void begin(Client& client, const std::string& channel, uint64_t delivery) {
    Begun begun;
    begun.set_channel(channel);
    begun.set_delivery(delivery);
    begun.mutable_part()->set_part(1);
    client.link.send(Frame::kBegun, begun.SerializeAsString());
    turn();
  }
  void settle(Client& client, const std::string& channel, uint64_t delivery, Outcome outcome,
              const std::string& cause = {}, const std::vector<Part>& parts = {}) {
    Settle settle;
    settle.set_channel(channel);
    auto* one = settle.add_settled();
    one->set_delivery(delivery);
    one->set_outcome(outcome);
    one->set_cause(cause);
    for (const Part& part : parts) *one->add_parts() = part;
    client.link.send(Frame::kSettle, settle.SerializeAsString());
    turn();
  }
  /// Part 1: neither begun nor done.
  static Part unsent() {
    Part part;
    part.set_part(1);
    return part;
  }
  /// Reads of the journal fail with this.
  static test::MemoryDisk::Failing reads_fail(int code) {
    return [code](test::Call call, const std::string& path) {
      return (call == test::Call::kOpen || call == test::Call::kRead) && path.starts_with("s/journal/") ? code : 0;
    };
  }
  /// `count` dead letters of discord.system with a text of `size` bytes each.
  void make_dead_letters(size_t count, size_t size) {
    auto& system = consumer("c", "discord.system", static_cast<uint32_t>(count));
    auto& producer = connect("p");
    for (size_t i = 0; i < count; ++i) {
      publish(producer, {signal("cron.output", "t", std::string(size, 'x'))});
      credit(system, "discord.system", 1);
    }
    while (!system.delivered.empty()) {
      settle(system, "discord.system", system.delivered.back().id(), GIVEN_UP, "no");
      system.delivered.pop_back();
    }
  }
  size_t open(const std::string& channel) {
    const auto found = core->deliveries().channels().find(channel);
    return found == core->deliveries().channels().end() ? 0 : found->second.open();
  }

  test::MemoryDisk disk;
  Config config =
      *parse_config("[telegram]\nchat = 1\n[discord.channels]\nalerts = \"2\"\nsystem = \"4\"\n", "test.toml");
  SignalValidator validator{SignalValidator::Mask{[](std::span<char> text) {
    const auto at = std::string_view(text.data(), text.size()).find("secret");
    if (at == std::string_view::npos) return false;
    std::fill_n(text.begin() + static_cast<ptrdiff_t>(at), 6, '*');
    return true;
  }}};
  Core::Options options;
  std::unique_ptr<IdWindow> ids;
  std::unique_ptr<Core> core;
  std::unique_ptr<Journal> journal;
  std::unique_ptr<DeadLetters> dead;
  std::unique_ptr<JournalReader> reader;
  std::map<std::string, Client> clients;
  UlidSource ulids{3};
  Now now{Millis{1'000'000}, Millis{1'795'000'000'000}};
  bool snapshot = false;
};

}  // namespace detent
