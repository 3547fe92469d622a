#include "ledger/tasks/queue_tasks.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/units.h"
#include "ledger/tasks/queue_values.h"
#include "ledger/tasks/task_id.h"
#include "ledger/text.h"

namespace detent {
namespace {

constexpr std::array<std::string_view, 8> kStates{"queued", "claimed",   "running",   "succeeded",
                                                  "failed", "timed_out", "cancelled", "lost"};

template <class Number>
std::optional<Number> parse_whole(std::string_view text) {
  Number number = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), number);
  if (end.ec != std::errc{} || end.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

/// Reads one section; what is wrong with its values goes to `faults`, with lines counted from its heading.
class SectionReader {
 public:
  SectionReader(const QueueSection& section, std::vector<QueueFault>& faults) : section_(section), faults_(faults) {}

  QueueTask read() {
    task_.id = section_.id();
    task_.title = std::string{section_.title()};
    task_.text = section_.prompt();
    const auto fields = section_.field_lines();
    if (!fields.empty()) line_ = section_.line_at(fields.front().offset);
    for (const QueueSection::Line& line : fields) {
      if (line.field && !line.field->value.empty()) value(line.field->name, line.field->value);
      ++line_;
    }
    check_words();
    return std::move(task_);
  }

 private:
  void refuse(std::string_view name, std::string_view value, std::string_view wanted) {
    faults_.push_back({line_, fmt::format("{} is '{}'; it must be {}", name, one_line(value, 60), wanted)});
  }

  void value(std::string_view name, std::string_view text) {
    if (name == "state") {
      task_.state = parse_queue_state(text);
      if (!task_.state) refuse(name, text, "one of queued, running, succeeded, failed, timed_out, cancelled, lost");
    } else if (name == "priority") {
      task_.priority = parse_whole<std::int32_t>(text);
      if (!task_.priority) refuse(name, text, "a whole number, higher ones first");
    } else if (name == "runner") {
      task_.runner = std::string{text};
    } else if (name == "created") {
      task_.created = std::string{text};
    } else if (name == "not-before") {
      task_.not_before = parse_moment(text);
      if (!task_.not_before) refuse(name, text, "a moment such as 2026-02-19T10:00:00Z");
    } else if (name == "after") {
      after(text);
    } else if (name == "timeout") {
      task_.timeout = parse_duration(text);
      if (!task_.timeout || task_.timeout->count() == 0) refuse(name, text, "a duration such as 90m or 4h");
    } else if (name == "retries") {
      task_.retries = parse_whole<std::uint32_t>(text);
      if (!task_.retries || *task_.retries > kMaxRetries)
        refuse(name, text, fmt::format("a whole number from 0 to {}", kMaxRetries));
    } else if (name == "labels") {
      labels(text);
    } else if (name == "claim") {
      task_.claim = std::string{text};
    }
  }

  void after(std::string_view text) {
    const auto words = words_of(text);
    if (words.size() > kMaxAfter) return refuse("after", text, fmt::format("at most {} ids", kMaxAfter));
    for (const std::string_view word : words) {
      const auto id = task_id(word);
      if (!id) return refuse("after", word, "ids of tasks, with commas between");
      task_.after.push_back(*id);
    }
  }

  void labels(std::string_view text) {
    while (!text.empty()) {
      const std::string_view label = trimmed(text.substr(0, text.find(',')));
      text.remove_prefix(std::min(text.size(), text.find(',')));
      if (!text.empty()) text.remove_prefix(1);
      const std::size_t equals = label.find('=');
      if (equals == 0 || equals == std::string_view::npos)
        return refuse("labels", label, "of the form key=value, with commas between");
      task_.labels.emplace_back(trimmed(label.substr(0, equals)), trimmed(label.substr(equals + 1)));
    }
  }

  void check_words() {
    if (task_.state && is_final(*task_.state)) return;
    if (task_.id.empty() && task_.title.empty()) {
      faults_.push_back({1, "the heading has no words; say in it what is to be done"});
    } else if (task_.text.empty()) {
      faults_.push_back({1, fmt::format("the task '{}' has no text; write below its heading what is to be done",
                                        one_line(task_.title.empty() ? task_.id : task_.title, 60))});
    }
  }

  const QueueSection& section_;
  std::vector<QueueFault>& faults_;
  QueueTask task_;
  std::size_t line_ = 0;
};

}  // namespace

std::string_view name_of(QueueState state) { return kStates[static_cast<std::size_t>(state)]; }

std::optional<QueueState> parse_queue_state(std::string_view name) {
  std::string plain{name};
  for (char& c : plain) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (c == ' ' || c == '-') c = '_';
  }
  const auto at = std::find(kStates.begin(), kStates.end(), plain);
  if (at == kStates.end()) return std::nullopt;
  return static_cast<QueueState>(at - kStates.begin());
}

bool is_final(QueueState state) { return state >= QueueState::succeeded; }

QueueReading read_queue(const QueueFile& file) {
  QueueReading reading;
  reading.faults = file_faults(file);
  std::vector<bool> faulty(file.sections().size());
  for (const QueueFault& fault : reading.faults) {
    if (fault.section) faulty[*fault.section] = true;
  }
  std::size_t line = file.line_of(0);
  for (std::size_t i = 0; i < file.sections().size(); ++i) {
    const QueueSection& section = file.sections()[i];
    std::vector<QueueFault> faults = structural_faults(section);
    QueueTask task = SectionReader(section, faults).read();
    task.section = i;
    task.line = line;
    if (faults.empty() && !faulty[i]) reading.tasks.push_back(std::move(task));
    for (QueueFault& fault : faults) {
      fault.line += line - 1;
      fault.section = i;
      reading.faults.push_back(std::move(fault));
    }
    line += static_cast<std::size_t>(std::count(section.text().begin(), section.text().end(), '\n'));
  }
  std::stable_sort(reading.faults.begin(), reading.faults.end(),
                   [](const QueueFault& a, const QueueFault& b) { return a.line < b.line; });
  return reading;
}

QueueSection section_of(const QueueTask& task, std::string_view line_end) {
  QueueSection section("##" + std::string{line_end});
  section.set_heading(task.id, task.title);
  section.set("state", name_of(task.state.value_or(QueueState::queued)));
  if (task.priority) section.set("priority", std::to_string(*task.priority));
  section.set("runner", task.runner);
  section.set("created", task.created);
  if (task.not_before) section.set("not-before", utc(*task.not_before));
  if (!task.after.empty()) section.set("after", fmt::format("{}", fmt::join(task.after, ", ")));
  if (task.timeout) section.set("timeout", duration_text(*task.timeout));
  if (task.retries) section.set("retries", std::to_string(*task.retries));
  std::string labels;
  for (const auto& label : task.labels) {
    if (!labels.empty()) labels.append(", ");
    labels.append(label.first).append("=").append(label.second);
  }
  if (!labels.empty()) section.set("labels", labels);
  section.set("claim", task.claim);
  section.set_body(prompt_body(task.text, line_end));
  return section;
}

void adopt(QueueSection& section, std::string_view id, QueueState state, std::string_view created) {
  section.set_heading(id, section.title());
  if (section.field("state").value_or("").empty()) section.set("state", name_of(state));
  if (section.field("created").value_or("").empty()) section.set("created", created);
}

}  // namespace detent
