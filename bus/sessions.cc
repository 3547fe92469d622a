#include "bus/sessions.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <random>
#include <utility>

#include "proto/wire.pb.h"

namespace detent {

namespace {
constexpr uint32_t kMaxStrikes = 8;    // frames refused, after which a peer is not listened to any more
constexpr size_t kMaxStrikers = 4096;  // peers whose strikes are remembered
}  // namespace

Sessions::Sessions(Options options, Rules rules, uint64_t seed)
    : options_(std::move(options)),
      rules_(std::move(rules)),
      // A session's number says nothing to a server that came after: each starts at a place of its own.
      next_id_((std::mt19937_64(seed)() >> 16) | 1) {}

Session* Sessions::find(uint64_t id) {
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? nullptr : found->second.get();
}

const Session* Sessions::find(uint64_t id) const {
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? nullptr : found->second.get();
}

Session* Sessions::of_peer(std::string_view peer) {
  const auto found = by_peer_.find(peer);
  return found == by_peer_.end() ? nullptr : find(found->second);
}

std::vector<const Session*> Sessions::list() const {
  std::vector<const Session*> all;
  for (const auto& [id, session] : sessions_) all.push_back(session.get());
  std::sort(all.begin(), all.end(), [](const auto* a, const auto* b) { return a->id < b->id; });
  return all;
}

uint32_t Sessions::unanswered_pings(uint64_t id) const {
  const Session* session = find(id);
  return session ? session->unanswered_pings : 0;
}

// ---- what goes out

void Sessions::send(uint64_t id, uint32_t field, std::string_view body) {
  if (Session* session = find(id)) rules_.send(session->peer, seal(id, ++session->sent, field, body));
}

void Sessions::ping(uint64_t id) {
  if (Session* session = find(id)) ++session->unanswered_pings;
  send(id, Frame::kPing, {});
}

void Sessions::refuse(std::string_view peer, uint64_t session, int reason, std::string_view text) {
  Refused refused;
  refused.set_reason(static_cast<Reason>(reason));
  refused.set_text(std::string(text));
  if (reason == VERSION) refused.add_versions(kProtocolVersion);
  rules_.send(std::string(peer), seal(session, 0, Frame::kRefused, refused.SerializeAsString()));
}

void Sessions::malformed(const Session& session, std::string_view text, Now now) {
  turn_away(session.peer, &session, MALFORMED, text, now);
}

void Sessions::not_allowed(const Session& session, std::string_view text, Now now) {
  turn_away(session.peer, &session, NOT_ALLOWED, text, now);
}

void Sessions::turn_away(std::string_view peer, const Session* session, int reason, std::string_view text, Now now) {
  ++(reason == NOT_ALLOWED ? counters_.not_allowed : reason == TOO_LARGE ? counters_.too_large : counters_.malformed);
  const uint32_t strikes = ++strikes_[std::string(peer)];
  if (strikes == kMaxStrikes)
    spdlog::warn("a peer sent {} frames that were refused, and is not listened to any more: {}", strikes, text);
  if (strikes_.size() > kMaxStrikers) strikes_.clear();
  if (session) {
    end(session->id, reason, text, now);
  } else if (strikes <= kMaxStrikes) {
    refuse(peer, 0, reason, text);
  }
}

// ---- what comes in

std::optional<Sessions::Received> Sessions::receive(std::string_view peer, std::span<char> message, Now now) {
  if (const auto strikes = strikes_.find(peer); strikes != strikes_.end() && strikes->second >= kMaxStrikes) {
    ++counters_.malformed;
    return {};
  }
  if (message.size() > kMaxFrame) {
    turn_away(peer, of_peer(peer), TOO_LARGE,
              fmt::format("a message of {} bytes, over the limit of {}", message.size(), kMaxFrame), now);
    return {};
  }
  FrameView frame;
  if (!open_frame({message.data(), message.size()}, frame)) {
    turn_away(peer, of_peer(peer), MALFORMED, "the message is not a Frame of detent's wire.proto", now);
    return {};
  }
  if (frame.field == Frame::kHello) {
    greet(peer, frame.body, now);
    return {};
  }
  Session* session = find(frame.session);
  if (!session || session->peer != peer) {
    refuse(peer, frame.session, NO_SESSION, "no such session: say HELLO");
    return {};
  }
  session->last_heard = now.mono;
  if (frame.number <= session->received) return {};  // seen before
  if (frame.number != session->received + 1) {
    ++counters_.gaps;
    end(session->id, GAP, fmt::format("frame {} came after {}: frames were lost", frame.number, session->received),
        now);
    return {};
  }
  session->received = frame.number;
  if (!rules_.may_send(session->role, frame.field)) {
    const auto* kind = Frame::descriptor()->FindFieldByNumber(static_cast<int>(frame.field));
    not_allowed(
        *session,
        fmt::format("a session of role {} may not send {}", Hello::Role_Name(static_cast<Hello::Role>(session->role)),
                    kind ? kind->name() : fmt::format("frame kind {}", frame.field)),
        now);
    return {};
  }
  if (const auto why = rules_.check(frame.field, frame.body)) {
    malformed(*session, *why, now);
    return {};
  }
  switch (frame.field) {
    case Frame::kPing:
      send(session->id, Frame::kPong, {});
      return {};
    case Frame::kPong:
      if (session->unanswered_pings) --session->unanswered_pings;
      return {};
    case Frame::kBye:
      session->leaving = true;
      break;
    default:
      break;
  }
  return Received{*session, frame.field, frame.body};
}

void Sessions::greet(std::string_view peer, std::string_view body, Now now) {
  const auto no = [&](int reason, std::string_view text) {
    ++counters_.refused;
    refuse(peer, 0, reason, text);
  };
  Hello hello;
  const auto why = rules_.check(Frame::kHello, body);
  if (why || !hello.ParseFromArray(body.data(), static_cast<int>(body.size())))
    return turn_away(peer, nullptr, MALFORMED, why ? *why : "HELLO cannot be read", now);
  if (std::find(hello.versions().begin(), hello.versions().end(), kProtocolVersion) == hello.versions().end())
    return no(VERSION, fmt::format("no protocol version in common: this server speaks {}", kProtocolVersion));
  if (!Hello::Role_IsValid(hello.role())) return turn_away(peer, nullptr, MALFORMED, "HELLO has an unknown role", now);
  if (draining_) return no(SHUTTING_DOWN, "the server is stopping");
  std::vector<std::string> channels(hello.channels().begin(), hello.channels().end());
  if (const auto refusal = rules_.may_open(hello.role(), channels); refusal.reason)
    return no(refusal.reason, refusal.text);

  Session* session = nullptr;
  for (const auto& [id, other] : sessions_) {
    if (hello.instance() && other->instance == hello.instance()) session = other.get();
  }
  if (!session) session = of_peer(peer);
  const bool is_repeated = session && session->peer == peer && session->greeting == hello.greeting();
  if (session && !is_repeated) end(session->id, REPLACED, "a new session took its place", now);
  if (!is_repeated) {
    if (sessions_.size() >= options_.max_sessions)
      return no(BUSY, fmt::format("there are {} sessions, the limit", sessions_.size()));
    auto fresh = std::make_unique<Session>();
    fresh->id = next_id_++;
    fresh->peer = peer;
    fresh->name = hello.name();
    fresh->role = hello.role();
    fresh->channels = std::move(channels);
    fresh->instance = hello.instance();
    fresh->greeting = hello.greeting();
    fresh->last_heard = fresh->last_ping = now.mono;
    session = fresh.get();
    by_peer_.insert_or_assign(std::string(peer), session->id);
    sessions_.emplace(session->id, std::move(fresh));
    rules_.opened(*session);
  }
  Welcome welcome;
  welcome.set_version(kProtocolVersion);
  welcome.set_session(session->id);
  welcome.set_broker(options_.server);
  welcome.set_ping_ms(static_cast<uint32_t>(options_.ping_every.count()));
  welcome.set_max_frame(kMaxFrame);
  welcome.set_max_signal(kMaxSignal);
  welcome.set_max_signals(kMaxSignals);
  welcome.set_greeting(hello.greeting());
  rules_.send(session->peer, seal(session->id, 0, Frame::kWelcome, welcome.SerializeAsString()));
}

// ---- its end

void Sessions::end(uint64_t id, int reason, std::string_view text, Now now) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  const auto session = std::move(found->second);
  sessions_.erase(found);
  if (const auto peer = by_peer_.find(session->peer); peer != by_peer_.end() && peer->second == id)
    by_peer_.erase(peer);
  if (reason) refuse(session->peer, id, reason, text);
  rules_.ended(*session, now);
}

