#include "broker/core.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/result.h"
#include "broker/core_state.h"
#include "proto/wire.pb.h"

namespace detent {

namespace {
constexpr size_t kMaxSpare = 4 << 20;  // bytes of a batch's memory that are kept to be filled again
constexpr uint32_t kMaxStrikes = 8;    // frames refused, after which a peer is not listened to any more

/// Whether a session of this role may send this kind of frame; docs/protocol.md has the table.
bool may_send(int role, uint32_t field) {
  switch (field) {
    case Frame::kPublish:
      return role == Hello::PRODUCER || role == Hello::ADMIN;
    case Frame::kCredit:
    case Frame::kBegun:
    case Frame::kSettle:
      return role == Hello::CONSUMER;
    case Frame::kAdminRequest:
    case Frame::kTail:
      return role == Hello::ADMIN;
    default:
      return true;
  }
}
}  // namespace

Core::Core(Options options, Router router, SignalValidator& validator, IdWindow& ids, uint64_t seed)
    : options_(std::move(options)),
      router_(std::move(router)),
      validator_(validator),
      ids_(ids),
      random_(seed),
      ulids_(seed ^ 0x9e3779b97f4a7c15),
      acks_(std::make_unique<Acks>()),
      restoring_(std::make_unique<Restoring>()) {
  // A session's number says nothing to a broker that came after: start at a place of our own.
  next_session_ = (random_() >> 16) | 1;
}

Core::~Core() = default;

Core::Session* Core::find_session(uint64_t id) {
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? nullptr : found->second.get();
}

Channel& Core::channel(std::string_view name) {
  const auto found = channels_.find(name);
  if (found != channels_.end()) return found->second;
  return channels_.emplace(std::string(name), Channel(std::string(name))).first->second;
}

Core::Consumers& Core::consumers(std::string_view name) {
  const auto found = consumers_.find(name);
  if (found != consumers_.end()) return found->second;
  return consumers_.emplace(std::string(name), Consumers{}).first->second;
}

// ---- sessions

void Core::send(uint64_t id, uint32_t field, std::string_view body) {
  Session* session = find_session(id);
  if (!session) return;
  outgoing.push_back({session->peer, seal(session->id, ++session->sent, field, body), nullptr});
}

void Core::ping(uint64_t id) {
  if (Session* session = find_session(id)) ++session->pings;
  send(id, Frame::kPing, {});
}

void Core::ping_consumers() {
  for (const auto& [id, session] : sessions_) {
    if (session->role == Hello::CONSUMER) ping(id);
  }
}

uint32_t Core::unanswered_pings(uint64_t id) {
  const Session* session = find_session(id);
  return session ? session->pings : 0;
}

void Core::refuse(std::string_view peer, uint64_t session, int reason, std::string_view text) {
  Refused refused;
  refused.set_reason(static_cast<Reason>(reason));
  refused.set_text(std::string(text));
  if (reason == VERSION) refused.add_versions(kProtocolVersion);
  outgoing.push_back({std::string(peer), seal(session, 0, Frame::kRefused, refused.SerializeAsString()), nullptr});
}

void Core::malformed(std::string_view peer, Session* session, std::string_view text, Now now) {
  ++counters_.malformed;
  turn_away(peer, session, MALFORMED, text, now);
}

void Core::not_allowed(Session& session, std::string_view text, Now now) {
  ++counters_.not_allowed;
  turn_away(session.peer, &session, NOT_ALLOWED, text, now);
}

void Core::turn_away(std::string_view peer, Session* session, int reason, std::string_view text, Now now) {
  const uint32_t strikes = ++strikes_[std::string(peer)];
  const uint64_t id = session ? session->id : 0;
  if (session) {
    end_session(id, reason, text, now);
  } else if (strikes <= kMaxStrikes) {
    refuse(peer, 0, reason, text);
  }
  if (strikes == kMaxStrikes)
    spdlog::warn("a peer sent {} frames that were refused, and is not listened to any more: {}", strikes, text);
  if (strikes_.size() > 4096) strikes_.clear();
}

void Core::receive(std::string_view peer, std::span<char> message, Now now) {
  if (const auto strikes = strikes_.find(peer); strikes != strikes_.end() && strikes->second >= kMaxStrikes) {
    ++counters_.malformed;
    return;
  }
  const auto its_session = [&] {
    const auto found = by_peer_.find(peer);
    return found == by_peer_.end() ? nullptr : find_session(found->second);
  };
  if (message.size() > kMaxFrame) {
    ++counters_.too_large;
    return turn_away(peer, its_session(), TOO_LARGE,
                     fmt::format("a message of {} bytes, over the limit of {}", message.size(), kMaxFrame), now);
  }
  FrameView frame;
  if (!open_frame({message.data(), message.size()}, frame)) {
    return malformed(peer, its_session(), "the message is not a Frame of detent's wire.proto", now);
  }
  if (frame.field == Frame::kHello) return on_hello(peer, frame.body, now);
  Session* session = find_session(frame.session);
  if (!session || session->peer != peer) return refuse(peer, frame.session, NO_SESSION, "no such session: say HELLO");
  session->last_heard = now.mono;
  if (frame.number <= session->received) return;  // seen before
  if (frame.number != session->received + 1) {
    ++counters_.gaps;
    return end_session(session->id, GAP,
                       fmt::format("frame {} came after {}: frames were lost", frame.number, session->received), now);
  }
  session->received = frame.number;
  if (!may_send(session->role, frame.field)) {
    return not_allowed(
        *session,
        fmt::format("a session of role {} may not send {}", Hello::Role_Name(static_cast<Hello::Role>(session->role)),
                    Frame::descriptor()->FindFieldByNumber(static_cast<int>(frame.field))->name()),
        now);
  }
  if (const auto why = validator_.check_frame(frame.field, frame.body)) return malformed(peer, session, *why, now);
  switch (frame.field) {
    case Frame::kPublish:
      return on_publish(*session, frame.body, now);
    case Frame::kCredit:
      return on_credit(*session, frame.body, now);
    case Frame::kBegun:
      return on_begun(*session, frame.body, now);
    case Frame::kSettle:
      return on_settle(*session, frame.body, now);
    case Frame::kTail:
      return on_tail(*session, frame.body, now);
    case Frame::kPing:
      return send(session->id, Frame::kPong, {});
    case Frame::kPong:
      if (session->pings) --session->pings;
      return;
    case Frame::kBye:
      session->leaving = true;
      acks_->byes.push_back(session->id);
      return;
    case Frame::kAdminRequest: {
      AdminRequest ask;
      if (!ask.ParseFromArray(frame.body.data(), static_cast<int>(frame.body.size()))) {
        return malformed(peer, session, "Ask cannot be read", now);
      }
      admin_calls.push_back({session->id, ask.request(), ask.json()});
      return;
    }
    default:
      return malformed(peer, session, fmt::format("a client may not send frame kind {}", frame.field), now);
  }
}

void Core::on_hello(std::string_view peer, std::string_view body, Now now) {
  if (const auto why = validator_.check_frame(Frame::kHello, body)) return malformed(peer, nullptr, *why, now);
  Hello hello;
  if (!hello.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return malformed(peer, nullptr, "HELLO cannot be read", now);
  }
  if (std::find(hello.versions().begin(), hello.versions().end(), kProtocolVersion) == hello.versions().end()) {
    ++counters_.refused;
    return refuse(peer, 0, VERSION,
                  fmt::format("no protocol version in common: this broker speaks {}", kProtocolVersion));
  }
  if (!Hello::Role_IsValid(hello.role())) return malformed(peer, nullptr, "HELLO has an unknown role", now);
  if (draining_) return refuse(peer, 0, SHUTTING_DOWN, "the broker is stopping");
  for (const auto& name : hello.channels()) {
    if (hello.role() == Hello::CONSUMER &&
        std::find(options_.channels.begin(), options_.channels.end(), name) == options_.channels.end()) {
      ++counters_.refused;
      return refuse(peer, 0, NOT_ALLOWED, fmt::format("channel \"{}\" is not configured at the broker", name));
    }
  }

  Session* session = nullptr;
  for (const auto& [id, other] : sessions_) {
    if (hello.instance() && other->instance == hello.instance()) session = other.get();
  }
  if (const auto before = by_peer_.find(peer); !session && before != by_peer_.end())
    session = find_session(before->second);
  const bool repeated = session && session->peer == peer && session->greeting == hello.greeting();
  if (session && !repeated) {
    end_session(session->id, REPLACED, "a new session took its place", now);
    session = nullptr;
  }
  if (!session && sessions_.size() >= options_.max_sessions) {
    ++counters_.refused;
    return refuse(peer, 0, BUSY, fmt::format("the broker has {} sessions, its limit", sessions_.size()));
  }
  if (!session) {
    auto fresh = std::make_unique<Session>();
    fresh->id = next_session_++;
    fresh->peer = peer;
    fresh->name = hello.name();
    fresh->role = hello.role();
    fresh->instance = hello.instance();
    fresh->greeting = hello.greeting();
    fresh->last_heard = fresh->last_sent = now.mono;
    if (hello.role() == Hello::CONSUMER) {
      for (const auto& name : hello.channels()) {
        channel(name);
        auto& served = consumers(name);
        served.sessions.push_back(fresh->id);
        fresh->channels.push_back(name);
      }
    }
    session = fresh.get();
    by_peer_.insert_or_assign(std::string(peer), session->id);
    sessions_.emplace(session->id, std::move(fresh));
  }
  Welcome welcome;
  welcome.set_version(kProtocolVersion);
  welcome.set_session(session->id);
  welcome.set_broker(options_.broker);
  welcome.set_ping_ms(static_cast<uint32_t>(options_.ping_every.count()));
  welcome.set_max_frame(kMaxFrame);
  welcome.set_max_signal(kMaxSignal);
  welcome.set_max_signals(kMaxSignals);
  welcome.set_greeting(hello.greeting());
  outgoing.push_back({session->peer, seal(session->id, 0, Frame::kWelcome, welcome.SerializeAsString()), nullptr});
}

void Core::end_session(uint64_t id, int reason, std::string_view text, Now now) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  const auto session = std::move(found->second);
  sessions_.erase(found);
  if (const auto peer = by_peer_.find(session->peer); peer != by_peer_.end() && peer->second == id)
    by_peer_.erase(peer);
  if (reason) refuse(session->peer, id, reason, text);
  for (const auto& name : session->channels) {
    auto& served = consumers(name);
    std::erase(served.sessions, id);
    if (served.opened_by == id) {  // whoever serves it from here on looks anew
      served.circuit_open = false;
      served.opened_by = 0;
      served.why.clear();
    }
  }
  tail_changes.push_back({id, {}, {}, 0, true});
  for (const auto& [name, seqs] : session->under_way) {
    Channel& home = channel(name);
    consumers(name).under_way -= seqs.size();
    for (const uint64_t seq : seqs) {
      Open* open = home.find(seq);
      if (!open) continue;
      if (session->may_have_died_of(name, seq) && ++home.losses[seq] >= options_.max_losses) {
        dead_letter(home, *open, fmt::format("{} consumers died with it in hand", options_.max_losses), now);
      } else {
        home.put_back(seq, now.mono, now);
      }
    }
  }
}

