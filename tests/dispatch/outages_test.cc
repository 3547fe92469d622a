#include "dispatch/outages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bus/sessions.h"
#include "dispatch/silence_signal.h"
#include "proto/signal.pb.h"
#include "proto/task.pb.h"
#include "proto/wire.pb.h"
#include "tests/dispatch/alone.h"

namespace detent::test {

namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr Now kStart{1h, Millis{1'795'342'030'000}};
const char* const kBackup = "[[expect]]\nsource = \"backup\"\nevery = \"10m\"\ngrace = \"5m\"\n";

Outages& outages(Alone& alone) { return const_cast<Outages&>(alone->outages()); }

/// The broker's end of the link on which the dispatcher listens.
class Stage {
 public:
  explicit Stage(Alone& alone)
      : alone_(alone),
        sessions_(
            {},
            {.may_send = [](int, uint32_t) { return true; },
             .may_open = [](int, const std::vector<std::string>&) { return Sessions::Refusal{}; },
             .check = [](uint32_t, std::string_view) { return std::optional<std::string>(); },
             .send = [this](const std::string& peer, std::string frame) { alone_.arrive(peer, std::move(frame)); },
             .opened = [this](const Session& session) { session_ = session.id; },
             .ended = [](const Session&, Now) {}},
            1) {
    alone.sent = [this](std::string_view peer, std::string_view message) {
      if (peer != Listener::kPeer) return;
      std::string bytes(message);
      const auto received = sessions_.receive(peer, bytes, alone_.now());
      if (received && received->field == Frame::kTail)
        asked_.ParseFromArray(received->body.data(), static_cast<int>(received->body.size()));
    };
  }
  ~Stage() { alone_.sent = nullptr; }

  const Tail& asked() const { return asked_; }
  void say(const std::string& type, const std::string& source, int64_t interval = 0) {
    Heartbeat beat;
    beat.set_interval_s(interval);
    Signal signal;
    signal.set_type(type);
    signal.set_source(source);
    signal.set_payload(beat.SerializeAsString());
    Tailed tailed;
    tailed.add_signals()->set_signal(signal.SerializeAsString());
    sessions_.send(session_, Frame::kTailed, tailed.SerializeAsString());
    alone_.pass(1s);
  }

 private:
  Alone& alone_;
  Sessions sessions_;
  uint64_t session_ = 0;
  Tail asked_;
};

std::vector<std::string> silent(const std::vector<Liveness::View>& views) {
  std::vector<std::string> names;
  for (const auto& view : views) {
    if (view.silent_since > Millis{0}) names.push_back(view.name);
  }
  return names;
}

}  // namespace

TEST(Outages, HeartbeatsAreHeardAndWhatElseTheExpectedSay) {
  Alone alone(kBackup, kStart);
  Stage stage(alone);
  EXPECT_FALSE(alone->outages().is_listening());
  alone.pass(1s);
  EXPECT_TRUE(alone->outages().is_listening());
  EXPECT_EQ(stage.asked().type(), "heartbeat.ok");
  EXPECT_THAT(stage.asked().also_from(), ElementsAre("backup"));
  stage.say("heartbeat.ok", "one", 300);
  stage.say("heartbeat.ok", "two");
  stage.say("cron.output", "three", 300);  // only a heartbeat declares an interval
  stage.say("cron.output", "backup");
  const auto sources = alone->outages().sources();
  ASSERT_EQ(sources.size(), 2u);
  EXPECT_EQ(sources[0].name, "backup");
  EXPECT_GT(sources[0].last_heard, kStart.wall);
  EXPECT_EQ(sources[1].name, "one");
  EXPECT_EQ(sources[1].every, 5min);
}

