#include "ledger/tasks/result_file.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>

#include "base/units.h"
#include "ledger/tasks/queue_lines.h"
#include "ledger/tasks/queue_tasks.h"
#include "ledger/tasks/queue_values.h"
#include "ledger/tasks/task_id.h"
#include "ledger/text.h"

namespace detent {
namespace {

template <class Number>
std::optional<Number> parse_whole(std::string_view text) {
  Number number = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), number);
  if (end.ec != std::errc{} || end.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<std::string> parse_sha256(std::string_view text) {
  const bool hex = text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
                     return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                   });
  return hex ? std::optional{std::string{text}} : std::nullopt;
}

std::optional<std::string> parse_severity_name(std::string_view text) {
  return parse_severity(text) ? std::optional{std::string{text}} : std::nullopt;
}

std::optional<std::string> parse_state_name(std::string_view text) {
  const auto state = parse_queue_state(text);
  return state ? std::optional{std::string{name_of(*state)}} : std::nullopt;
}

constexpr std::size_t kMaxValue =
    1024;  // characters of a title or an error; with all of them, well within kMaxFrontMatter

/// Takes the values of a front matter one by one.
class Values {
 public:
  Values(const FrontMatter& front, std::vector<FrontMatter::Fault>& faults) : front_(front), faults_(faults) {}

  template <class Target, class Parse>
  void take(std::string_view key, Target& target, std::string_view wanted, Parse parse) {
    for (const FrontMatter::Entry& entry : front_.entries) {
      if (entry.key != key || entry.value.empty()) continue;
      if (auto value = parse(entry.value)) {
        target = std::move(*value);
      } else {
        faults_.push_back(
            {entry.line, fmt::format("{} is '{}'; it must be {}", key, one_line(entry.value, 60), wanted)});
      }
    }
  }
  void text(std::string_view key, std::string& target) { target = std::string{front_.value(key).value_or("")}; }

 private:
  const FrontMatter& front_;
  std::vector<FrontMatter::Fault>& faults_;
};

}  // namespace

std::string print_result(const TaskResult& result) {
  std::string out = "---\n";
  const auto entry = [&](std::string_view key, std::string_view value) {
    if (const std::string line = one_line(value, kMaxValue); !line.empty()) append_entry(out, key, line);
  };
  const auto plain = [&](std::string_view key, std::string_view value) {
    out.append(key).append(": ").append(value).append("\n");
  };
  entry("id", result.id);
  entry("title", result.title);
  entry("runner", result.runner);
  entry("worker", result.worker);
  plain("epoch", std::to_string(result.epoch));
  entry("state", result.state);
  if (result.started != Millis{0}) plain("started", utc_millis(result.started));
  if (result.ended != Millis{0}) plain("ended", utc_millis(result.ended));
  plain("took", duration_text(result.took));
  if (result.exit_code) plain("exit_code", std::to_string(*result.exit_code));
  if (result.needs_response) plain("needs_response", "true");
  entry("severity", result.severity);
  if (result.output_bytes) plain("output_bytes", std::to_string(result.output_bytes));
  entry("output_sha256", result.output_sha256);
  entry("error", result.error);
  out.append("---\n");
  if (result.body.empty()) return out;
  out.append("\n").append(result.body);
  if (!result.body.ends_with('\n')) out.push_back('\n');
  return out;
}

ResultReading read_result(std::string_view text) {
  ResultReading reading;
  FrontMatter front = read_front_matter(text);
  reading.faults = std::move(front.faults);
  TaskResult& result = reading.result;
  std::string_view body = front.body;
  if (!front.present) {
    reading.faults.push_back({1, "the file has no front matter between two lines of '---'"});
  } else if (!body.empty() && is_blank(first_line(body))) {
    body.remove_prefix(first_line(body).size());
  }
  result.body = std::string{body};

  Values values(front, reading.faults);
  values.take("id", result.id, "the id of a task", task_id);
  values.text("title", result.title);
  values.text("runner", result.runner);
  values.text("worker", result.worker);
  values.take("epoch", result.epoch, "a whole number", parse_whole<std::uint32_t>);
  values.take("state", result.state, "a state", parse_state_name);
  values.take("started", result.started, "a moment", parse_moment);
  values.take("ended", result.ended, "a moment", parse_moment);
  values.take("took", result.took, "a duration", parse_duration);
  values.take("exit_code", result.exit_code, "a whole number", parse_whole<std::int32_t>);
  values.take("needs_response", result.needs_response, "true or false", parse_yes_or_no);
  values.take("severity", result.severity, "a severity", parse_severity_name);
  values.take("output_bytes", result.output_bytes, "a whole number", parse_whole<std::uint64_t>);
  values.take("output_sha256", result.output_sha256, "64 hexadecimal digits", parse_sha256);
  values.text("error", result.error);
  if (front.present && result.id.empty() && !front.value("id"))
    reading.faults.push_back({1, "the front matter names no id"});
  return reading;
}

RunnerAnswer read_answer(std::string_view output) {
  RunnerAnswer answer;
  answer.body = output;
  FrontMatter front = read_front_matter(output);
  if (!front.value("needs_response") && !front.value("severity")) return answer;
  const bool only_ours = std::all_of(front.entries.begin(), front.entries.end(), [](const FrontMatter::Entry& entry) {
    return entry.key == "needs_response" || entry.key == "severity" || entry.key == "title";
  });
  if (only_ours && front.faults.empty()) {
    answer.body = front.body;
    if (!answer.body.empty() && is_blank(first_line(answer.body)))
      answer.body.remove_prefix(first_line(answer.body).size());
  }
  answer.faults = std::move(front.faults);
  Values values(front, answer.faults);
  values.take("needs_response", answer.needs_response, "true or false", parse_yes_or_no);
  values.take("severity", answer.severity, "one of info, notice, warning, error, critical", parse_severity);
  values.text("title", answer.title);
  return answer;
}

}  // namespace detent
