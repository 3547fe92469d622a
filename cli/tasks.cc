#include "cli/tasks.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <iostream>
#include <memory>

#include "base/utf8.h"
#include "cli/broker_client.h"
#include "cli/text.h"

namespace detent {

namespace json = boost::json;

namespace {

json::value ask(Invocation& invocation, const json::object& question) {
  return BrokerClient(invocation.dispatcher_endpoint(), invocation.deadline, "dispatcher").ask(question);
}

std::string span(uint64_t ms) { return roughly(Millis{static_cast<int64_t>(ms)}); }

bool is_over(const std::string& state) { return state != "queued" && state != "running" && state != "unknown"; }

}  // namespace

std::string how_it_is(const json::value& task) {
  const std::string state = text_of(task, "state"), error = plain(text_of(task, "error"));
  if (state == "running") {
    const std::string line = plain(text_of(task, "last_line"));
    return fmt::format("running on {} for {}{}{}", plain(text_of(task, "worker")), span(number_of(task, "running_ms")),
                       line.empty() ? "" : ": ", line);
  }
  if (state == "queued") {
    std::string why = plain(text_of(task, "waits"));
    if (!error.empty()) why += (why.empty() ? "" : "; ") + ("the last attempt: " + error);
    return why.empty() ? "queued" : "queued: " + why;
  }
  const uint64_t took = number_of(task, "took_ms");
  return state + (took ? " after " + span(took) : "") + (error.empty() ? "" : ": " + error);
}

namespace {

void list(Invocation& invocation, const std::string& state, uint64_t limit) {
  json::object question{{"command", "task.list"}, {"limit", limit}};
  if (!state.empty()) question["state"] = state;
  const json::value answer = ask(invocation, question);
  if (invocation.json) {
    invocation.out << answer << "\n";
    return;
  }
  const auto& tasks = list_of(answer, "tasks");
  for (const auto& fault : list_of(answer, "faults"))
    invocation.err << "warning: " << plain(std::string(fault.as_string())) << "\n";
  if (tasks.empty()) {
    invocation.out << "no tasks" << (state.empty() ? "" : " are " + state) << "\n";
    return;
  }
  std::vector<std::vector<std::string>> rows{{"ID", "RUNNER", "TITLE", "STATE"}};
  for (const auto& task : tasks)
    rows.push_back(
        {text_of(task, "id"), plain(text_of(task, "runner")), plain(text_of(task, "title")), how_it_is(task)});
  print_table(invocation.out, rows);
  if (const auto more = number_of(answer, "left_off")) invocation.out << "and " << more << " more: see --limit\n";
}

void show(Invocation& invocation, const std::string& id) {
  const json::value task = ask(invocation, {{"command", "task.show"}, {"id", id}});
  if (invocation.json) {
    invocation.out << task << "\n";
    return;
  }
  invocation.out << plain(text_of(task, "title")) << "\n";
  std::vector<std::vector<std::string>> rows{
      {"id", text_of(task, "id")}, {"runner", plain(text_of(task, "runner"))}, {"state", how_it_is(task)}};
  if (const auto attempts = number_of(task, "attempts")) rows.push_back({"attempts", std::to_string(attempts)});
  if (const auto worker = plain(text_of(task, "worker")); !worker.empty()) rows.push_back({"worker", worker});
  print_table(invocation.out, rows);
  if (const std::string result = text_of(task, "result"); !result.empty()) invocation.out << "\n" << result << "\n";
}

void cancel(Invocation& invocation, const std::string& id) {
  const json::value task = ask(invocation, {{"command", "task.cancel"}, {"id", id}});
  if (invocation.json) {
    invocation.out << task << "\n";
  } else {
    invocation.out << (is_over(text_of(task, "state")) ? "cancelled\n" : "told its worker to end it\n");
  }
}

void retry(Invocation& invocation, const std::string& id) {
  const json::value task = ask(invocation, {{"command", "task.retry"}, {"id", id}});
  if (invocation.json) {
    invocation.out << task << "\n";
  } else {
    invocation.out << "queued again\n";
  }
}

/// Prints what the task prints, as it comes, until it is over. What it was when last heard of.
json::value follow(Invocation& invocation, const std::string& id, const std::function<void(const json::value&)>& each) {
  BrokerClient client(invocation.dispatcher_endpoint(), invocation.deadline, "dispatcher");
  json::value task = client.ask({{"command", "task.wait"}, {"id", id}, {"state", ""}, {"printed", 0}});
  for (;;) {
    each(task);
    if (is_over(text_of(task, "state"))) return task;
    // Where the dispatcher is started anew the answer is late, not lost: what it knew it knows again.
    task = client.order({{"command", "task.wait"},
                         {"id", id},
                         {"state", text_of(task, "state")},
                         {"printed", number_of(task, "printed")}},
                        true, "detent tasks list");
  }
}

/// What is new of its output since the last time.
class Printed {
 public:
  explicit Printed(std::ostream& out) : out_(out) {}
  void operator()(const json::value& task) {
    const std::string output = text_of(task, "output");
    const uint64_t printed = number_of(task, "printed");
    if (printed <= seen_) {
      if (printed < seen_) seen_ = 0;  // another attempt
      return;
    }
    const size_t fresh = static_cast<size_t>(std::min<uint64_t>(printed - seen_, output.size()));
    out_ << output.substr(output.size() - fresh) << std::flush;
    seen_ = printed;
  }

