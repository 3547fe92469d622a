#include "dispatch/recurring.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "base/result.h"
#include "proto/signal.pb.h"
#include "proto/task.pb.h"

namespace detent {

namespace {

constexpr Millis kLater{5'000};

void tell(const Missed& missed, const Schedule& schedule) {
  const MissedRun& run = missed.run;
  const std::string first = schedule.zone.show(run.first), last = schedule.zone.show(run.last);
  spdlog::warn("schedule \"{}\" missed {} of its times: {}{}", missed.schedule, run.count,
               run.count > 1 ? first + " to " + last : first, missed.made_up ? "; a later one is made up for" : "");
}

}  // namespace

Recurring::Recurring(ScheduleConfig config, Dispatch& core, SignalBuilder& builder, uint64_t seed)
    : config_(std::move(config)), core_(core), builder_(builder), ids_(seed) {
  for (const ScheduleEntry& entry : config_.schedules) {
    const Millis some{1};
    const auto built = request(entry, firing_id(entry.schedule.name, some), std::nullopt);
    if (!built)
      throw Failure(fmt::format("{}: schedule \"{}\": {}", entry.at, entry.schedule.name, built.error().what));
  }
}

const ScheduleEntry* Recurring::find(std::string_view name) const {
  const auto& all = config_.schedules;
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const auto& entry) { return entry.schedule.name == name; });
  return found == all.end() ? nullptr : &*found;
}

// ---- recovery

void Recurring::restore(const TaskSnapshot& snapshot) {
  for (const ScheduleState& state : snapshot.schedules()) remember(state);
}

void Recurring::replay(const SchedulesMoved& moved) {
  for (const ScheduleState& state : moved.schedules()) remember(state);
  for (const std::string& name : moved.removed()) marks_.erase(name);
}

void Recurring::remember(const ScheduleState& state) {
  ScheduleMark& mark = marks_[state.name()];
  mark.name = state.name();
  mark.rule = state.rule();
  mark.passed = Millis{state.passed_ms()};
  mark.fired = Millis{state.fired_ms()};
  mark.missed = {state.missed(), Millis{state.missed_first_ms()}, Millis{state.missed_last_ms()}};
}

void Recurring::recovered() {
  for (const auto& entry : marks_) schedules_.restore(entry.second);
  schedules_.configure(config_.enabled());
}

// ---- a turn

void Recurring::tick(Now now) {
  if (paused_ || now.mono < next_) return;
  if (!turn_) {
    turn_ = schedules_.poll(now);
    submitted_ = 0;
    for (const Missed& missed : turn_->missed) tell(missed, find(missed.schedule)->schedule);
  }
  for (; submitted_ < turn_->firings.size(); ++submitted_) {
    const Firing& firing = turn_->firings[submitted_];
    const auto built = request(*find(firing.schedule), firing.id, firing.scheduled);
    CHECK(built, "what a schedule submits was looked at when it was read");
    if (const auto taken = core_.submit(built->signal, now); !taken) {
      spdlog::warn("schedule \"{}\": its task is submitted later: {}", firing.schedule, taken.error().what);
      next_ = now.mono + kLater;
      return;
    }
    spdlog::info("schedule \"{}\" fires: task {}", firing.schedule, firing.id.text());
  }
  keep(*turn_);
  next_ = turn_->look_again;
  turn_.reset();
}

void Recurring::keep(const Schedules::Turn& turn) {
  TaskRecord record;
  auto& moved = *record.mutable_schedules_moved();
  for (const ScheduleMark& mark : turn.marks) {
    marks_[mark.name] = mark;
    auto& state = *moved.add_schedules();
    set(state, mark);
  }
  for (const std::string& name : turn.removed) {
    marks_.erase(name);
    moved.add_removed(name);
  }
  if (moved.schedules_size() || moved.removed_size()) core_.keep(record);
}

void Recurring::set(ScheduleState& state, const ScheduleMark& mark) {
  state.set_name(mark.name);
  state.set_rule(mark.rule);
  state.set_passed_ms(mark.passed.count());
  state.set_fired_ms(mark.fired.count());
  state.set_missed(mark.missed.count);
  state.set_missed_first_ms(mark.missed.first.count());
  state.set_missed_last_ms(mark.missed.last.count());
}

void Recurring::add_to(TaskSnapshot& snapshot) const {
  for (const auto& entry : marks_) set(*snapshot.add_schedules(), entry.second);
}

// ---- what is submitted

Result<Built> Recurring::request(const ScheduleEntry& entry, const Ulid& id, std::optional<Millis> scheduled) const {
  const std::string& name = entry.schedule.name;
  TaskRequest request;
  request.set_title(entry.title.empty() ? name : entry.title);
  if (!scheduled) request.set_title(request.title() + " (by hand)");
  request.set_body(entry.prompt);
  request.set_runner(entry.runner);
  request.set_priority(static_cast<int32_t>(entry.priority));
  request.set_timeout_ms(static_cast<uint64_t>(entry.timeout.count()));
  request.set_retries(entry.retries);
  for (const auto& [key, value] : entry.needs) {
    auto* need = request.add_needs();
    need->set_key(key);
    need->set_value(value);
  }
  Draft draft;
  draft.type = "task.requested";
  draft.source = "schedule/" + name;
  std::map<std::string, std::string> labels = entry.labels;
  labels["schedule"] = name;
  labels["scheduled"] = scheduled ? utc(*scheduled) : "by hand";
  draft.labels.assign(labels.begin(), labels.end());
  draft.id = id;
  return builder_.build(draft, request, {Millis{0}, id.time()});
}

Result<Ulid> Recurring::run(std::string_view name, std::optional<Ulid> id, Now now) {
  const ScheduleEntry* entry = find(name);
  if (!entry) return unknown(name);
  if (paused_) return Error{"the dispatcher takes no task in at the moment: its disk is low, or it is stopping"};
  const Ulid task = id ? *id : ids_.next(now.wall);
  const auto built = request(*entry, task, std::nullopt);
  if (!built) return built.error();
  if (const auto taken = core_.submit(built->signal, now); !taken) return taken.error();
  return task;
}

Error Recurring::unknown(std::string_view name) const {
  std::vector<std::string_view> names;
  for (const ScheduleEntry& one : config_.schedules) names.push_back(one.schedule.name);
  if (names.empty()) return Error{"the dispatcher's config has no [[schedule]]"};
  return Error{fmt::format("there is no schedule \"{}\", but: {}", name, fmt::join(names, ", "))};
}

std::vector<Recurring::Time> Recurring::next(std::string_view name, size_t count) const {
  std::vector<Time> times;
  for (const auto& view : views()) {
    if (view.schedule.name != name || view.next == Millis{0}) continue;
    Millis scheduled = view.next;
    for (size_t i = 0; i < count; ++i) {
      times.push_back({&view.schedule, scheduled, scheduled + jitter_of(view.schedule, scheduled)});
      scheduled = view.schedule.cron.next(scheduled, view.schedule.zone);
    }
  }
  return times;
}

}  // namespace detent
