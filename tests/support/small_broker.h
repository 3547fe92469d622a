// A broker small enough to see through: it speaks the protocol over real sockets, keeps what is published in memory and
// does as the test tells it.
#pragma once

#include <condition_variable>
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

class SmallBroker {
 public:
  struct Behaviour {
    bool silent = false;                                      // takes frames and answers nothing
    std::string refuse_hello{};                               // the text of a refusal of every HELLO
    std::string refuse_signals{};                             // refuses every signal for good with this text
    std::function<std::string(const std::string&)> answer{};  // of an Ask; throw std::string for an error
    size_t pings_first = 0;                                   // that come, one every 200 ms, before that answer
    std::vector<TailedSignal> tail{};                         // what a Tail is answered with
  };

  SmallBroker() : SmallBroker(Behaviour{}) {}
  explicit SmallBroker(Behaviour behaviour, const std::string& endpoint = "tcp://127.0.0.1:*")
      : behaviour_(std::move(behaviour)),
        socket_(endpoint),
        thread_([this](const std::stop_token& stop) { run(stop); }) {}
  ~SmallBroker() {
    thread_.request_stop();
    socket_.wake();
  }

  std::string endpoint() const { return socket_.endpoint(); }
  std::vector<std::string> published() const {
    const std::lock_guard lock(mutex_);
    return published_;
  }
  /// Waits until `count` signals are there; false where they are not after `deadline`.
  bool wait_for(size_t count, Millis deadline) const {
    std::unique_lock lock(mutex_);
    return grown_.wait_for(lock, deadline, [&] { return published_.size() >= count; });
  }
  /// Forgets every session, as a restart would.
  void forget() {
    const std::lock_guard lock(mutex_);
    sessions_.clear();
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
        if (behaviour_.refuse_signals.empty()) {
          published_.push_back(publish.signals(i));
        } else {
          auto* refusal = answer.add_refusals();
          refusal->set_number(session.expected);
          refusal->set_reason(BAD_SIGNAL);
          refusal->set_text(behaviour_.refuse_signals);
        }
        ++session.expected;
      }
      grown_.notify_all();
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
      try {
        answer.set_json(behaviour_.answer ? behaviour_.answer(ask.json()) : "{}");
      } catch (const std::string& error) {
        answer.set_error(error);
      }
      session.answer = answer.SerializeAsString();
      session.pings = behaviour_.pings_first;
      if (!session.pings) send(peer, session, Frame::kAdminReply, session.answer);
    } else if (frame.field == Frame::kTail) {
      Tailed tailed;
      for (const auto& signal : behaviour_.tail) *tailed.add_signals() = signal;
      send(peer, session, Frame::kTailed, tailed.SerializeAsString());
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
  mutable std::condition_variable grown_;
  std::vector<std::string> published_;
  std::map<std::string, Session> sessions_;
  uint64_t last_session_ = 0;
  RouterSocket socket_;
  std::jthread thread_;
};

}  // namespace detent
