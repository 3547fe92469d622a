#include "worker/core.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "base/utf8.h"
#include "proto/task.pb.h"
#include "proto/wire.pb.h"

namespace detent {

namespace {

void set(AttemptId& out, const AttemptKey& attempt) {
  out.set_task(std::string(attempt.task.view()));
  out.set_epoch(attempt.epoch);
}

AttemptKey key_of(const AttemptId& attempt) {
  return {Ulid::from_bytes(attempt.task()).value_or(Ulid{}), attempt.epoch()};
}

}  // namespace

void WorkerCore::opened(Now now) {
  open_ = true;
  reports_ = 0;
  unanswered_.clear();
  report(now);
  for (const auto& [attempt, encoded] : results_) frames.push_back({Frame::kAttemptEnded, encoded});
}

void WorkerCore::report(Now now) {
  if (!open_) return;
  WorkerReport report;
  for (const auto& runner : options_.runners) report.add_runners(runner);
  for (const auto& [key, value] : options_.labels) {
    auto& label = *report.add_labels();
    label.set_key(key);
    label.set_value(value);
  }
  const auto held = static_cast<uint32_t>(attempts_.size());
  report.set_free(draining_ || held >= options_.concurrency ? 0 : options_.concurrency - held);
  report.set_draining(draining_);
  report.set_version(options_.version);
  report.set_report(++reports_);
  for (const auto& [attempt, one] : attempts_) {
    auto& running = *report.add_running();
    set(*running.mutable_attempt(), attempt);
    running.set_last_line(one.last_line);
  }
  for (const auto& entry : results_) set(*report.add_running()->mutable_attempt(), entry.first);
  frames.push_back({Frame::kWorkerReport, report.SerializeAsString()});
  unanswered_.emplace_back(reports_, now.mono);
  next_report_ = now.mono + renew_;
}

void WorkerCore::received(uint32_t field, std::string_view body, Now now) {
  if (field == Frame::kLeases) return on_leases(body, now);
  if (field == Frame::kAssignment) return on_assignment(body, now);
  if (field != Frame::kAttemptTaken) return;
  AttemptTaken message;
  if (!message.ParseFromArray(body.data(), static_cast<int>(body.size()))) return;
  const AttemptKey attempt = key_of(message.attempt());
  if (results_.erase(attempt)) taken.push_back(attempt);
}

void WorkerCore::on_assignment(std::string_view body, Now now) {
  Assignment message;
  if (!message.ParseFromArray(body.data(), static_cast<int>(body.size()))) return;
  const AttemptKey attempt = key_of(message.attempt());
  if (attempts_.contains(attempt) || results_.contains(attempt)) return;  // said again
  if (draining_) return say_ended(attempt, CANCELLED, "its worker is stopping", now);
  attempts_[attempt].signal = std::move(*message.mutable_signal());
  report(now);  // and begins it once that is answered
}

void WorkerCore::on_leases(std::string_view body, Now now) {
  Leases leases;
  if (!leases.ParseFromArray(body.data(), static_cast<int>(body.size()))) return;
  lease_ = Millis{leases.lease_ms()};
  renew_ = Millis{leases.renew_ms()};
  for (const auto& stop_it : leases.stop()) {
    const auto held = attempts_.find(key_of(stop_it.attempt()));
    if (held == attempts_.end()) continue;
    stop(held->first, held->second, stop_it.cancelled() ? "cancelled" : "another attempt has taken its place");
  }
  while (!unanswered_.empty() && unanswered_.front().first < leases.report()) unanswered_.pop_front();
  if (unanswered_.empty() || unanswered_.front().first != leases.report()) return;
  const Millis sent = unanswered_.front().second;
  unanswered_.pop_front();
  for (const auto& renewed : leases.renewed()) {
    const auto found = attempts_.find(key_of(renewed));
    if (found == attempts_.end()) continue;
    auto& [attempt, held] = *found;
    held.until = sent + lease_;
    // Of one task one attempt at a time: an earlier one may still be ending.
    const bool waits = std::any_of(attempts_.begin(), attempts_.end(), [&attempt = attempt](const auto& other) {
      return other.first.task == attempt.task && other.first.epoch < attempt.epoch;
    });
    if (held.started || held.stopping || waits || held.until <= now.mono) continue;
    held.started = true;
    starts.push_back({attempt, std::move(held.signal)});
  }
}

void WorkerCore::stop(const AttemptKey& attempt, Held& held, std::string why) {
  if (std::exchange(held.stopping, true)) return;
  stops.push_back({attempt, std::move(why)});
}

void WorkerCore::printed(const AttemptKey& attempt, std::string_view text) {
  const auto held = attempts_.find(attempt);
  if (held == attempts_.end() || text.empty()) return;
  std::string_view line = text;
  while (line.ends_with('\n')) line.remove_suffix(1);
  if (const auto before = line.rfind('\n'); before != std::string_view::npos) line.remove_prefix(before + 1);
  held->second.last_line = head_of(line, 512);
  if (!open_) return;
  AttemptOutput output;
  set(*output.mutable_attempt(), attempt);
  output.set_text(std::string(head_of(text, 65536)));
  frames.push_back({Frame::kAttemptOutput, output.SerializeAsString()});
}

void WorkerCore::say_ended(const AttemptKey& attempt, int state, std::string_view why, Now now) {
  AttemptEnded message;
  set(*message.mutable_attempt(), attempt);
  message.set_state(static_cast<AttemptState>(state));
  message.set_error(std::string(why));
  ended(attempt, message.SerializeAsString(), now);
}

void WorkerCore::ended(const AttemptKey& attempt, std::string encoded, Now now) {
  attempts_.erase(attempt);
  if (open_) frames.push_back({Frame::kAttemptEnded, encoded});
  results_[attempt] = std::move(encoded);
  report(now);
}

void WorkerCore::drain(Now now) {
  if (std::exchange(draining_, true)) return;
  std::vector<AttemptKey> unstarted;
  for (const auto& [attempt, held] : attempts_) {
    if (!held.started) unstarted.push_back(attempt);
  }
  for (const auto& attempt : unstarted) say_ended(attempt, CANCELLED, "its worker is stopping", now);
  report(now);
}

void WorkerCore::cancel_all(const std::string& why) {
  for (auto& [attempt, held] : attempts_) stop(attempt, held, why);
}

void WorkerCore::tick(Now now) {
  if (open_ && now.mono >= next_report_) report(now);
  std::vector<AttemptKey> gone;
  for (auto& [attempt, held] : attempts_) {
    if (held.started ? now.mono < held.until - renew_ : !held.stopping) continue;
    if (held.started) {
      stop(attempt, held, "the dispatcher could not be reached for " + roughly(lease_));
    } else {
      gone.push_back(attempt);
    }
  }
  for (const auto& attempt : gone) say_ended(attempt, CANCELLED, "it was stopped before it began", now);
}

Millis WorkerCore::deadline() const {
  Millis next = open_ ? next_report_ : Millis::max();
  for (const auto& [attempt, held] : attempts_) {
    if (held.started && !held.stopping) next = std::min(next, held.until - renew_);
    if (!held.started && held.stopping) next = Millis{0};
  }
  return next;
}

}  // namespace detent
