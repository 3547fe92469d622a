#include "broker/core.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "base/result.h"
#include "proto/wire.pb.h"

namespace detent {

namespace {
constexpr size_t kMaxSpare = 4 << 20;  // bytes of a batch's memory that are kept to be filled again
constexpr Millis kSweep{500};

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
    : channels_(std::move(options.channels)),
      sessions_({options.broker, options.ping_every, options.max_sessions}, rules(validator), seed),
      alarms_(batch_, [this](const Notice& notice, Now now) { admission_.announce(notice, now); }),
      deliveries_(options.deliveries, sessions_, alarms_, validator, batch_, outgoing, counters_, seed),
      admission_(std::move(options.admission), std::move(router), validator, ids, sessions_, alarms_, deliveries_,
                 batch_, counters_, seed ^ 0x9e3779b97f4a7c15),
      recovery_(std::make_unique<CoreRecovery>(admission_, deliveries_, alarms_, ids)) {}

MissingSignals Core::recovered(Now now) {
  MissingSignals missing = recovery_->finish(now);
  recovery_.reset();
  last_sweep_ = now;
  return missing;
}

// ---- sessions

Sessions::Rules Core::rules(SignalValidator& validator) {
  return {
      .may_send = may_send,
      .may_open = [this](int role, const std::vector<std::string>& channels) -> Sessions::Refusal {
        for (const auto& name : channels) {
          if (role == Hello::CONSUMER && !std::count(channels_.begin(), channels_.end(), name))
            return {NOT_ALLOWED, fmt::format("channel \"{}\" is not configured at the broker", name)};
        }
        return {};
      },
      .check = [&validator](uint32_t field, std::string_view body) { return validator.check_frame(field, body); },
      .send =
          [this](const std::string& peer, std::string frame) {
            outgoing.push_back({peer, std::move(frame), nullptr});
          },
      .opened = [this](const Session& session) { opened(session); },
      .ended = [this](const Session& session, Now now) { ended(session, now); },
  };
}

void Core::receive(std::string_view peer, std::span<char> message, Now now) {
  const auto received = sessions_.receive(peer, message, now);
  if (!received) return;
  const auto& [session, field, body] = *received;
  switch (field) {
    case Frame::kPublish:
      return admission_.on_publish(session, body, now);
    case Frame::kCredit:
      return deliveries_.on_credit(session, body, now);
    case Frame::kBegun:
      return deliveries_.on_begun(session, body, now);
    case Frame::kSettle:
      return deliveries_.on_settle(session, body, now);
    case Frame::kTail:
      return on_tail(session, body, now);
    case Frame::kBye:
      byes_.push_back(session.id);
      return;
    case Frame::kAdminRequest: {
      AdminRequest request;
      if (!request.ParseFromArray(body.data(), static_cast<int>(body.size())))
        return sessions_.malformed(session, "AdminRequest cannot be read", now);
      admin_calls.push_back({session.id, request.request(), request.json()});
      return;
    }
    default:
      return sessions_.malformed(session, fmt::format("a client may not send frame kind {}", field), now);
  }
}

void Core::opened(const Session& session) {
  if (session.role == Hello::CONSUMER) {
    deliveries_.opened(session);
  } else {
    admission_.opened(session);
  }
}

void Core::ended(const Session& session, Now now) {
  tail_changes.push_back({session.id, {}, {}, 0, true});
  if (session.role == Hello::CONSUMER) {
    deliveries_.ended(session, now);
  } else {
    admission_.ended(session);
  }
}

void Core::ping_consumers() {
  for (const auto& [id, session] : sessions_.all()) {
    if (session->role == Hello::CONSUMER) sessions_.ping(id);
  }
}

// ---- a turn

void Core::reroute(Router router, std::vector<std::string> channels) {
  admission_.reroute(std::move(router));
  channels_ = std::move(channels);
}

void Core::drain() {
  admission_.drain();
  deliveries_.drain();
  sessions_.drain();
}

void Core::tick(Now now) {
  sessions_.tick(now);
  if (now.mono - last_sweep_.mono < kSweep) return;
  last_sweep_ = now;
  deliveries_.sweep(now);
  admission_.check_ids(now);
}

Millis Core::deadline() const { return std::min(last_sweep_.mono + kSweep, deliveries_.deadline()); }

// ---- what is made durable

bool Core::wants_sync() const {
  if (under_way_) return false;
  return !batch_.empty() || deliveries_.has_work() || admission_.has_work() || !answers_.empty() || !byes_.empty();
}

Core::Work Core::take_work() {
  CHECK(!under_way_, "one write and sync at a time");
  under_way_ = true;
  under_way_last_seq_ = admission_.next_seq() - 1;
  admission_.take_work();
  answers_under_way_ = std::exchange(answers_, {});
  byes_under_way_ = std::exchange(byes_, {});
  return {.batch = std::exchange(batch_, std::exchange(spare_batch_, Batch{})),
          .new_dead_letters = deliveries_.take_work()};
}

void Core::reuse(Batch batch) {
  if (batch.capacity() > kMaxSpare || batch.capacity() <= spare_batch_.capacity()) return;
  batch.clear();
  spare_batch_ = std::move(batch);
}

std::string Core::snapshot() const {
  CHECK(batch_.empty(), "a snapshot belongs to the work taken last");
  return snapshot_of(admission_, deliveries_, alarms_);
}

void Core::journalled(uint32_t segment, uint32_t base, Now now) {
  CHECK(under_way_, "nothing was taken");
  under_way_ = false;
  deliveries_.journalled(under_way_last_seq_, segment, base);
  admission_.journalled();
  for (const auto& [call, json] : std::exchange(answers_under_way_, {})) answer(call, json, {});
  for (const uint64_t session : std::exchange(byes_under_way_, {})) sessions_.finish(session, now);
}

// ---- to look at

CoreCounters Core::counters() const {
  CoreCounters all = counters_;
  all.alarms = alarms_.count();
  const auto& of_sessions = sessions_.counters();
  all.sessions_refused = of_sessions.refused;
  all.malformed = of_sessions.malformed;
  all.not_allowed = of_sessions.not_allowed;
  all.too_large = of_sessions.too_large;
  all.gaps = of_sessions.gaps;
  return all;
}

void Core::answer(const AdminCall& call, std::string_view json, std::string_view error) {
  AdminReply answer;
  answer.set_request(call.ask);
  answer.set_json(std::string(json));
  answer.set_error(std::string(error));
  sessions_.send(call.session, Frame::kAdminReply, answer.SerializeAsString());
}

void Core::on_tail(const Session& session, std::string_view body, Now now) {
  Tail tail;
  if (!tail.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return sessions_.malformed(session, "Tail cannot be read", now);
  }
  tail_changes.push_back({session.id,
                          tail.channel(),
                          tail.type(),
                          tail.since_ms(),
                          tail.stop(),
                          {tail.also_from().begin(), tail.also_from().end()}});
}

}  // namespace detent
