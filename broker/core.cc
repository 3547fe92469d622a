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
      sessions_({options_.broker, options_.ping_every, options_.max_sessions}, rules(), seed),
      alarms_(batch_, [this](const Notice& notice, Now now) { announce(notice, now); }),
      acks_(std::make_unique<Acks>()),
      restoring_(std::make_unique<Restoring>()) {}

Core::~Core() = default;

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

Sessions::Rules Core::rules() {
  return {
      .may_send = may_send,
      .may_open = [this](int role, const std::vector<std::string>& channels) -> Sessions::Refusal {
        for (const auto& name : channels) {
          if (role == Hello::CONSUMER && !std::count(options_.channels.begin(), options_.channels.end(), name))
            return {NOT_ALLOWED, fmt::format("channel \"{}\" is not configured at the broker", name)};
        }
        return {};
      },
      .check = [this](uint32_t field, std::string_view body) { return validator_.check_frame(field, body); },
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
      return on_publish(session, body, now);
    case Frame::kCredit:
      return on_credit(session, body, now);
    case Frame::kBegun:
      return on_begun(session, body, now);
    case Frame::kSettle:
      return on_settle(session, body, now);
    case Frame::kTail:
      return on_tail(session, body, now);
    case Frame::kBye:
      acks_->byes.push_back(session.id);
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
  if (session.role != Hello::CONSUMER) {
    next_publish_.emplace(session.id, 1);
    return;
  }
  holders_.try_emplace(session.id);
  for (const auto& name : session.channels) {
    channel(name);
    consumers(name).sessions.push_back(session.id);
  }
}

void Core::ended(const Session& session, Now now) {
  tail_changes.push_back({session.id, {}, {}, 0, true});
  next_publish_.erase(session.id);
  const auto holder = holders_.extract(session.id);
  if (!holder) return;
  for (const auto& name : session.channels) {
    auto& served = consumers(name);
    std::erase(served.sessions, session.id);
    if (served.opened_by == session.id) {  // whoever serves it from here on looks anew
      served.circuit_open = false;
      served.opened_by = 0;
      served.why.clear();
    }
  }
  const Consumer& consumer = holder.mapped();
  for (const auto& [name, held] : consumer.under_way) {
    Channel& home = channel(name);
    consumers(name).under_way -= held.size();
    for (const auto& [delivery, one] : held) {
      Open* open = home.find(one.seq);
      if (!open) continue;
      const bool may_have_died_of_it = !session.leaving && consumer.may_have_died_of(name, delivery);
      if (may_have_died_of_it && ++home.losses[delivery] >= options_.max_losses) {
        dead_letter(home, *open, fmt::format("{} consumers died with it in hand", options_.max_losses), now);
      } else {
        home.put_back(one.seq, now.mono, now);
      }
    }
  }
}

void Core::gone(std::string_view peer, Now now) { sessions_.gone(peer, now); }

void Core::send(uint64_t session, uint32_t field, std::string_view body) { sessions_.send(session, field, body); }

void Core::ping(uint64_t session) { sessions_.ping(session); }

void Core::ping_consumers() {
  for (const auto& [id, session] : sessions_.all()) {
    if (session->role == Hello::CONSUMER) ping(id);
  }
}

uint32_t Core::unanswered_pings(uint64_t id) const {
  const Session* session = sessions_.find(id);
  return session ? session->unanswered_pings : 0;
}

void Core::drain() {
  draining_ = true;
  sessions_.drain();
}

void Core::reroute(Router router, std::vector<std::string> channels) {
  router_ = std::move(router);
  options_.channels = std::move(channels);
  terms_.clear();
}

void Core::tick(Now now) {
  sessions_.tick(now);
  if (now.mono - last_sweep_.mono >= Millis{500}) {
    last_sweep_ = now;
    for (auto& entry : channels_) {
      Channel& home = entry.second;
      home.sweep(20'000, [&](Open& open) { expire(home, open, now); });
      enforce_backlog_limit(home, now);
    }
    check_ids(now);
    if (failing_.empty()) alarms_.clear("journal-read", kJournalReads, now);
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
    const GivenUp& given_up = given_up_.at(key);
    write_letter(home, *home.find(given_up.seq), given_up.cause, now);
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
    durable.set_delivery(begun.delivery);
    durable.set_part(begun.part);
    send(begun.session, Frame::kBegunDurable, durable.SerializeAsString());
  }
  for (const auto& [call, json] : acks->answers) answer(call, json, {});
  for (auto& done : acks->local) local_done.push_back(std::move(done));
  for (const uint64_t session : acks->byes) sessions_.finish(session, now);
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

std::vector<const Session*> Core::sessions() const {
  std::vector<const Session*> all;
  for (const auto& [id, session] : sessions_.all()) all.push_back(session.get());
  std::sort(all.begin(), all.end(), [](const auto* a, const auto* b) { return a->id < b->id; });
  return all;
}

Core::Counters Core::counters() const {
  Counters all = counters_;
  all.alarms = alarms_.count();
  const auto& of_sessions = sessions_.counters();
  all.refused += of_sessions.refused;
  all.malformed = of_sessions.malformed;
  all.not_allowed = of_sessions.not_allowed;
  all.too_large = of_sessions.too_large;
  all.gaps = of_sessions.gaps;
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
    for (const auto& [id, consumer] : holders_) {
      if (const auto held = consumer.under_way.find(name); held != consumer.under_way.end())
        under_way += held->second.size();
    }
    if (under_way != served.under_way) return false;
  }
  for (const auto& [id, consumer] : holders_) {
    for (const auto& [name, credit] : consumer.credit) {
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

void Core::on_tail(const Session& session, std::string_view body, Now now) {
  Tail tail;
  if (!tail.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return sessions_.malformed(session, "Tail cannot be read", now);
  }
  tail_changes.push_back({session.id, tail.channel(), tail.type(), tail.since_ms(), tail.stop()});
}

}  // namespace detent
