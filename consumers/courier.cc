#include "consumers/courier.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/ulid.h"
#include "proto/signal_validator.h"
#include "proto/wire.pb.h"

namespace detent::consumers {
namespace {

constexpr Millis kNever{INT64_MAX / 4};
/// A rate limit shorter than this is waited out with the delivery in hand.
constexpr Millis kShortWait{15'000};
constexpr size_t kMaxLine = 300;  // of a cause in the log
/// As soon as another consumer is there. (0 would leave it to the broker's back-off.)
constexpr Millis kAtOnce{1};
/// What a delivery may cost of the credit beyond its signal: the broker counts the record in its journal.
constexpr uint64_t kAround = 256;

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
  std::set<uint32_t> durable;
  std::string unsure_why;

  /// The broker was told that a part of it is about to be sent.
  bool began() const { return awaiting || !durable.empty(); }
  /// Some of it is, or perhaps is, with the platform.
  bool touched() const {
    if (job)
      return std::any_of(job->parts.begin(), job->parts.end(),
                         [](const PartState& p) { return p.done || p.perhaps(); });
    return std::any_of(delivery.parts().begin(), delivery.parts().end(),
                       [](const Part& p) { return p.done() || p.begun_ms() > 0; });
  }
};

/// The one request in flight. Its delivery is in `active_`, or here where the session ended meanwhile.
struct Courier::Flight {
  uint64_t number = 0;
  Step step;
  bool old_token = false;  // it changed since
  std::unique_ptr<Held> orphan;
};

Courier::Courier(Options options, Channel& channel)
    : options_(std::move(options)), channel_(channel), credit_({options_.credit, options_.credit_bytes}) {}
Courier::~Courier() = default;

void Courier::opened(Now now) {
  lost();
  open_ = true;
  credit_.begin();
  if (circuit_open_) frames.push_back(circuit(options_.channel, true, circuit_why_));
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
      for (const DeliveredSignal& one : delivery.signals()) {
        const SignalHeader head = read_header(one.signal());
        held->bytes += one.signal().size() + kAround;
        held->id = std::string(head.id);
        held->expires_ms = head.expires_ms;
      }
      held->delivery = std::move(delivery);
      if (held->delivery.signals_size() != 1) {
        settle(std::move(held), GIVEN_UP, "this consumer shows one signal at a time", Millis{0});
        continue;
      }
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
    if (active_ && active_->delivery.id() == durable.delivery() && active_->awaiting == durable.part()) {
      active_->awaiting = 0;
      active_->durable.insert(durable.part());
    }
  } else if (field == detent::Frame::kStale) {
    Stale stale;
    if (!stale.ParseFromArray(body.data(), static_cast<int>(body.size()))) return;
    for (const uint64_t number : stale.deliveries()) {
      const auto same = [&](const auto& held) { return held->delivery.id() == number; };
      if (const auto held = std::find_if(waiting_.begin(), waiting_.end(), same); held != waiting_.end()) {
        credit_.settled((*held)->bytes);
        waiting_.erase(held);
      }
      if (active_ && same(active_)) {
        credit_.settled(active_->bytes);
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
  const bool misconfigured = verdict.kind == Verdict::Misconfigured && !flight->old_token;
  if (flight->orphan) {
    remember(held);
    if (misconfigured) open_circuit(verdict.why);
  } else if (verdict.kind == Verdict::Misconfigured && !misconfigured) {
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
        frames.push_back(begun(options_.channel, held.delivery.id(), held.job->part(verdict.done)));
      }
      return;
    case Verdict::RetryLater:
      if (verdict.limited && verdict.delay <= kShortWait && !draining_) {
        held.not_before = now.mono + verdict.delay;
        // Where only this request is limited, others of the channel may go on meanwhile.
        if (held.job->wait(now) == Millis{0}) waiting_.push_front(take_active());
        return;
      }
      say(outage_.failed(within(verdict.why, kMaxLine), now));
      return settle(take_active(), NOT_NOW, verdict.why, verdict.delay);
    case Verdict::Ambiguous:
      if (step.part == 0 || held.job->repeatable) {
        say(outage_.failed(within(verdict.why, kMaxLine), now));
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

void Courier::say(const std::string& text) {
  if (!text.empty()) said.push_back(options_.channel + ": " + text);
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
      if (!unknown) say(outage_.delivered(now));
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
      frames.push_back(begun(options_.channel, held.delivery.id(),
                             {.part = step.part, .begun_ms = now.wall.count(), .place = step.place}));
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
  std::vector<PartState> parts = known_parts(held.delivery);
  done_.recall(held.id, parts);
  held.job = channel_.take(held.delivery, std::move(parts), now);
}

bool Courier::expired(const Held& held, Now now) const {
  return held.expires_ms > 0 && now.wall.count() >= held.expires_ms;
}

void Courier::settle(std::unique_ptr<Held> held, int outcome, const std::string& cause, Millis delay) {
  if (held->awaiting) held->durable.insert(held->awaiting);
  for (const uint32_t part : held->durable) held->job->part(part);  // said, be it that nothing was sent
  std::vector<PartState> parts = held->job ? held->job->parts : known_parts(held->delivery);
  // A part that was tried in another form and refused is of no interest once the whole is delivered.
  if (outcome == DELIVERED) std::erase_if(parts, [](const PartState& part) { return !part.done; });
  frames.push_back(settled(options_.channel, held->delivery.id(), outcome, cause, delay, parts));
  if (outcome == NOT_NOW) {
    remember(*held);
  } else {
    done_.forget(held->id);
  }
  if (outcome == GIVEN_UP || outcome == UNKNOWN) {
    const auto id = Ulid::from_bytes(held->id);
    say(fmt::format("{}: signal {}: {}", outcome == UNKNOWN ? "unknown" : "given up, now a dead letter",
                    id ? id->text() : "without an id", within(cause, kMaxLine)));
  }
  credit_.settled(held->bytes);
  send_credit();
}

void Courier::open_circuit(const std::string& why) {
  if (!circuit_open_) say("circuit open, nothing is delivered until the cause is removed: " + why);
  circuit_open_ = true;
  circuit_why_ = within(why, 500);
  if (!open_) return;
  // Before the deliveries go back, so that they are not handed out again at once.
  frames.push_back(circuit(options_.channel, true, circuit_why_));
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
  say("resolved: the token changed, delivering again");
  if (open_) {
    frames.push_back(circuit(options_.channel, false, ""));
    send_credit();
  }
  advance(now);
}

void Courier::send_credit() {
  if (!open_ || circuit_open_ || draining_) return;
  if (const auto amount = credit_.take(waiting_.empty() && !active_)) {
    frames.push_back(credit(options_.channel, amount->count, amount->bytes));
  }
}

void Courier::tick(Now now) { advance(now); }

void Courier::drain() {
  draining_ = true;
  // What is not with the platform goes back. The broker may know it as begun, and must not take it for perhaps sent.
  if (active_ && !flight_ && !active_->touched()) waiting_.push_front(take_active());
  for (auto& held : std::exchange(waiting_, {})) {
    if (open_ && held->began()) settle(std::move(held), NOT_NOW, "", kAtOnce);
  }
}

Millis Courier::deadline() const {
  if (flight_) return kNever;
  if (active_) return active_->awaiting ? kNever : active_->not_before;
  Millis next = kNever;
  for (const auto& held : waiting_) next = std::min(next, held->not_before);
  return circuit_open_ ? kNever : next;
}

void Courier::remember(const Held& held) {
  if (held.job) done_.remember(held.id, held.job->parts);
}

std::unique_ptr<Courier::Held> Courier::take_active() { return std::move(active_); }

}  // namespace detent::consumers
