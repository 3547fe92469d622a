#include "bus/link.h"

#include <algorithm>

#include "base/backoff.h"
#include "proto/wire.pb.h"

namespace detent {

namespace {
constexpr Backoff kGreeting{Millis{250}, Millis{5000}};
constexpr size_t kMaxSpare = 64;              // messages, each of at most …
constexpr size_t kLargestSpare = 512 * 1024;  // … so many bytes
}  // namespace

Link::Link(Options options, uint64_t seed) : options_(std::move(options)), random_(seed), greeting_(random_()) {}

void Link::greet(Now now) {
  Hello hello;
  hello.add_versions(kProtocolVersion);
  hello.set_name(options_.name);
  hello.set_role(static_cast<Hello::Role>(options_.role));
  for (const auto& channel : options_.channels) hello.add_channels(channel);
  hello.set_instance(options_.instance);
  hello.set_greeting(greeting_);
  outgoing.clear();  // an earlier greeting that could not leave
  outgoing.push_back(seal(0, 0, Frame::kHello, hello.SerializeAsString()));
  next_greeting_ = now.mono + kGreeting.after(++greetings_, random_);
}

Link::Event Link::lose(Now now) {
  const bool was_open = is_open();
  session_ = 0;
  outgoing.clear();
  next_greeting_ = now.mono;
  greetings_ = 0;
  greeting_ = random_();
  return {was_open ? Event::Lost : Event::None};
}

void Link::send(uint32_t field, std::string_view body) { begin(field, body.size()).append(body); }

std::string& Link::begin(uint32_t field, size_t size) {
  auto& message = outgoing.emplace_back();
  if (!spare_.empty()) {
    message = std::move(spare_.back());
    spare_.pop_back();
  }
  message.reserve(size + 32);
  seal_head(message, session_, ++sent_, field, size);
  return message;
}

void Link::reuse(std::string message) {
  if (spare_.size() >= kMaxSpare || message.capacity() > kLargestSpare) return;
  message.clear();
  spare_.push_back(std::move(message));
}

Link::Event Link::receive(std::string_view message, Now now) {
  FrameView frame;
  if (!open_frame(message, frame)) return {};  // from no broker of ours
  if (frame.field == Frame::kWelcome) {
    Welcome welcome;
    if (is_open() || !welcome.ParseFromArray(frame.body.data(), static_cast<int>(frame.body.size()))) return {};
    if (welcome.version() != kProtocolVersion || welcome.session() == 0) return {};
    if (welcome.greeting() != greeting_)
      return {};  // answers an earlier asking; its session's frames are numbered already
    session_ = welcome.session();
    sent_ = received_ = 0;
    greetings_ = 0;
    refusal_.clear();
    outgoing.clear();
    ping_every_ = Millis{std::max<uint32_t>(welcome.ping_ms(), 1)};
    last_sent_ = last_heard_ = now.mono;
    return {Event::Opened};
  }
  if (frame.field == Frame::kRefused) {
    Refused refused;
    if (!refused.ParseFromArray(frame.body.data(), static_cast<int>(frame.body.size()))) return {};
    if (frame.session != session_) return {};  // speaks of a session before this one
    if (!is_open()) {
      refusal_ = refused.text();
      return {Event::Refused, 0, {}, refused.text()};
    }
    Event lost = lose(now);
    lost.text = refused.text();
    return lost;
  }
  if (!is_open() || frame.session != session_ || frame.number <= received_) return {};
  last_heard_ = now.mono;
  if (frame.number != received_ + 1) return lose(now);
  received_ = frame.number;
  if (frame.field == Frame::kPing) {
    send(Frame::kPong, {});
    return {};
  }
  if (frame.field == Frame::kPong) return {};
  return {Event::Frame, frame.field, frame.body};
}

Link::Event Link::tick(Now now) {
  // Where this process was stopped, the broker was not silent for that long: what it sent is still to be read.
  if (const Millis away = now.mono - last_tick_; away > 2 * ping_every_)
    last_heard_ = std::min(now.mono, last_heard_ + away);
  last_tick_ = now.mono;
  if (!is_open()) {
    if (now.mono >= next_greeting_) greet(now);
    return {};
  }
  if (!outgoing.empty()) last_sent_ = now.mono;
  if (now.mono - last_heard_ >= 3 * ping_every_) return lose(now);
  if (now.mono - last_sent_ >= ping_every_) {
    send(Frame::kPing, {});
    last_sent_ = now.mono;
  }
  return {};
}

Millis Link::deadline() const {
  return is_open() ? std::min(last_sent_ + ping_every_, last_heard_ + 3 * ping_every_) : next_greeting_;
}

}  // namespace detent