TEST(Outages, ASourceThatIsNotHeardIsSilentOnceAndARestartKeepsIt) {
  Alone alone(kBackup, kStart);
  {
    Stage stage(alone);
    alone.pass(14min);
    EXPECT_THAT(silent(alone->outages().sources()), IsEmpty());
    alone.pass(2min);
    EXPECT_THAT(silent(alone->outages().sources()), ElementsAre("backup"));
    EXPECT_FALSE(alone->outages().all_said()) << "no broker is there to take it";
  }
  alone.die(1min);
  alone.pass(1h);
  EXPECT_THAT(silent(alone->outages().sources()), ElementsAre("backup"));
  EXPECT_FALSE(alone->outages().all_said());
  alone.stop_and_start(1min);
  Stage stage(alone);
  alone.pass(1s);
  EXPECT_THAT(silent(alone->outages().sources()), ElementsAre("backup"));
  stage.say("cron.output", "backup");
  EXPECT_THAT(silent(alone->outages().sources()), IsEmpty());
}

TEST(Outages, WhileNobodyCanBeHeardNobodyFallsSilent) {
  Alone alone(kBackup, kStart);
  alone.pass(2h);
  EXPECT_THAT(silent(alone->outages().sources()), IsEmpty());
  Stage stage(alone);
  alone.pass(15min);
  EXPECT_THAT(silent(alone->outages().sources()), IsEmpty()) << "a whole interval from when it can be heard";
  alone.pass(1min);
  EXPECT_THAT(silent(alone->outages().sources()), ElementsAre("backup"));
}

TEST(Outages, AWorkerThatGoesWithoutAWordIsSilentAndOneThatDrainsIsNot) {
  Alone alone("", kStart);
  outages(alone).heard(Worker{.name = "one"}, alone.now());
  outages(alone).heard(Worker{.name = "two"}, alone.now());
  outages(alone).heard(Worker{.name = "two", .draining = true}, alone.now());
  alone.pass(1s);
  alone.die(1s);
  alone.pass(80s);
  EXPECT_THAT(silent(alone->outages().workers()), IsEmpty());
  alone.pass(20s);
  EXPECT_THAT(silent(alone->outages().workers()), ElementsAre("one"));
  EXPECT_FALSE(outages(alone).forget("two", alone.now()).has_value());
  EXPECT_TRUE(outages(alone).forget("one", alone.now()).has_value());
  EXPECT_THAT(alone->outages().workers(), IsEmpty());
}

TEST(Outages, WhomTheConfigExpectsIsExpectedByThatAlone) {
  Alone alone(kBackup, kStart);
  outages(alone).heard(Worker{.name = "backup"}, alone.now());
  EXPECT_THAT(alone->outages().workers(), IsEmpty());
  EXPECT_EQ(alone->outages().sources().at(0).last_heard, alone.now().wall);
  EXPECT_THAT(outages(alone).forget("backup", alone.now()).error().what, HasSubstr("[[expect]]"));
}

TEST(Outages, TheSameNoticeIsTheSameSignalAndItsEndIsInItsThread) {
  SignalBuilder builder;
  LivenessNotice notice;
  notice.set_kind(LivenessEvent::kSilent);
  notice.set_name("backup");
  notice.set_every_ms(600'000);
  notice.set_since_ms(1'795'342'000'000);
  notice.set_at_ms(1'795'342'030'000);
  const auto first = silence_signal(notice, builder), again = silence_signal(notice, builder);
  EXPECT_EQ(first->signal, again->signal);
  Signal outage, end;
  outage.ParseFromString(first->signal);
  EXPECT_EQ(outage.type(), "service.outage");
  notice.set_kind(LivenessEvent::kHeardAgain);
  end.ParseFromString(silence_signal(notice, builder)->signal);
  EXPECT_EQ(end.type(), "service.restored");
  EXPECT_EQ(end.thread(), outage.thread());
  EXPECT_NE(end.id(), outage.id());
  notice.set_name(std::string(128, 'n'));
  EXPECT_TRUE(silence_signal(notice, builder).has_value());
}

}  // namespace detent::test