void Core::gone(std::string_view peer, Now now) {
  strikes_.erase(std::string(peer));
  if (const auto found = by_peer_.find(peer); found != by_peer_.end()) end_session(found->second, 0, {}, now);
}

void Core::drain() { draining_ = true; }

void Core::reroute(Router router, std::vector<std::string> channels) {
  router_ = std::move(router);
  options_.channels = std::move(channels);
  terms_.clear();
}

void Core::tick(Now now) {
  std::vector<uint64_t> silent;
  for (const auto& [id, session] : sessions_) {
    if (now.mono - session->last_heard >= 3 * options_.ping_every) {
      silent.push_back(id);
    } else if (now.mono - session->last_heard >= options_.ping_every &&
               now.mono - session->last_sent >= options_.ping_every) {
      session->last_sent = now.mono;
      ping(id);
    }
  }
  std::sort(silent.begin(), silent.end());
  for (const uint64_t id : silent) end_session(id, NO_SESSION, "nothing was heard of it for too long", now);

  if (now.mono - last_sweep_.mono >= Millis{500}) {
    last_sweep_ = now;
    for (auto& entry : channels_) {
      Channel& home = entry.second;
      home.sweep(20'000, [&](Open& open) { expire(home, open, now); });
      enforce_backlog_limit(home, now);
    }
    check_ids(now);
    if (failing_.empty()) clear_alarm("journal-read", now);
  }
}

Millis Core::deadline() const {
  Millis soonest = last_sweep_.mono + Millis{500};
  for (const auto& [name, home] : channels_) {
    if (const auto due = home.due()) soonest = std::min(soonest, *due);
  }
  if (!letters_due_.empty()) soonest = std::min(soonest, letters_due_.begin()->first);
  return soonest;
}

void Core::flush(Now now) {
  for (auto& [name, home] : channels_) {
    home.wake_due(now);  // also where nobody can take them, or `deadline` would stay in the past
    if (home.has_ready()) pump(home, now);
  }
  while (!letters_due_.empty() && letters_due_.begin()->first <= now.mono) {
    const DeliveryKey key = std::move(letters_due_.begin()->second);
    letters_due_.erase(letters_due_.begin());
    Channel& home = channel(key.channel);
    write_letter(home, *home.find(key.seq), given_up_.at(key), now);
  }
}

// ---- what is made durable

bool Core::wants_sync() const {
  return !under_way_ && (!batch_.empty() || !new_dead_letters_.empty() || !acks_->empty());
}

Core::Work Core::take_work() {
  CHECK(!under_way_, "one write and sync at a time");
  under_way_ = true;
  acks_under_way_ = std::exchange(acks_, std::make_unique<Acks>());
  under_way_last_seq_ = next_seq_ - 1;
  Work work;
  work.batch = std::exchange(batch_, std::exchange(spare_batch_, Batch{}));
  work.new_dead_letters = std::exchange(new_dead_letters_, {});
  work.last_seq = under_way_last_seq_;
  return work;
}

void Core::reuse(Batch batch) {
  if (batch.capacity() > kMaxSpare || batch.capacity() <= spare_batch_.capacity()) return;
  batch.clear();
  spare_batch_ = std::move(batch);
}

void Core::journalled(uint32_t segment, uint32_t base, Now now) {
  CHECK(under_way_, "nothing was taken");
  under_way_ = false;
  for (auto& [name, home] : channels_) {
    if (const size_t count = home.journalled(under_way_last_seq_, segment, base)) {
      count_segment(segment, static_cast<int64_t>(count));
    }
  }
  const auto acks = std::move(acks_under_way_);
  for (const auto& answer : acks->published) {
    Published published;
    published.set_upto(answer.upto);
    published.set_durability(JOURNALED);
    for (const auto& refusal : answer.refusals) {
      auto* out = published.add_refusals();
      out->set_number(refusal.number);
      out->set_id(refusal.id);
      out->set_reason(static_cast<Reason>(refusal.fault.reason));
      out->set_text(refusal.fault.text);
    }
    if (answer.resume) {
      published.set_resume(answer.resume);
      published.set_retry_ms(250);
      published.set_reason(static_cast<Reason>(answer.reason));
      published.set_text(answer.text);
    }
    send(answer.session, Frame::kPublished, published.SerializeAsString());
  }
  for (const auto& begun : acks->begun) {
    BegunDurable durable;
    durable.set_channel(begun.channel);
    durable.set_delivery(begun.seq);
    durable.set_part(begun.part);
    send(begun.session, Frame::kBegunDurable, durable.SerializeAsString());
  }
  for (const auto& [call, json] : acks->answers) answer(call, json, {});
  for (auto& done : acks->local) local_done.push_back(std::move(done));
  for (const uint64_t session : acks->byes) {
    send(session, Frame::kByeDone, {});
    end_session(session, 0, {}, now);
  }
}

// ---- to look at

Core::ChannelHealth Core::health(std::string_view name) const {
  ChannelHealth health;
  if (const auto found = consumers_.find(name); found != consumers_.end()) {
    health.circuit_open = found->second.circuit_open;
    health.why = found->second.why;
    health.under_way = found->second.under_way;
    health.consumers = found->second.sessions.size();
    health.delivered = found->second.delivered;
    if (const auto home = channels_.find(name); home != channels_.end() && home->second.open()) {
      health.trouble = found->second.trouble;
      health.trouble_since_ms = found->second.trouble_since_ms;
    }
  }
  if (const auto found = dead_.find(name); found != dead_.end()) health.dead = found->second.size();
  return health;
}

std::vector<Core::SessionView> Core::sessions() const {
  std::vector<SessionView> all;
  for (const auto& [id, session] : sessions_) all.push_back({id, session->name, session->role, session->channels});
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return all;
}

std::set<uint32_t> Core::segments_in_use() const {
  std::set<uint32_t> used;
  for (const auto& [segment, count] : in_segment_) used.insert(segment);
  return used;
}

void Core::count_segment(uint32_t segment, int64_t change) {
  auto& count = in_segment_[segment];
  count += static_cast<uint64_t>(change);
  if (count == 0) in_segment_.erase(segment);
}

bool Core::credit_is_sound() const {
  for (const auto& [name, served] : consumers_) {
    uint64_t under_way = 0;
    for (const auto& [id, session] : sessions_) {
      if (const auto seqs = session->under_way.find(name); seqs != session->under_way.end())
        under_way += seqs->second.size();
    }
    if (under_way != served.under_way) return false;
  }
  for (const auto& [id, session] : sessions_) {
    for (const auto& [name, credit] : session->credit) {
      if (credit.count > (uint64_t{1} << 40) || credit.bytes > (uint64_t{1} << 50)) return false;  // went below zero
    }
  }
  return true;
}

void Core::answer(const AdminCall& call, std::string_view json, std::string_view error) {
  AdminReply answer;
  answer.set_request(call.ask);
  answer.set_json(std::string(json));
  answer.set_error(std::string(error));
  send(call.session, Frame::kAdminReply, answer.SerializeAsString());
}

void Core::reply_durable(const AdminCall& call, std::string json) {
  acks_->answers.emplace_back(call, std::move(json));
}

void Core::on_tail(Session& session, std::string_view body, Now now) {
  Tail tail;
  if (!tail.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return malformed(session.peer, &session, "Tail cannot be read", now);
  }
  tail_changes.push_back({session.id, tail.channel(), tail.type(), tail.since_ms(), tail.stop()});
}

}  // namespace detent
