#include "bus/sessions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "bus/link.h"
#include "proto/wire.pb.h"

namespace detent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

/// A server and its peers, which are Links, without a network between them: `exchange` carries what either side says.
class SessionsTest : public testing::Test {
 protected:
  SessionsTest() { serve({.server = "a server", .max_sessions = 3}); }

  void serve(Sessions::Options options) {
    server.emplace(std::move(options),
                   Sessions::Rules{
                       .may_send = [this](int, uint32_t field) { return field != forbidden; },
                       .may_open = [this](int, const std::vector<std::string>&) { return refusal; },
                       .check = [](uint32_t, std::string_view body) -> std::optional<std::string> {
                         if (body == "too long") return "a body that is too long";
                         return std::nullopt;
                       },
                       .send = [this](const std::string& peer,
                                      std::string frame) { on_the_way[peer].push_back(std::move(frame)); },
                       .opened = [this](const Session& session) { opened.push_back(session.name); },
                       .ended = [this](const Session& session, Now) { ended.push_back(session.name); },
                   },
                   1);
  }

  Link& link(const std::string& peer, uint64_t instance = 0) {
    Link::Options options{.name = peer, .instance = instance};
    return links.insert_or_assign(peer, Link(options, links.size() + 7)).first->second;
  }
  Link& connect(const std::string& peer, uint64_t instance = 0) {
    Link& one = link(peer, instance);
    exchange();
    return one;
  }

  void receive(const std::string& peer, std::string message) {
    const auto received = server->receive(peer, message, now);
    if (!received) return;
    heard.emplace_back(received->field, received->body);
    if (received->field == Frame::kBye) server->finish(received->session.id, now);
  }

  void exchange() {
    for (bool quiet = false; !quiet;) {
      quiet = true;
      for (auto& [peer, one] : links) {
        one.tick(now);
        for (auto& message : std::exchange(one.outgoing, {})) {
          quiet = false;
          receive(peer, message);
        }
        for (const auto& message : std::exchange(on_the_way[peer], {})) {
          const auto event = one.receive(message, now);
          if (event.kind == Link::Event::Frame) told.emplace_back(peer, event.field);
        }
      }
    }
  }

  /// What the server refused to a peer that has no Link.
  Refused refused(const std::string& peer) {
    Refused out;
    FrameView frame;
    if (on_the_way[peer].empty() || !open_frame(on_the_way[peer].back(), frame) || frame.field != Frame::kRefused)
      return out;
    out.ParseFromArray(frame.body.data(), static_cast<int>(frame.body.size()));
    return out;
  }

  void pass(Millis time) { now = {now.mono + time, now.wall + time}; }

  Now now{Millis{1000}, Millis{1'700'000'000'000}};
  uint32_t forbidden = Frame::kTail;
  Sessions::Refusal refusal;
  std::map<std::string, Link> links;
  std::map<std::string, std::vector<std::string>> on_the_way;
  std::vector<std::string> opened, ended;
  std::vector<std::pair<uint32_t, std::string>> heard;  // by the server's owner
  std::vector<std::pair<std::string, uint32_t>> told;   // frames of the server to peers
  std::optional<Sessions> server;
};

std::string hello(uint64_t greeting, uint64_t instance = 0, uint32_t version = kProtocolVersion) {
  Hello hello;
  hello.add_versions(version);
  hello.set_name("by hand");
  hello.set_greeting(greeting);
  hello.set_instance(instance);
  return seal(0, 0, Frame::kHello, hello.SerializeAsString());
}

TEST_F(SessionsTest, OpensASessionAndHandsOverWhatIsSaidInIt) {
  Link& one = connect("p");
  ASSERT_TRUE(one.is_open());
  one.send(Frame::kPublish, "signals");
  exchange();
  EXPECT_THAT(opened, ElementsAre("p"));
  EXPECT_THAT(heard, ElementsAre(Pair(Frame::kPublish, "signals")));
}

