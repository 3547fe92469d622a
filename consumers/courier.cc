#include "consumers/courier.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "consumers/text.h"
#include "proto/signal_validator.h"
#include "proto/wire.pb.h"

namespace detent::consumers {
namespace {

constexpr Millis kNever{INT64_MAX / 4};
/// A rate limit shorter than this is waited out with the delivery in hand.
constexpr Millis kShortWait{15'000};
/// After this long the log says again why deliveries go back, where it is still the same.
constexpr Millis kSayAgain{3'600'000};
constexpr size_t kMaxMemories = 512;
/// What a delivery may cost of the credit beyond its signal: the broker counts the record in its journal.
constexpr uint64_t kAround = 256;

PartState from_wire(const Part& part) {
  return {part.part(), part.done(), part.begun_ms(), part.message_id(), part.link(), part.place()};
}

void to_wire(const PartState& state, Part* part) {
  part->set_part(state.part);
  part->set_done(state.done);
  part->set_begun_ms(state.begun_ms);
  part->set_message_id(shorten(state.message_id, 64));
  // A link that is cut leads nowhere.
  if (state.link.size() <= 512) part->set_link(state.link);
  part->set_place(shorten(state.place, 64));
}

/// At most `most` bytes, ending with a whole character.
std::string within(const std::string& text, size_t most) {
  const std::string line = one_line(text);
  return line.size() <= most ? line : line.substr(0, whole(line, most));
}

}  // namespace

/// A delivery in hand.
struct Courier::Held {
  Delivery delivery;
  uint64_t bytes = 0;
  std::string id;
  int64_t expires_ms = 0;
  Millis not_before{0};
  std::unique_ptr<Job> job;
  std::optional<Step> step;
  uint32_t awaiting = 0;  // the part whose begun is not known to be durable
  int64_t begun_ms = 0;
  std::set<uint32_t> durable;
  std::string unsure_why;

