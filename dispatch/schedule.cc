#include "dispatch/schedule.h"

#include <xxhash.h>

#include <algorithm>
#include <utility>

namespace detent {

namespace {

using std::chrono::seconds;

/// Times that one `poll` deals with at most: after a year's sleep the rest comes in turns that follow at once.
constexpr int kSteps = 2000;

std::string rule_of(const Schedule& schedule) { return schedule.cron.text() + " " + schedule.zone.name(); }

std::string key_of(std::string_view schedule, Millis scheduled) {
  return std::string(schedule) + '\0' + std::to_string(scheduled.count());
}

void add(MissedRun& run, Millis scheduled) {
  if (run.count++ == 0) run.first = scheduled;
  run.last = scheduled;
}

bool made_up_for(const MissedPolicy& policy, Millis ago) {
  return policy.kind == MissedPolicy::kOnce || (policy.kind == MissedPolicy::kWithin && ago <= policy.window);
}

}  // namespace

Millis jitter_of(const Schedule& schedule, Millis scheduled) {
  if (schedule.jitter < seconds{1}) return Millis{0};
  const Millis gap = schedule.cron.next(scheduled, schedule.zone) - scheduled;
  const auto most = std::chrono::floor<seconds>(std::min(schedule.jitter, gap - seconds{1}));
  const std::string key = key_of(schedule.name, scheduled);
  return seconds{XXH3_64bits_withSeed(key.data(), key.size(), 1) % static_cast<uint64_t>(most.count() + 1)};
}

Ulid firing_id(std::string_view schedule, Millis scheduled) {
  const std::string key = key_of(schedule, scheduled);
  XXH128_canonical_t hash;
  XXH128_canonicalFromHash(&hash, XXH3_128bits(key.data(), key.size()));
  Ulid id;
  int64_t ms = scheduled.count();
  for (int i = 5; i >= 0; --i, ms >>= 8) id.bytes[i] = static_cast<uint8_t>(ms);
  std::copy_n(hash.digest, 10, &id.bytes[6]);
  return id;
}

void Schedules::configure(std::vector<Schedule> schedules) {
  std::map<std::string, Entry, std::less<>> former = std::exchange(entries_, {});
  for (Schedule& schedule : schedules) {
    const std::string name = schedule.name;
    Entry& entry = entries_[name];
    if (const auto before = former.find(name); before != former.end()) entry = std::move(before->second);
    entry.schedule = std::move(schedule);
    const ScheduleMark& mark = marks_[name];
    entry.fresh = mark.rule != rule_of(entry.schedule);
    std::erase(removed_, name);
    if (!entry.fresh) entry.next = time_after(entry.schedule, mark.passed);
  }
  for (auto at = marks_.begin(); at != marks_.end();) {
    if (entries_.contains(at->first)) {
      ++at;
    } else {
      removed_.push_back(at->first);
      at = marks_.erase(at);
    }
  }
}

Schedules::Time Schedules::time_after(const Schedule& schedule, Millis passed) {
  const Millis scheduled = schedule.cron.next(passed, schedule.zone);
  return {scheduled, scheduled + jitter_of(schedule, scheduled)};
}

void Schedules::start_from(Entry& entry, ScheduleMark& mark, Millis wall) {
  mark.name = entry.schedule.name;
  mark.rule = rule_of(entry.schedule);
  mark.passed = wall;
  entry.next = time_after(entry.schedule, wall);
  entry.fresh = false;
  entry.changed = true;
}

/// Deals with what is due. False: `steps` are used up, and more is due.
bool Schedules::catch_up(Entry& entry, ScheduleMark& mark, Millis wall, int& steps, Turn& turn) {
  const Schedule& schedule = entry.schedule;
  while (entry.next.due <= wall) {
    if (steps-- <= 0) return false;
    const Time time = entry.next;
    entry.next = time_after(schedule, time.scheduled);
    mark.passed = time.scheduled;
    entry.changed = true;
    if (time.scheduled == mark.fired) continue;  // before the clock was put back
    const bool latest = entry.next.due > wall;
    const bool fires = wall - time.due <= kOnTime || (latest && made_up_for(schedule.missed, wall - time.scheduled));
    if (fires) {
      turn.firings.push_back(
          {schedule.name, time.scheduled, firing_id(schedule.name, time.scheduled), wall - time.due});
      mark.fired = time.scheduled;
      entry.fires = entry.noticed.count > 0;
    } else {
      if (mark.missed.last <= mark.fired) mark.missed = {};
      add(mark.missed, time.scheduled);
      add(entry.noticed, time.scheduled);
    }
  }
  return true;
}

Schedules::Turn Schedules::poll(Now now) {
  Turn turn;
  turn.removed = std::exchange(removed_, {});
  int steps = kSteps;
  Millis wait = kLook;
  for (auto& [name, entry] : entries_) {
    ScheduleMark& mark = marks_.at(name);
    if (entry.fresh || mark.passed - now.wall > kLongestWait) start_from(entry, mark, now.wall);
    if (now.wall - mark.passed > kForgotten) start_from(entry, mark, now.wall - kForgotten);
    const size_t firings = turn.firings.size();
    if (!catch_up(entry, mark, now.wall, steps, turn)) {
      wait = Millis{0};
      if (turn.firings.size() == firings)
        continue;  // its mark is kept, and what was missed told, when it has caught up
    }
    if (entry.noticed.count > 0 && entry.next.due > now.wall)
      turn.missed.push_back({name, std::exchange(entry.noticed, {}), std::exchange(entry.fires, false)});
    if (std::exchange(entry.changed, false)) turn.marks.push_back(mark);
    wait = std::clamp(entry.next.due - now.wall, Millis{0}, wait);
  }
  turn.look_again = now.mono + wait;
  return turn;
}

std::vector<Schedules::View> Schedules::list() const {
  std::vector<View> views;
  for (const auto& [name, entry] : entries_)
    views.push_back({entry.schedule, marks_.at(name), entry.next.scheduled, entry.next.due});
  return views;
}

std::vector<ScheduleMark> Schedules::marks() const {
  std::vector<ScheduleMark> all;
  for (const auto& [name, mark] : marks_) {
    if (!mark.rule.empty()) all.push_back(mark);
  }
  return all;
}

}  // namespace detent
