#include "dispatch/outages.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "base/result.h"
#include "dispatch/silence_signal.h"
#include "proto/task.pb.h"

namespace detent {

namespace {

constexpr size_t kMaxSaid = 64;  // on their way to the broker at a time

void set(LivenessState& state, const LivenessMark& mark, bool worker) {
  state.set_name(mark.name);
  state.set_worker(worker);
  state.set_declared_ms(mark.declared.count());
  state.set_last_heard_ms(mark.last_heard.count());
  state.set_silent_since_ms(mark.silent_since.count());
}

void tell(const LivenessEvent& event, bool worker) {
  const char* const who = worker ? "worker " : "";
  if (event.kind == LivenessEvent::kSilent) {
    spdlog::warn("{}{} has fallen silent: it is expected every {}", who, event.name, roughly(event.every));
  } else {
    spdlog::info("{}{} {}", who, event.name,
                 event.kind == LivenessEvent::kHeardAgain ? "is heard again" : "is no longer expected");
  }
}

}  // namespace

Outages::Outages(const ExpectConfig& config, Dispatch& core, SignalBuilder& builder)
    : config_(config), core_(core), builder_(builder) {
  for (const Expectation& one : config_.sources) configured_.insert(one.name);
}

// ---- recovery

void Outages::restore(const TaskSnapshot& snapshot) {
  for (const auto& state : snapshot.liveness()) remember(state);
  for (const auto& notice : snapshot.notices()) unsaid_[notice.number()] = notice.SerializeAsString();
  next_number_ = std::max(next_number_, snapshot.next_notice());
}

void Outages::replay(const LivenessChanged& changed) {
  for (const auto& state : changed.states()) remember(state);
  for (const auto& gone : changed.removed()) marks_.erase({gone.worker() ? kWorker : kSource, gone.name()});
  for (const auto& notice : changed.notices()) {
    unsaid_[notice.number()] = notice.SerializeAsString();
    next_number_ = std::max(next_number_, notice.number() + 1);
  }
  for (const uint64_t number : changed.said()) unsaid_.erase(number);
}

void Outages::remember(const LivenessState& state) {
  marks_[{state.worker() ? kWorker : kSource, state.name()}] = {
      state.name(), Millis{state.declared_ms()}, Millis{state.last_heard_ms()}, Millis{state.silent_since_ms()}};
}

void Outages::recovered(Now now) {
  taken_ = durable_ = next_number_;
  for (const auto& [key, mark] : std::exchange(marks_, {})) (key.first == kWorker ? workers_ : sources_).restore(mark);
  sources_.set_hearing(false, now);
  take(kSource, sources_.configure(config_.sources, now), now);
  take(kWorker, workers_.configure({}, now), now);
}

void Outages::add_to(TaskSnapshot& snapshot) const {
  for (const auto& mark : sources_.marks()) set(*snapshot.add_liveness(), mark, false);
  for (const auto& mark : workers_.marks()) set(*snapshot.add_liveness(), mark, true);
  for (const auto& entry : unsaid_) snapshot.add_notices()->ParseFromString(entry.second);
  snapshot.set_next_notice(next_number_);
}

// ---- a turn

void Outages::heard(const Worker& worker, Now now) {
  if (configured_.contains(worker.name)) {
    take(kSource, sources_.heard(worker.name, std::nullopt, now), now);
    take(kWorker, workers_.withdraw(worker.name, now), now);
  } else if (worker.draining) {
    take(kWorker, workers_.withdraw(worker.name, now), now);
  } else {
    take(kWorker, workers_.heard(worker.name, core_.lease(), now), now);
  }
}

void Outages::heard(Listener& listener, Now now) {
  if (listener.missed() || !listener.is_listening()) sources_.set_hearing(false, now);
  listening_ = listener.is_listening();
  if (listening_) sources_.set_hearing(true, now);
  for (const auto& one : std::exchange(listener.heard, {}))
    take(kSource, sources_.heard(one.source, one.interval, now), now);
}

void Outages::tick(Now now) {
  take(kSource, sources_.tick(now), now);
  take(kWorker, workers_.tick(now), now);
}

void Outages::take(Kind kind, const Liveness::Turn& turn, Now now) {
  if (turn.refused && !std::exchange(refused_, true))
    spdlog::warn("{} names are expected to be heard, and no more can be: `detent expect list` shows them",
                 Liveness::kMaxDeclared);
  if (turn.marks.empty() && turn.removed.empty() && turn.events.empty()) return;
  TaskRecord record;
  auto& changed = *record.mutable_liveness_changed();
  for (const auto& mark : turn.marks) set(*changed.add_states(), mark, kind == kWorker);
  for (const auto& name : turn.removed) {
    auto& gone = *changed.add_removed();
    gone.set_name(name);
    gone.set_worker(kind == kWorker);
  }
  for (const auto& event : turn.events) {
    auto& notice = *changed.add_notices();
    notice.set_number(next_number_++);
    notice.set_kind(event.kind);
    notice.set_name(event.name);
    notice.set_worker(kind == kWorker);
    notice.set_every_ms(event.every.count());
    notice.set_last_heard_ms(event.last_heard.count());
    notice.set_since_ms(event.since.count());
    notice.set_at_ms(now.wall.count());
    unsaid_[notice.number()] = notice.SerializeAsString();
    tell(event, kind == kWorker);
  }
  core_.keep(record);
}

void Outages::say(Uplink& uplink) {
  TaskRecord record;
  auto& said = *record.mutable_liveness_changed()->mutable_said();
  while (!said_.empty() && said_.begin()->first <= uplink.published()) {
    const uint64_t number = said_.begin()->second;
    said_.erase(said_.begin());
    saying_.erase(number);
    unsaid_.erase(number);
    said.Add(number);
  }
  if (!said.empty()) core_.keep(record);
  for (const auto& [number, encoded] : unsaid_) {
    if (number >= durable_ || said_.size() >= kMaxSaid) return;
    if (saying_.contains(number)) continue;
    LivenessNotice notice;
    notice.ParseFromString(encoded);
    const auto signal = silence_signal(notice, builder_);
    CHECK(signal, "what the dispatcher says is within the limits");
    const auto ticket = uplink.publish(signal->signal);
    if (!ticket) return;
    said_[*ticket] = number;
    saying_.insert(number);
  }
}

Result<void> Outages::forget(const std::string& name, Now now) {
  const auto is_it = [&](const Liveness::View& view) { return view.name == name; };
  const auto sources = sources_.list(), workers = workers_.list();
  if (std::none_of(sources.begin(), sources.end(), is_it) && std::none_of(workers.begin(), workers.end(), is_it))
    return Error{fmt::format("nobody named \"{}\" is expected: `detent expect list` shows who is", name)};
  if (configured_.contains(name))
    return Error{
        fmt::format("\"{}\" is expected by an [[expect]] of the dispatcher's config: take it out there", name)};
  take(kSource, sources_.withdraw(name, now), now);
  take(kWorker, workers_.withdraw(name, now), now);
  return {};
}

}  // namespace detent
