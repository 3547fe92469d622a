#include "consumers/agent.h"

#include <spdlog/spdlog.h>

#include <utility>

namespace detent::consumers {

Agent::Agent(Served served, std::function<void()> wake)
    : served_(std::move(served)),
      courier_({.channel = served_.name}, *served_.channel),
      sender_([this, wake = std::move(wake)](uint64_t number, http::Answer answer) {
        {
          const std::lock_guard lock(mutex_);
          answers_.push_back({number, std::move(answer)});
        }
        wake();
      }) {}

void Agent::turn(Now now) {
  std::vector<Answered> answers;
  {
    const std::lock_guard lock(mutex_);
    answers.swap(answers_);
  }
  for (const Answered& one : answers) courier_.answered(one.number, one.answer, now);
  courier_.tick(now);
}

void Agent::hand_on(const Send& to_broker) {
  for (const Report& report : std::exchange(courier_.frames, {})) to_broker(report.field, report.body);
  for (const std::string& text : std::exchange(courier_.said, {})) spdlog::warn("{}", text);
  if (courier_.request) sender_.post(*std::exchange(courier_.request, std::nullopt));
}

}  // namespace detent::consumers