void Sessions::finish(uint64_t id, Now now) {
  send(id, Frame::kByeDone, {});
  end(id, 0, {}, now);
}

void Sessions::gone(std::string_view peer, Now now) {
  if (const auto strikes = strikes_.find(peer); strikes != strikes_.end()) strikes_.erase(strikes);
  if (const Session* session = of_peer(peer)) end(session->id, 0, {}, now);
}

void Sessions::tick(Now now) {
  // Where the server itself was away (stopped, or waiting for its disk), nobody was silent for that long.
  if (const Millis away = now.mono - last_tick_; last_tick_.count() && away > options_.ping_every) {
    for (const auto& [id, session] : sessions_) session->last_heard = std::min(now.mono, session->last_heard + away);
  }
  last_tick_ = now.mono;
  std::vector<uint64_t> silent, quiet;
  for (const auto& [id, session] : sessions_) {
    const Millis unheard = now.mono - session->last_heard;
    if (unheard >= 3 * options_.ping_every) {
      silent.push_back(id);
    } else if (unheard >= options_.ping_every && now.mono - session->last_ping >= options_.ping_every) {
      session->last_ping = now.mono;
      quiet.push_back(id);
    }
  }
  std::sort(quiet.begin(), quiet.end());
  for (const uint64_t id : quiet) ping(id);
  std::sort(silent.begin(), silent.end());
  for (const uint64_t id : silent) end(id, NO_SESSION, "nothing was heard of it for too long", now);
}

}  // namespace detent
