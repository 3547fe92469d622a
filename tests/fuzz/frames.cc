// Peers that send anything at any time: the core goes on, answers in frames that can be opened, keeps its credit
// straight, and what it journals is what a restart takes up.
#include <spdlog/spdlog.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "broker/core.h"
#include "broker/dead_letters.h"
#include "broker/records.h"
#include "proto/wire.pb.h"
#include "tests/support/memory_disk.h"

using namespace detent;

namespace {

struct World {
  World() {
    config = *parse_config("[telegram]\nchat = 1\n[discord.channels]\nalerts = \"1\"\n", "detent.toml");
    start();
  }

  void start() {
    ids = std::make_unique<IdWindow>(IdFiles::open(disk, "s/ids").value());
    Core::Options options;
    options.channels = config.channels();
    options.max_sessions = 3;
    core = std::make_unique<Core>(options, Router::compile(config).value(), validator, *ids, 1);
    JournalVisitor visitor;
    visitor.record = [&](const RecordPosition& place, std::string_view bytes, bool after) {
      core->replay(bytes, place, after);
    };
    visitor.damage = [](const Damage&) { CHECK(false, "what was written can be read"); };
    journal = Journal::open(disk, "s/journal", small, visitor).value();
    dead = DeadLetters::open(disk, "s/dead", *core, visitor.damage).value();
    reader = journal->reader();
    core->recovered(now);
  }

  void sync() {
    while (core->wants_sync()) {
      auto work = core->take_work();
      DeadLetters::Written letters;
      CHECK(dead->write(work.new_dead_letters, *reader, letters), "the disk in memory takes them");
      dead->written(letters.letters);
      const auto appended = journal->append(work.batch).value();
      core->journalled(static_cast<uint32_t>(appended.segment), appended.base_offset, now);
      core->deliveries().dead_lettered(letters.keys(), letters.unread, letters.why, now);
    }
  }

  void hear() {
    core->flush(now);
    for (auto& message : core->outgoing) {
      Unread unread;
      if (message.deliver) message.frame = deliver_frame(*message.deliver, *reader, unread);
      if (message.deliver) core->deliveries().bodies_read(*message.deliver, unread, now);
      FrameView frame;
      CHECK(open_frame(message.frame, frame), "what leaves is a frame");
      Welcome welcome;
      if (frame.field == Frame::kWelcome &&
          welcome.ParseFromArray(frame.body.data(), static_cast<int>(frame.body.size())))
        sessions[message.peer] = {welcome.session(), 0};
    }
    core->outgoing.clear();
    core->admin_calls.clear();
    core->tail_changes.clear();
    core->admission().local_done.clear();
    CHECK(core->deliveries().credit_is_sound(), "no credit below nothing");
  }

  struct Session {
    uint64_t id = 0, sent = 0;
  };
  Config config;
  JournalOptions small{.segment_bytes = 1 << 16, .spares = 0, .reserve_bytes = 0, .low_water = 0};
  test::MemoryDisk disk;
  SignalValidator validator{nullptr};
  std::unique_ptr<IdWindow> ids;
  std::unique_ptr<Core> core;
  std::unique_ptr<Journal> journal;
  std::unique_ptr<DeadLetters> dead;
  std::unique_ptr<JournalReader> reader;
  std::map<std::string, Session> sessions;
  Now now{Millis{1'000'000}, Millis{1'000}};
};

}  // namespace

// The input is a list of steps: what, peer, size (2 bytes), and that many bytes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  spdlog::set_level(spdlog::level::off);
  World world;
  for (std::size_t at = 0; at + 4 <= size;) {
    const std::uint8_t what = data[at];
    const std::string peer(1, static_cast<char>('a' + data[at + 1] % 4));
    const std::size_t length = std::min<std::size_t>(data[at + 2] | data[at + 3] << 8, size - at - 4);
    std::string bytes(reinterpret_cast<const char*>(data) + at + 4, length);
    at += 4 + length;
    switch (what % 8) {
      case 0:
        world.core->receive(peer, bytes, world.now);
        break;
      case 1:
        world.sync();
        break;
      case 2:
        world.now.mono += Millis{data[at - 1] * 40};
        world.now.wall += Millis{data[at - 1] * 40};
        if (world.now.mono >= world.core->deadline()) world.core->tick(world.now);
        break;
      case 3:
        world.core->gone(peer, world.now);
        break;
      default: {  // a frame as the protocol has it, but for its body
        auto& session = world.sessions[peer];
        constexpr uint32_t kFields[] = {Frame::kHello, Frame::kPublish,      Frame::kCredit,
                                        Frame::kBegun, Frame::kSettle,       Frame::kPing,
                                        Frame::kBye,   Frame::kAdminRequest, Frame::kTail};
        const uint32_t field = kFields[what / 8 % std::size(kFields)];
        const bool hello = field == Frame::kHello;
        auto message = seal(hello ? 0 : session.id, hello ? 0 : ++session.sent, field, bytes);
        world.core->receive(peer, message, world.now);
      }
    }
    world.hear();
  }
  world.sync();
  world.hear();
  std::map<std::string, size_t> open;
  for (const auto& [name, channel] : world.core->deliveries().channels()) open[name] = channel.open();
  world.reader.reset();
  world.dead.reset();
  world.journal.reset();
  world.disk.kill();
  world.start();
  for (const auto& [name, channel] : world.core->deliveries().channels()) {
    CHECK(channel.open() == open[name], "a restart finds what was open");
  }
  return 0;
}