 private:
  std::ostream& out_;
  uint64_t seen_ = 0;
};

void logs(Invocation& invocation, const std::string& id, bool follows) {
  if (!follows) {
    const json::value task = ask(invocation, {{"command", "task.logs"}, {"id", id}});
    invocation.out << (invocation.json ? json::serialize(task) + "\n" : text_of(task, "output"));
    return;
  }
  Printed print(invocation.out);
  const json::value task = follow(invocation, id, [&](const json::value& now) { print(now); });
  if (text_of(task, "state") != "succeeded") invocation.exit = kFailed;
}

}  // namespace

std::string title_of(std::string_view prompt) {
  while (!prompt.empty()) {
    const auto end = prompt.find('\n');
    std::string_view line = prompt.substr(0, end);
    prompt.remove_prefix(end == std::string_view::npos ? prompt.size() : end + 1);
    const auto begin = line.find_first_not_of("#*- \t\r");
    if (begin == std::string_view::npos) continue;
    line = line.substr(begin);
    while (!line.empty() && (line.back() == ' ' || line.back() == '\r' || line.back() == '\t')) line.remove_suffix(1);
    return std::string(head_of(line, 120));
  }
  return {};
}

void wait_for_task(Invocation& invocation, const std::string& id) {
  const bool shows = !invocation.json;
  Printed print(invocation.err);
  std::string said;
  if (shows) invocation.err << id << " submitted\n";
  follow(invocation, id, [&](const json::value& task) {
    if (!shows) return;
    const std::string state = text_of(task, "state");
    if (state != said && state != "unknown" && !is_over(state)) invocation.err << how_it_is(task) << "\n";
    said = state;
    print(task);
  });
  const json::value task = ask(invocation, {{"command", "task.show"}, {"id", id}});
  if (invocation.json) {
    invocation.out << task << "\n";
  } else {
    invocation.err << how_it_is(task) << "\n";
    if (const std::string result = text_of(task, "result"); !result.empty()) invocation.out << result << "\n";
  }
  if (text_of(task, "state") != "succeeded") invocation.exit = kFailed;
}

void add_tasks(CLI::App& app, Invocation& invocation) {
  struct Options {
    std::string id, state;
    uint64_t limit = 50;
    bool follow = false;
  };
  auto options = std::make_shared<Options>();
  auto* tasks = app.add_subcommand("tasks", "Tasks: see them, what they print, cancel and retry them");
  tasks->require_subcommand(1);
  auto* listing = tasks->add_subcommand("list", "The newest first: what runs, what waits and why, how they ended");
  listing->add_option("--state", options->state, "Only these")
      ->check(CLI::IsMember({"queued", "running", "succeeded", "failed", "timed_out", "cancelled", "lost"}));
  listing->add_option("--limit", options->limit, "At most so many (default: 50)")->check(CLI::Range(1, 1000));
  add_task_options(*listing, invocation);
  listing->callback([&invocation, options] { list(invocation, options->state, options->limit); });
  const auto add = [&](const char* name, const char* what) {
    auto* command = tasks->add_subcommand(name, what);
    command->add_option("ID", options->id, "As `detent tasks list` shows it")->required();
    add_task_options(*command, invocation);
    return command;
  };
  add("show", "One of them, with its result")->callback([&invocation, options] { show(invocation, options->id); });
  add("cancel", "End it; where it runs, its worker is told")->callback([&invocation, options] {
    cancel(invocation, options->id);
  });
  add("retry", "Queue one again that failed, timed out, was cancelled or lost")->callback([&invocation, options] {
    retry(invocation, options->id);
  });
  auto* logging = add("logs", "What its running attempt has printed");
  logging->add_flag("--follow,-f", options->follow, "Go on until it is over; exit 0 if it succeeded");
  logging->callback([&invocation, options] { logs(invocation, options->id, options->follow); });
}

}  // namespace detent
