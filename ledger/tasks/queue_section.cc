#include <algorithm>

#include "base/result.h"
#include "ledger/tasks/queue_faults.h"
#include "ledger/tasks/queue_file.h"

namespace detent {
namespace {

constexpr std::string_view kIndent = "    ";

/// `text` as a part of a line: breaks are blanks, and there are none around it.
std::string in_one_line(std::string_view text) {
  std::string line{text};
  std::replace(line.begin(), line.end(), '\n', ' ');
  return std::string{trimmed(line)};
}

std::string heading_line(std::string_view id, std::string_view title) {
  std::string line = "##";
  if (!id.empty()) line.append(" ").append(id);
  const std::string words = in_one_line(title);
  if (!id.empty() && !words.empty()) line.append(" -");
  if (!words.empty()) line.append(" ").append(words);
  return line;
}

/// The lines of `text`, without their ends and what carriage returns stand before them.
std::vector<std::string_view> bare_lines(std::string_view text) {
  std::vector<std::string_view> lines = lines_of(text);
  for (std::string_view& line : lines) {
    line = without_end(line);
    while (line.ends_with('\r')) line.remove_suffix(1);
  }
  return lines;
}

std::string joined(const std::vector<std::string_view>& lines, std::size_t indent) {
  std::string text;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i) text.push_back('\n');
    text.append(lines[i].substr(std::min(indent, lines[i].size())));
  }
  return text;
}

template <class Empty>
void drop_around(std::vector<std::string_view>& lines, Empty empty) {
  while (!lines.empty() && empty(lines.back())) lines.pop_back();
  lines.erase(lines.begin(), std::find_if_not(lines.begin(), lines.end(), empty));
}

}  // namespace

QueueSection::QueueSection(std::string text) : text_(std::move(text)) {
  CHECK(heading_of(first_line(text_)), "a section begins with a heading");
  measure();
}

void QueueSection::measure() {
  const QueueLine heading = first_line(text_);
  id_ = heading_of(heading)->id;
  body_ = fields_ = heading.size();
  std::string_view rest = std::string_view{text_}.substr(body_);
  while (!rest.empty() && is_blank(first_line(rest))) rest.remove_prefix(first_line(rest).size());
  const std::size_t begin = text_.size() - rest.size();
  bool known = false;
  while (!rest.empty() && is_list_item(first_line(rest))) {
    const QueueLine line = first_line(rest);
    if (const auto field = field_of(line)) known = known || is_known_field(field->name) || meant_field(field->name);
    rest.remove_prefix(line.size());
  }
  if (!known) return;
  fields_ = begin;
  body_ = text_.size() - rest.size();
}

std::string_view QueueSection::title() const { return heading_of(first_line(text_))->title; }

std::string_view QueueSection::line_end() const { return end_of(first_line(text_)); }

std::vector<QueueSection::Line> QueueSection::field_lines() const {
  std::vector<Line> lines;
  for (std::size_t at = fields_; at < body_;) {
    const QueueLine line = first_line(std::string_view{text_}.substr(at));
    lines.push_back({at, line, field_of(line)});
    at += line.size();
  }
  return lines;
}

std::optional<std::string_view> QueueSection::field(std::string_view name) const {
  for (const Line& line : field_lines()) {
    if (line.field && line.field->name == name) return line.field->value;
  }
  return std::nullopt;
}

std::string QueueSection::prompt() const {
  auto lines = bare_lines(body());
  auto indented = lines;
  const auto empty = [](std::string_view line) { return line.empty(); };
  drop_around(indented, empty);
  const bool whole = !indented.empty() && std::all_of(indented.begin(), indented.end(), [&](std::string_view line) {
    return line.empty() || line.starts_with(kIndent);
  });
  if (whole) return joined(indented, kIndent.size());
  drop_around(lines, [](std::string_view line) { return trimmed(line).empty(); });
  return joined(lines, 0);
}

std::size_t QueueSection::line_at(std::size_t offset) const {
  return 1 + static_cast<std::size_t>(std::count(text_.data(), text_.data() + offset, '\n'));
}

void QueueSection::set(std::string_view name, std::string_view value) {
  const std::string text = in_one_line(value);
  const std::vector<Line> lines = field_lines();
  const std::size_t rank = field_rank(name);
  const Line* before = nullptr;
  for (const Line& line : lines) {
    if (!line.field) continue;
    if (line.field->name == name) {
      if (line.field->value == text) return;
      const std::size_t from = line.offset + line.field->value_at;
      const std::size_t size = without_end(line.bytes).size() - line.field->value_at;
      text_.replace(from, size, text.empty() ? text : " " + text);
      measure();
      return;
    }
    if (field_rank(line.field->name) <= rank) before = &line;
  }

  const std::string end{line_end().empty() ? "\n" : line_end()};
  const std::string added = "- " + std::string{name} + (text.empty() ? ":" : ": ") + text;
  if (before) {
    const std::size_t at = before->offset + before->bytes.size();
    text_.insert(at, end_of(before->bytes).empty() ? end + added : added + end);
  } else if (!lines.empty()) {
    text_.insert(fields_, added + end);
  } else {
    if (line_end().empty()) text_.append(end);
    std::size_t at = first_line(text_).size();
    const std::string_view rest = std::string_view{text_}.substr(at);
    // A blank line that is there already is the one between heading and fields.
    const bool blank = !rest.empty() && is_blank(first_line(rest)) && !end_of(first_line(rest)).empty();
    if (blank) at += first_line(rest).size();
    const bool followed = at < text_.size() && !is_blank(first_line(std::string_view{text_}.substr(at)));
    text_.insert(at, (blank ? "" : end) + added + end + (followed ? end : ""));
  }
  measure();
}

void QueueSection::erase(std::string_view name) {
  for (const Line& line : field_lines()) {
    if (!line.field || line.field->name != name) continue;
    text_.erase(line.offset, line.bytes.size());
    measure();
    return;
  }
}

void QueueSection::set_heading(std::string_view id, std::string_view title) {
  const std::string line = heading_line(id, title);
  text_.replace(0, without_end(first_line(text_)).size(), line);
  measure();
}

void QueueSection::set_body(std::string_view body) {
  const std::string end{line_end().empty() ? "\n" : line_end()};
  std::string text = text_.substr(0, body_);
  if (!body.empty()) {
    if (end_of(text).empty()) text.append(end);
    if (!is_blank(first_line(body))) text.append(end);
  }
  text_ = std::move(text);
  text_.append(body);
  measure();
}

void QueueSection::finish(bool blank, std::string_view line_end) {
  if (end_of(text_).empty()) text_.append(line_end);
  if (blank && !is_blank(lines_of(text_).back())) text_.append(line_end);
  measure();
}

std::string prompt_body(std::string_view prompt, std::string_view line_end) {
  const auto lines = bare_lines(prompt);
  const std::string text = joined(lines, 0);
  const auto body_of = [&](bool indent) {
    std::string body{line_end};
    for (const std::string_view& line : lines) {
      const bool outermost = &line == &lines.front() || &line == &lines.back();
      if (indent && (!line.empty() || outermost)) body.append(kIndent);
      body.append(line).append(line_end);
    }
    return body;
  };
  if (lines.empty()) return {};
  const std::string plain = body_of(false);
  const QueueFile file = QueueFile::parse("## x\n\n- state: queued\n" + plain);
  const bool as_it_is = file.sections().size() == 1 && file.sections().front().prompt() == text &&
                        structural_faults(file.sections().front()).empty();
  return as_it_is ? plain : body_of(true);
}

}  // namespace detent