TEST_F(SessionsTest, AnswersARepeatedHelloWithTheSameSession) {
  receive("p", hello(5));
  receive("p", hello(5));
  ASSERT_THAT(on_the_way["p"], SizeIs(2));
  EXPECT_EQ(on_the_way["p"][0], on_the_way["p"][1]);
  EXPECT_THAT(opened, SizeIs(1));
}

TEST_F(SessionsTest, AHelloOfTheSamePeerBeginsAnewWhereItIsAnotherGreeting) {
  receive("p", hello(5));
  receive("p", hello(6));
  EXPECT_THAT(opened, SizeIs(2));
  EXPECT_THAT(ended, SizeIs(1));
  EXPECT_THAT(server->all(), SizeIs(1));
}

TEST_F(SessionsTest, AnInstanceThatComesFromElsewhereTakesItsSessionsPlace) {
  receive("p", hello(5, 77));
  receive("q", hello(6, 77));
  EXPECT_EQ(refused("p").reason(), REPLACED);
  ASSERT_THAT(server->all(), SizeIs(1));
  EXPECT_EQ(server->all().begin()->second->peer, "q");
}

TEST_F(SessionsTest, TakesThePlaceOfASessionAlsoWhereAllAreTaken) {
  for (int i = 0; i < 3; ++i) receive(std::to_string(i), hello(1, 70 + static_cast<uint64_t>(i)));
  receive("q", hello(6, 71));
  EXPECT_EQ(refused("1").reason(), REPLACED);
  EXPECT_EQ(refused("q").reason(), REASON_NONE);
}

TEST_F(SessionsTest, OpensNoMoreThanItsLimit) {
  for (const char* peer : {"a", "b", "c", "d"}) receive(peer, hello(1));
  EXPECT_EQ(refused("d").reason(), BUSY);
  EXPECT_EQ(server->counters().refused, 1u);
  server->gone("a", now);
  receive("e", hello(1));
  EXPECT_EQ(refused("e").reason(), REASON_NONE);
}

TEST_F(SessionsTest, RefusesAVersionItDoesNotSpeakAndSaysWhichItDoes) {
  receive("x", hello(1, 0, 99));
  EXPECT_EQ(refused("x").reason(), VERSION);
  EXPECT_THAT(refused("x").versions(), ElementsAre(kProtocolVersion));
}

TEST_F(SessionsTest, RefusesWhomItsOwnerWillNotHave) {
  refusal = {NOT_ALLOWED, "not you"};
  receive("x", hello(1));
  EXPECT_EQ(refused("x").reason(), NOT_ALLOWED);
  EXPECT_EQ(refused("x").text(), "not you");
  EXPECT_THAT(opened, IsEmpty());
}

TEST_F(SessionsTest, OpensNoneWhileItDrains) {
  Link& one = connect("p");
  server->drain();
  receive("x", hello(1));
  EXPECT_EQ(refused("x").reason(), SHUTTING_DOWN);
  one.send(Frame::kPublish, "to the end");
  exchange();
  EXPECT_THAT(heard, SizeIs(1));
}

TEST_F(SessionsTest, HandsOverAFrameThatCameTwiceOnce) {
  Link& one = connect("p");
  one.send(Frame::kPublish, "one");
  const std::string message = one.outgoing.back();
  exchange();
  receive("p", message);
  EXPECT_THAT(heard, SizeIs(1));
  EXPECT_THAT(ended, IsEmpty());
}

TEST_F(SessionsTest, EndsASessionOfWhichAFrameWasLost) {
  Link& one = connect("p");
  one.send(Frame::kPublish, "lost");
  one.outgoing.clear();
  one.send(Frame::kPublish, "after it");
  exchange();
  EXPECT_THAT(heard, IsEmpty());
  EXPECT_THAT(ended, SizeIs(1));
  EXPECT_EQ(server->counters().gaps, 1u);
  EXPECT_TRUE(one.is_open()) << "it asked for another";
}

TEST_F(SessionsTest, KnowsASessionByItsPeerToo) {
  connect("p");
  const uint64_t id = server->all().begin()->first;
  receive("q", seal(id, 1, Frame::kPublish, "of another"));
  EXPECT_EQ(refused("q").reason(), NO_SESSION);
  EXPECT_THAT(heard, IsEmpty());
}

