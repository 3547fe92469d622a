// What recurs in a day, and who is heard in it.
#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "proto/signal.pb.h"
#include "proto/wire.pb.h"
#include "tests/dispatch/day.h"

namespace detent::test {

namespace {

constexpr Millis kBegin{1'780'000'000'000};  // on the wall
const char* const kSchedules[] = {"each", "other"};

ScheduleEntry schedule(const char* name, const char* cron, MissedPolicy missed) {
  ScheduleEntry entry;
  entry.schedule = {name, Cron::parse(cron).value(), {}, Millis{0}, missed};
  entry.runner = "a";
  entry.prompt = "go";
  return entry;
}

}  // namespace

void Day::add_schedules() {
  config_.of<ScheduleConfig>().schedules = {schedule(kSchedules[0], "* * * * *", {}),
                                            schedule(kSchedules[1], "*/2 * * * *", {MissedPolicy::kOnce, {}})};
}

/// As a restart of the machine may set it; for each crash once, since what was due in between is late or comes again.
void Day::set_clock() {
  const Millis by = Millis{below(300'000)} - Millis{60'000};
  jumps_.push_back({now_.wall - Millis{10'000}, now_.wall + by});
  now_.wall += by;
}

bool Day::is_due(const Ulid& task) const {
  return std::any_of(std::begin(kSchedules), std::end(kSchedules),
                     [&](const char* name) { return task == firing_id(name, task.time()); });
}

/// They leave the config, so that what is left to be done ends.
void Day::end_schedules() {
  scheduled_until_ = now_.wall;
  config_.of<ScheduleConfig>().schedules.clear();
  crash_dispatcher();
}

void Day::check_schedules() {
  for (int i = 0; i < 2; ++i) {
    const Millis every = std::chrono::minutes{i + 1};
    for (Millis at = kBegin + every - kBegin % every; at < scheduled_until_ - Millis{10'000}; at += every) {
      const bool fired = told_.contains(firing_id(kSchedules[i], at));
      counts_.fired += fired;
      const bool unsure =
          at < kBegin + Millis{10'000} ||
          std::any_of(jumps_.begin(), jumps_.end(), [&](const Jump& jump) { return at >= jump.from && at <= jump.to; });
      if (!fired && !unsure) return broken(fmt::format("\"{}\" did not fire at {}", kSchedules[i], utc(at)));
    }
  }
}

/// A source that says every ten seconds that it will, but for when it does not.
void Day::beat() {
  if (!listener_.session || now_.mono < next_beat_ || (!calm_ && now_.mono < beats_again_)) return;
  next_beat_ = now_.mono + Millis{10'000};
  Heartbeat beat;
  beat.set_interval_s(10);
  Signal signal;
  signal.set_type("heartbeat.ok");
  signal.set_source("heart");
  signal.set_payload(beat.SerializeAsString());
  Tailed tailed;
  tailed.add_signals()->set_signal(signal.SerializeAsString());
  listener_.sessions->send(listener_.session, Frame::kTailed, tailed.SerializeAsString());
}

void Day::on_silence(const std::string& service, bool restored) {
  counts_.outages += !restored;
  if (restored ? !silent_.erase(service) : !silent_.insert(service).second)
    broken(fmt::format("it was told twice in a row that {} is {}", service, restored ? "heard again" : "silent"));
}

}  // namespace detent::test
