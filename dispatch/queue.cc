#include "dispatch/queue.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "base/result.h"
#include "proto/task.pb.h"

namespace detent {

namespace {

std::string lane_key(const Task& task) {
  std::string key = task.runner;
  for (const auto& [name, value] : task.needs) key += fmt::format("\n{}={}", name, value);
  return key;
}

bool fits(const std::string& runner, const Labels& needs, const Queue::Offer& offer) {
  const auto has = [](const auto& all, const auto& one) { return std::find(all.begin(), all.end(), one) != all.end(); };
  return has(offer.runners, runner) &&
         std::all_of(needs.begin(), needs.end(), [&](const auto& need) { return has(offer.labels, need); });
}

bool succeeded(const Task& task) { return task.is_over() && task.last->state == SUCCEEDED; }

}  // namespace

Task* Queue::find(const Ulid& id) {
  const auto found = tasks_.find(id);
  return found == tasks_.end() ? nullptr : found->second.get();
}

Task& Queue::add(Task task) {
  auto& slot = tasks_[task.id];
  CHECK(!slot, "a task is added once");
  slot = std::make_unique<Task>(std::move(task));
  slot->filed = !files_;
  by_number_[slot->number] = slot.get();
  return *slot;
}

// ---- when it may run

std::optional<Ulid> Queue::waits_for(const Task& task) const {
  for (const Ulid& id : task.after) {
    const Task* before = find(id);
    if (!before || !succeeded(*before)) return id;
  }
  return {};
}

void Queue::enqueue(Task& task, Now now) {
  leave(task);
  const auto before = waits_for(task);
  if (!before) task.after.clear();  // they may be forgotten, and are asked for no more
  if (!before && task.retry_at <= now.mono && task.not_before <= now.wall) {
    task.phase = Task::Phase::Ready;
    auto& lane = lanes_[lane_key(task)];
    lane.runner = task.runner;
    lane.needs = task.needs;
    lane.ready.insert(&task);
    ++ready_;
    return;
  }
  task.phase = Task::Phase::Waiting;
  ++waiting_;
  // It is looked at again for each reason in turn, so one place is enough.
  if (before) {
    const Task* other = find(*before);
    if (other && other->is_over()) {
      blocked_.insert(&task);
    } else {
      dependents_.emplace(*before, task.id);
    }
  } else if (task.retry_at > now.mono) {
    retry_.emplace(task.retry_at, task.id);
  } else {
    not_before_.emplace(task.not_before, task.id);
  }
}

/// Whichever queue it is in. What is left of it among those that wait is passed over.
void Queue::leave(Task& task) {
  switch (std::exchange(task.phase, Task::Phase::New)) {
    case Task::Phase::Ready: {
      const auto lane = lanes_.find(lane_key(task));
      lane->second.ready.erase(&task);
      if (lane->second.ready.empty()) lanes_.erase(lane);
      --ready_;
      break;
    }
    case Task::Phase::Waiting:
      blocked_.erase(&task);
      --waiting_;
      break;
    case Task::Phase::Running:
      running_.erase(&task);
      break;
    case Task::Phase::New:
    case Task::Phase::Over:
      break;
  }
}

void Queue::wake(std::multimap<Millis, Ulid>& waiting, Millis time, Now now) {
  while (!waiting.empty() && waiting.begin()->first <= time) {
    const Ulid id = waiting.begin()->second;
    waiting.erase(waiting.begin());
    Task* task = find(id);
    if (task && task->phase == Task::Phase::Waiting) enqueue(*task, now);
  }
}

void Queue::tick(Now now) {
  wake(retry_, now.mono, now);
  wake(not_before_, now.wall, now);
}

std::string Queue::why_waiting(const Task& task, Now now) const {
  if (task.phase != Task::Phase::Waiting) return {};
  if (const auto before = waits_for(task))
    return fmt::format("waits for {}{}", before->text(), find(*before) ? "" : ", which is not known");
  if (task.retry_at > now.mono) return fmt::format("next attempt in {}", roughly(task.retry_at - now.mono));
  return "not before " + utc(task.not_before);
}

void Queue::reopen(Task& task) {
  leave(task);
  if (std::exchange(task.told, false)) std::erase(finished_, &task);
  task.filed = !files_;
}

// ---- where it lies

void Queue::count_segment(const RecordPosition& at, int64_t change) {
  if (!at.segment) return;
  auto& count = in_segment_[at.segment];
  count += static_cast<uint64_t>(change);
  if (!count) in_segment_.erase(at.segment);
}

void Queue::lies_at(Task& task, const RecordPosition& at) {
  count_segment(task.at, -1);
  count_segment(task.at = at, 1);
}

void Queue::ended_at(Task& task, const RecordPosition& at) {
  forget_end(task);
  count_segment(task.last->at = at, 1);
}

void Queue::forget_end(Task& task) {
  if (task.last) count_segment(std::exchange(task.last->at, {}), -1);
}

std::set<uint32_t> Queue::segments_in_use() const {
  std::set<uint32_t> used;
  for (const auto& entry : in_segment_) used.insert(static_cast<uint32_t>(entry.first));
  return used;
}

// ---- what runs

Task* Queue::best(const Offer& offer) {
  Task* best = nullptr;
  for (const auto& [key, lane] : lanes_) {
    Task* first = *lane.ready.begin();
    if (fits(lane.runner, lane.needs, offer) && (!best || Sooner()(first, best))) best = first;
  }
  return best;
}

std::vector<Task*> Queue::without_runner(const std::set<std::string, std::less<>>& runners) const {
  std::vector<Task*> without;
  for (const auto& [key, lane] : lanes_) {
    if (!runners.contains(lane.runner)) without.insert(without.end(), lane.ready.begin(), lane.ready.end());
  }
  return without;
}

void Queue::began(Task& task) {
  leave(task);
  task.phase = Task::Phase::Running;
  running_.insert(&task);
}

void Queue::finished(Task& task, Now now) {
  leave(task);
  task.phase = Task::Phase::Over;
  std::vector<Ulid> waiting;
  for (auto [at, end] = dependents_.equal_range(task.id); at != end; at = dependents_.erase(at))
    waiting.push_back(at->second);
  for (const Ulid& id : waiting) {
    Task* dependent = find(id);
    if (dependent && dependent->phase == Task::Phase::Waiting) enqueue(*dependent, now);
  }
}

void Queue::revise(Task& task, Task asked, Now now) {
  const Task::Phase was = task.phase;
  leave(task);  // it stands where it does by what it asked for before
  task.title = std::move(asked.title);
  task.runner = std::move(asked.runner);
  task.priority = asked.priority;
  task.timeout_ms = asked.timeout_ms;
  task.retries = asked.retries;
  task.not_before = asked.not_before;
  task.after = std::move(asked.after);
  task.needs = std::move(asked.needs);
  if (was == Task::Phase::Running) return began(task);
  if (was == Task::Phase::Ready || was == Task::Phase::Waiting) return enqueue(task, now);
  task.phase = was;
}

void Queue::told(Task& task) {
  if (!std::exchange(task.told, true) && task.filed) finished_.push_back(&task);
}

void Queue::filed(Task& task) {
  if (!std::exchange(task.filed, true) && task.told) finished_.push_back(&task);
}

void Queue::forget() {
  while (finished_.size() > keep_finished_) {
    Task* oldest = finished_.front();
    finished_.pop_front();
    lies_at(*oldest, {});
    forget_end(*oldest);
    by_number_.erase(oldest->number);
    tasks_.erase(oldest->id);
  }
}

}  // namespace detent