  /// Some of it is, or perhaps is, with the platform.
  bool touched() const {
    if (job)
      return std::any_of(job->parts.begin(), job->parts.end(),
                         [](const PartState& p) { return p.done || p.perhaps(); });
    return std::any_of(delivery.parts().begin(), delivery.parts().end(),
                       [](const Part& p) { return p.done() || p.begun_ms() > 0; });
  }
};

/// The one request under way. Its delivery is in `active_`, or here where the session ended meanwhile.
struct Courier::Flight {
  uint64_t number = 0;
  Step step;
  bool old_token = false;  // it changed since
  std::unique_ptr<Held> orphan;
};

Courier::Courier(Options options, Channel& channel) : options_(std::move(options)), channel_(channel) {}
Courier::~Courier() = default;

void Courier::opened(Now now) {
  lost();
  open_ = true;
  owed_ = options_.credit;
  owed_bytes_ = options_.credit_bytes;
  if (circuit_open_) {
    Settle settle;
    settle.set_channel(options_.channel);
    settle.mutable_circuit()->set_open(true);
    settle.mutable_circuit()->set_why(circuit_why_);
    frames.push_back({detent::Frame::kSettle, settle.SerializeAsString()});
  }
  send_credit();
  advance(now);
}

void Courier::lost() {
  open_ = false;
  waiting_.clear();
  frames.clear();
  if (!active_) return;
  remember(*active_);
  if (flight_ && !flight_->orphan) flight_->orphan = std::move(active_);
  active_.reset();
}

void Courier::received(uint32_t field, std::string_view body, Now now) {
  if (!open_) return;
  if (field == detent::Frame::kDeliver) {
    Deliver deliver;
    if (!deliver.ParseFromArray(body.data(), static_cast<int>(body.size()))) return;
    for (Delivery& delivery : *deliver.mutable_deliveries()) {
      auto held = std::make_unique<Held>();
      const SignalHeader head = read_header(delivery.signal());
      held->bytes = delivery.signal().size() + kAround;
      held->id = std::string(head.id);
      held->expires_ms = head.expires_ms;
      held->delivery = std::move(delivery);
      if (draining_) continue;
      if (circuit_open_) {
        settle(std::move(held), NOT_NOW, circuit_why_, Millis{0});
      } else {
        waiting_.push_back(std::move(held));
      }
    }
  } else if (field == detent::Frame::kBegunDurable) {
    BegunDurable durable;
    if (!durable.ParseFromArray(body.data(), static_cast<int>(body.size()))) return;
    if (active_ && active_->delivery.delivery() == durable.delivery() && active_->awaiting == durable.part()) {
      active_->awaiting = 0;
      active_->durable.insert(durable.part());
    }
  } else if (field == detent::Frame::kStale) {
    Stale stale;
    if (!stale.ParseFromArray(body.data(), static_cast<int>(body.size()))) return;
    for (const uint64_t number : stale.deliveries()) {
      const auto same = [&](const auto& held) { return held->delivery.delivery() == number; };
      for (auto held = std::find_if(waiting_.begin(), waiting_.end(), same); held != waiting_.end();) {
        owed_ += 1;
        owed_bytes_ += (*held)->bytes;
        held = waiting_.erase(held);
        break;
      }
      if (active_ && same(active_)) {
        owed_ += 1;
        owed_bytes_ += active_->bytes;
        remember(*active_);
        if (flight_) flight_->orphan = std::move(active_);
        active_.reset();
      }
    }
    send_credit();
  }
  advance(now);
}

void Courier::answered(uint64_t number, const http::Answer& answer, Now now) {
  if (!flight_ || flight_->number != number) return;
  const std::unique_ptr<Flight> flight = std::move(flight_);
  Held& held = flight->orphan ? *flight->orphan : *active_;
  const Verdict verdict = held.job->answered(answer, now);
  said.insert(said.end(), std::make_move_iterator(channel_.said.begin()), std::make_move_iterator(channel_.said.end()));
  channel_.said.clear();
  if (flight->step.begin && verdict.kind != Verdict::Ambiguous && verdict.done != flight->step.part) {
    // It was begun for this request, and this request was surely not taken.
    held.job->part(flight->step.part).begun_ms = 0;
  }
  const bool ill = verdict.kind == Verdict::Misconfigured && !flight->old_token;
  if (flight->orphan) {
    remember(held);
    if (ill) open_circuit(verdict.why);
  } else if (verdict.kind == Verdict::Misconfigured && !ill) {
    waiting_.push_front(take_active());  // once more, with the token that counts
  } else {
    held.step.reset();
    act(held, verdict, flight->step, now);
  }
  advance(now);
}

/// The one place that decides whether to try again.
void Courier::act(Held& held, const Verdict& verdict, const Step& step, Now now) {
  switch (verdict.kind) {
    case Verdict::Continue:
      if (verdict.done && held.job->size > 1) {
        Begun begun;
        begun.set_channel(options_.channel);
        begun.set_delivery(held.delivery.delivery());
        to_wire(held.job->part(verdict.done), begun.mutable_part());
        frames.push_back({detent::Frame::kBegun, begun.SerializeAsString()});
      }
      return;
    case Verdict::RetryLater:
      if (verdict.limited && verdict.delay <= kShortWait && !draining_) {
        held.not_before = now.mono + verdict.delay;
        // Where only this request is limited, others of the channel may go on meanwhile.
        if (held.job->wait(now) == Millis{0}) waiting_.push_front(take_active());
        return;
      }
      say_later(verdict.why, now);
      return settle(take_active(), NOT_NOW, verdict.why, verdict.delay);
    case Verdict::Ambiguous:
      if (step.part == 0 || held.job->repeatable) {
        say_later(verdict.why, now);
        return settle(take_active(), NOT_NOW, verdict.why, verdict.delay);
      }
      held.unsure_why = verdict.why;
      held.job->leave(step.part);
      return;
    case Verdict::Refused:
      return settle(take_active(), GIVEN_UP, verdict.why, Millis{0});
    case Verdict::Misconfigured:
      waiting_.push_front(take_active());
      return open_circuit(verdict.why);
  }
}

/// One line for an outage, not one for each try.
void Courier::say_later(const std::string& why, Now now) {
  std::string line = within(why, 300);
  if (line == later_why_ && now.mono - later_said_ < kSayAgain) return;
  said.push_back(fmt::format("{}: not delivered yet, trying again: {}", options_.channel, line));
  later_why_ = std::move(line);
  later_said_ = now.mono;
}

void Courier::advance(Now now) {
  while (!flight_) {
    if (!active_) pick(now);
    if (!active_ || active_->awaiting || active_->not_before > now.mono) return;
    Held& held = *active_;
    if (!held.touched() && expired(held, now)) {
      settle(take_active(), EXPIRED, "expired while it waited for the platform", Millis{0});
      continue;
    }
    if (!held.job) begin(held, now);
    if (!held.step) held.step = held.job->next(now);
    if (held.step->kind == Step::Done) {
      const bool unknown = !held.job->unknown.empty();
      std::string cause;
      if (unknown)
        cause = "perhaps delivered, and not sent again: " +
                (held.unsure_why.empty() ? "an earlier attempt was cut off" : held.unsure_why);
      settle(take_active(), unknown ? UNKNOWN : DELIVERED, cause, Millis{0});
      continue;
    }
    if (const Millis wait = held.job->wait(now); wait > Millis{0}) {
      held.not_before = now.mono + wait;
      return;
    }
    const Step& step = *held.step;
    if (step.begin && !held.durable.contains(step.part)) {
      held.awaiting = step.part;
      held.begun_ms = now.wall.count();
      Begun begun;
      begun.set_channel(options_.channel);
      begun.set_delivery(held.delivery.delivery());
      to_wire({.part = step.part, .begun_ms = held.begun_ms, .place = step.place}, begun.mutable_part());
      frames.push_back({detent::Frame::kBegun, begun.SerializeAsString()});
      return;
    }
    if (step.begin) {
      PartState& part = held.job->part(step.part);
      part.begun_ms = now.wall.count();
      part.place = step.place;
    }
    held.job->sent(now);
    flight_ = std::make_unique<Flight>();
    flight_->number = ++requests_;
    request = Sending{flight_->number, std::move(held.step->request)};
    flight_->step = std::move(*held.step);
    held.step.reset();
  }
}

void Courier::pick(Now now) {
  const auto ready =
      std::find_if(waiting_.begin(), waiting_.end(), [&](const auto& held) { return held->not_before <= now.mono; });
  if (ready == waiting_.end() || circuit_open_) return;
  active_ = std::move(*ready);
  waiting_.erase(ready);
}

void Courier::begin(Held& held, Now now) {
  std::vector<PartState> parts;
  for (const Part& part : held.delivery.parts()) {
    // Told more than once, the last word counts.
    std::erase_if(parts, [&](const PartState& known) { return known.part == part.part(); });
    parts.push_back(from_wire(part));
  }
  if (const auto known = memory_.find(held.id); known != memory_.end()) {
    for (const PartState& part : known->second) {
      std::erase_if(parts, [&](const PartState& other) { return other.part == part.part; });
      parts.push_back(part);
    }
  }
  held.job = channel_.take(held.delivery, std::move(parts), now);
}

bool Courier::expired(const Held& held, Now now) const {
  return held.expires_ms > 0 && now.wall.count() >= held.expires_ms;
}

void Courier::settle(std::unique_ptr<Held> held, int outcome, const std::string& cause, Millis delay) {
  Settle settle;
  settle.set_channel(options_.channel);
  Settled* settled = settle.add_settled();
  settled->set_delivery(held->delivery.delivery());
  settled->set_outcome(static_cast<Outcome>(outcome));
  settled->set_cause(within(cause, 500));
  settled->set_delay_ms(static_cast<uint32_t>(std::clamp<int64_t>(delay.count(), 0, UINT32_MAX)));
  if (held->job) {
    for (const PartState& part : held->job->parts) {
      // A part that was tried in another form and refused is of no interest once the whole is delivered.
      if (outcome == DELIVERED && !part.done) continue;
      to_wire(part, settled->add_parts());
    }
  } else {
    *settled->mutable_parts() = held->delivery.parts();
  }
  frames.push_back({detent::Frame::kSettle, settle.SerializeAsString()});
  if (outcome == NOT_NOW) {
    remember(*held);
  } else {
    memory_.erase(held->id);
  }
  if (outcome == GIVEN_UP || outcome == UNKNOWN) {
    said.push_back(
        fmt::format("{}: {}: {}", options_.channel, outcome == UNKNOWN ? "unknown" : "given up", within(cause, 300)));
  }
  owed_ += 1;
  owed_bytes_ += held->bytes;
  send_credit();
}

void Courier::open_circuit(const std::string& why) {
  if (!circuit_open_) {
    said.push_back(fmt::format("{}: nothing is delivered until this is put right: {}", options_.channel, why));
  }
  circuit_open_ = true;
  circuit_why_ = within(why, 500);
  if (!open_) return;
  // Before the deliveries go back, so that they are not handed out again at once.
  Settle told;
  told.set_channel(options_.channel);
  told.mutable_circuit()->set_open(true);
  told.mutable_circuit()->set_why(circuit_why_);
  frames.push_back({detent::Frame::kSettle, told.SerializeAsString()});
  while (!waiting_.empty()) {
    auto held = std::move(waiting_.front());
    waiting_.pop_front();
    settle(std::move(held), NOT_NOW, circuit_why_, Millis{0});
  }
}

void Courier::token_changed(Now now) {
  channel_.token_changed();
  if (flight_) flight_->old_token = true;
  // Requests that wait to go were made with the one before.
  if (active_) active_->step.reset();
  for (auto& held : waiting_) held->step.reset();
  if (!circuit_open_) return;
  circuit_open_ = false;
  said.push_back(fmt::format("{}: the token changed, delivering again", options_.channel));
  if (open_) {
    Settle settle;
    settle.set_channel(options_.channel);
    settle.mutable_circuit()->set_open(false);
    frames.push_back({detent::Frame::kSettle, settle.SerializeAsString()});
    send_credit();
  }
  advance(now);
}

void Courier::send_credit() {
  if (!open_ || circuit_open_ || draining_) return;
  const bool nothing_left = waiting_.empty() && !active_;
  if (owed_ == 0 || (!nothing_left && owed_ < options_.credit / 4 && owed_bytes_ < options_.credit_bytes / 4)) return;
  Credit credit;
  credit.set_channel(options_.channel);
  credit.set_count(owed_);
  credit.set_bytes(owed_bytes_);
  frames.push_back({detent::Frame::kCredit, credit.SerializeAsString()});
  owed_ = 0;
  owed_bytes_ = 0;
}

void Courier::tick(Now now) { advance(now); }

void Courier::drain() {
  draining_ = true;
  waiting_.clear();
  if (active_ && !flight_ && !active_->touched() && active_->durable.empty()) active_.reset();
}

Millis Courier::deadline() const {
  if (flight_) return kNever;
  if (active_) return active_->awaiting ? kNever : active_->not_before;
  Millis next = kNever;
  for (const auto& held : waiting_) next = std::min(next, held->not_before);
  return circuit_open_ ? kNever : next;
}

void Courier::remember(const Held& held) {
  if (held.id.empty() || !held.job) return;
  std::vector<PartState> done;
  for (const PartState& part : held.job->parts) {
    if (part.done) done.push_back(part);
  }
  if (done.empty()) return;
  if (memory_.insert_or_assign(held.id, std::move(done)).second) memory_order_.push_back(held.id);
  while (memory_order_.size() > kMaxMemories) {
    memory_.erase(memory_order_.front());
    memory_order_.pop_front();
  }
}

std::unique_ptr<Courier::Held> Courier::take_active() { return std::move(active_); }

}  // namespace detent::consumers