TEST_F(SessionsTest, PingsAPeerThatIsQuietAndEndsOneThatIsSilent) {
  connect("p");
  pass(Millis{2000});
  server->tick(now);
  server->tick(now);
  EXPECT_EQ(server->all().begin()->second->unanswered_pings, 1u);
  exchange();
  EXPECT_EQ(server->all().begin()->second->unanswered_pings, 0u);
  links.clear();
  for (int i = 0; i < 5; ++i) {
    pass(Millis{1000});
    server->tick(now);
  }
  pass(Millis{999});
  server->tick(now);
  EXPECT_THAT(ended, IsEmpty());
  pass(Millis{1});
  server->tick(now);
  EXPECT_THAT(ended, ElementsAre("p"));
  EXPECT_EQ(refused("p").reason(), NO_SESSION);
}

TEST_F(SessionsTest, AServerThatWasAwayDoesNotTakeItsPeersForSilent) {
  Link& one = connect("p");
  server->tick(now);
  pass(Millis{600'000});
  server->tick(now);
  EXPECT_THAT(ended, IsEmpty());
  one.send(Frame::kPing, {});
  exchange();
  EXPECT_TRUE(one.is_open());
}

TEST_F(SessionsTest, AnswersAByeOnceItsOwnerIsDone) {
  Link& one = connect("p");
  one.send(Frame::kBye, {});
  exchange();
  EXPECT_THAT(told, ElementsAre(Pair("p", Frame::kByeDone)));
  EXPECT_THAT(ended, ElementsAre("p"));
}

TEST_F(SessionsTest, EndsASessionThatSendsWhatItMayNot) {
  Link& one = connect("p");
  one.send(Frame::kTail, {});
  exchange();
  EXPECT_THAT(ended, SizeIs(1));
  EXPECT_EQ(server->counters().not_allowed, 1u);
  EXPECT_THAT(heard, IsEmpty());
}

TEST_F(SessionsTest, EndsASessionWhoseFrameIsOverALimit) {
  Link& one = connect("p");
  one.send(Frame::kPublish, "too long");
  one.send(Frame::kPublish, "behind it");
  exchange();
  EXPECT_THAT(ended, SizeIs(1));
  EXPECT_EQ(server->counters().malformed, 1u);
  EXPECT_THAT(heard, IsEmpty());
}

TEST_F(SessionsTest, RefusesAMessageOverTheLimitBeforeLookingIntoIt) {
  connect("p");
  receive("p", std::string(kMaxFrame + 1, 'x'));
  EXPECT_THAT(refused("p").text(), HasSubstr("over the limit of"));
  EXPECT_THAT(ended, SizeIs(1));
  EXPECT_EQ(server->counters().too_large, 1u);
  EXPECT_EQ(server->counters().malformed, 0u);
}

TEST_F(SessionsTest, ListensNoMoreToAPeerThatGoesOnWithNonsense) {
  for (int i = 0; i < 50; ++i) receive("x", "nonsense");
  EXPECT_THAT(on_the_way["x"], SizeIs(8));
  EXPECT_EQ(server->counters().malformed, 50u);
  receive("x", hello(1));
  EXPECT_THAT(opened, IsEmpty());
  EXPECT_TRUE(connect("p").is_open());
}

TEST_F(SessionsTest, ListensAgainToAPeerThatConnectsAnew) {
  for (int i = 0; i < 50; ++i) receive("x", "nonsense");
  server->gone("x", now);
  receive("x", hello(1));
  EXPECT_THAT(opened, SizeIs(1));
}

TEST_F(SessionsTest, NumbersSessionsFromAPlaceOfItsOwn) {
  connect("p");
  const uint64_t id = server->all().begin()->first;
  receive("q", seal(id + 1, 1, Frame::kPublish, "of the server before"));
  EXPECT_EQ(refused("q").reason(), NO_SESSION);
  EXPECT_GT(id, uint64_t{1} << 20);
}

}  // namespace
}  // namespace detent
