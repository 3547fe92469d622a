// What plays a broker over real sockets where the real one (tests/running) would not do what a client must bear: stay
// silent, refuse every HELLO, give an answer that a test has made up, or tell what came over the wire.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "bus/router_socket.h"
#include "proto/frame.h"
#include "proto/wire.pb.h"

namespace detent {

class ScriptedBroker {
 public:
  struct Behaviour {
    bool silent = false;                                      // takes frames and answers nothing
    std::string refuse_hello{};                               // the text of a refusal of every HELLO
    std::function<std::string(const std::string&)> answer{};  // of an AdminRequest
    size_t pings_first = 0;                                   // that come, one every 200 ms, before that answer
  };

  ScriptedBroker() : ScriptedBroker(Behaviour{}) {}
  explicit ScriptedBroker(Behaviour behaviour, const std::string& endpoint = "tcp://127.0.0.1:*")
      : behaviour_(std::move(behaviour)),
        socket_(endpoint),
        thread_([this](const std::stop_token& stop) { run(stop); }) {}
  ~ScriptedBroker() {
    thread_.request_stop();
    socket_.wake();
  }

  std::string endpoint() const { return socket_.endpoint(); }
  std::vector<std::string> published() const {
    const std::lock_guard lock(mutex_);
    return published_;
  }

 private:
  struct Session {
    uint64_t id = 0, sent = 0, received = 0, expected = 1;
    std::string answer{};  // waits for `pings` more
    size_t pings = 0;
  };

  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      socket_.wait(Millis{1000});
      socket_.receive(256, 1 << 22, [this](std::string_view peer, std::span<char> message) {
        const std::lock_guard lock(mutex_);
        FrameView frame;
        if (open_frame({message.data(), message.size()}, frame)) take(std::string(peer), frame);
      });
    }
  }

  void take(const std::string& peer, const FrameView& frame) {
    if (frame.field == Frame::kHello) return greet(peer, frame.body);
    const auto found = sessions_.find(peer);
    if (found == sessions_.end() || found->second.id != frame.session) {
      Refused refused;
      refused.set_reason(NO_SESSION);
      refused.set_text("no such session: say HELLO");
      socket_.send(peer, seal(frame.session, 0, Frame::kRefused, refused.SerializeAsString()));
      return;
    }
    if (behaviour_.silent) return;
    Session& session = found->second;
    const std::string body(frame.body);
    if (frame.field == Frame::kPublish) {
      Publish publish;
      publish.ParseFromString(body);
      Published answer;
      for (int i = 0; i < publish.signals_size(); ++i) {
        if (publish.first() + i != session.expected) continue;
        published_.push_back(publish.signals(i));
        ++session.expected;
      }
      answer.set_upto(session.expected - 1);
      answer.set_durability(JOURNALED);
      send(peer, session, Frame::kPublished, answer.SerializeAsString());
    } else if (frame.field == Frame::kPing) {
      send(peer, session, Frame::kPong, {});
      if (session.pings && --session.pings == 0) send(peer, session, Frame::kAdminReply, session.answer);
    } else if (frame.field == Frame::kAdminRequest) {
      AdminRequest ask;
      ask.ParseFromString(body);
      AdminReply answer;
      answer.set_request(ask.request());
      answer.set_json(behaviour_.answer ? behaviour_.answer(ask.json()) : "{}");
      session.answer = answer.SerializeAsString();
      session.pings = behaviour_.pings_first;
      if (!session.pings) send(peer, session, Frame::kAdminReply, session.answer);
    }
  }

  void greet(const std::string& peer, std::string_view body) {
    Hello hello;
    hello.ParseFromArray(body.data(), static_cast<int>(body.size()));
    if (!behaviour_.refuse_hello.empty()) {
      Refused refused;
      refused.set_reason(VERSION);
      refused.set_text(behaviour_.refuse_hello);
      socket_.send(peer, seal(0, 0, Frame::kRefused, refused.SerializeAsString()));
      return;
    }
    Session& session = sessions_[peer];
    session = {.id = ++last_session_};
    Welcome welcome;
    welcome.set_version(kProtocolVersion);
    welcome.set_session(session.id);
    welcome.set_greeting(hello.greeting());
    welcome.set_broker("small");
    welcome.set_ping_ms(200);
    socket_.send(peer, seal(session.id, 0, Frame::kWelcome, welcome.SerializeAsString()));
  }

  void send(const std::string& peer, Session& session, uint32_t field, const std::string& body) {
    socket_.send(peer, seal(session.id, ++session.sent, field, body));
  }

  Behaviour behaviour_;
  mutable std::mutex mutex_;
  std::vector<std::string> published_;
  std::map<std::string, Session> sessions_;
  uint64_t last_session_ = 0;
  RouterSocket socket_;
  std::jthread thread_;
};

}  // namespace detent
