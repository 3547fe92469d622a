#include "ledger/tasks/queue_lines.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/units.h"
#include "ledger/tasks/task_id.h"

namespace detent {
namespace {

constexpr std::string_view kBlanks = " \t\r\v\f";

// In the order in which they are written.
constexpr std::array<std::string_view, 10> kFields{"state", "priority", "runner",  "created", "not-before",
                                                   "after", "timeout",  "retries", "labels",  "claim"};
constexpr std::string_view kConflict = "conflict-";

std::size_t run_of(std::string_view text, char c) {
  const std::size_t end = text.find_first_not_of(c);
  return end == std::string_view::npos ? text.size() : end;
}

/// Without up to three blanks: what Markdown lets stand before a fence or a comment. Nothing where there are more.
std::optional<std::string_view> unindented(QueueLine line) {
  const std::size_t blanks = run_of(line, ' ');
  if (blanks > 3) return std::nullopt;
  return without_end(line).substr(blanks);
}

bool closes_fence(QueueLine line, char mark, std::size_t length) {
  const auto text = unindented(line);
  if (!text) return false;
  const std::size_t run = run_of(*text, mark);
  return run >= length && trimmed(text->substr(run)).empty();
}

bool is_task_heading(QueueLine line) {
  if (!line.starts_with("##")) return false;
  const auto heading = heading_of(line);
  return heading && !heading->id.empty();
}

}  // namespace

QueueLine first_line(std::string_view text) {
  const std::size_t end = text.find('\n');
  return end == std::string_view::npos ? text : text.substr(0, end + 1);
}

std::string_view end_of(QueueLine line) {
  if (line.ends_with("\r\n")) return line.substr(line.size() - 2);
  if (line.ends_with('\n')) return line.substr(line.size() - 1);
  return {};
}

std::string_view without_end(QueueLine line) { return line.substr(0, line.size() - end_of(line).size()); }

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) + 1 - first);
}

bool is_blank(QueueLine line) { return trimmed(without_end(line)).empty(); }

std::optional<QueueHeading> heading_of(QueueLine line) {
  if (!line.starts_with("##")) return std::nullopt;
  const std::string_view rest = without_end(line).substr(2);
  if (!rest.empty() && kBlanks.find(rest.front()) == std::string_view::npos) return std::nullopt;
  QueueHeading heading;
  heading.title = trimmed(rest);
  const std::size_t word = std::min(heading.title.find_first_of(" \t:"), heading.title.size());
  const auto id = task_id(heading.title.substr(0, word));
  if (!id) return heading;
  heading.id = *id;
  heading.title = trimmed(heading.title.substr(word));
  for (const std::string_view dash : {"-", "–", "—", ":"}) {
    if (!heading.title.starts_with(dash)) continue;
    const std::string_view behind = heading.title.substr(dash.size());
    if (!behind.empty() && kBlanks.find(behind.front()) == std::string_view::npos) continue;
    heading.title = trimmed(behind);
    break;
  }
  return heading;
}

bool is_list_item(QueueLine line) {
  return line.starts_with('-') && line.size() > 1 && (line[1] == ' ' || line[1] == '\t');
}

std::optional<QueueFieldLine> field_of(QueueLine line) {
  if (!is_list_item(line)) return std::nullopt;
  const std::string_view text = without_end(line);
  const std::size_t begin = text.find_first_not_of(" \t", 1);
  if (begin == std::string_view::npos) return std::nullopt;
  const std::size_t colon = text.find(':', begin);
  if (colon == std::string_view::npos || colon == begin) return std::nullopt;
  if (colon + 1 < text.size() && kBlanks.find(text[colon + 1]) == std::string_view::npos) return std::nullopt;
  QueueFieldLine field;
  for (char c : text.substr(begin, colon - begin)) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (c == '_') c = '-';
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) return std::nullopt;
    field.name.push_back(c);
  }
  field.value = trimmed(text.substr(colon + 1));
  field.value_at = colon + 1;
  return field;
}

bool is_known_field(std::string_view name) {
  return name.starts_with(kConflict) || std::find(kFields.begin(), kFields.end(), name) != kFields.end();
}

std::optional<std::string_view> meant_field(std::string_view name) {
  const auto near = nearest_name(name, kFields);
  // Someone's own "date" is no "state".
  if (near && near->front() != name.front()) return std::nullopt;
  return near;
}

std::size_t field_rank(std::string_view name) {
  if (name.starts_with(kConflict)) name.remove_prefix(kConflict.size());
  return static_cast<std::size_t>(std::find(kFields.begin(), kFields.end(), name) - kFields.begin());
}

bool is_conflict_marker(QueueLine line) {
  for (const char c : {'<', '|', '>'}) {
    if (!line.starts_with(c)) continue;
    const std::string_view text = without_end(line);
    return run_of(text, c) == 7 && (text.size() == 7 || text[7] == ' ');
  }
  return false;
}

OpaqueRegions::Region OpaqueRegions::at(std::size_t number) {
  const auto text = unindented(lines_[number]);
  if (!text || text->empty()) return {number};
  if (text->starts_with("<!--")) return comment(number);
  const char mark = text->front();
  if (mark != '`' && mark != '~') return {number};
  const std::size_t length = run_of(*text, mark);
  if (length < 3) return {number};
  // A code span, which begins and ends in one line, is no fence.
  if (mark == '`' && text->find('`', length) != std::string_view::npos) return {number};
  return fence(number, mark, length);
}

bool OpaqueRegions::is_known_open(std::size_t number, std::size_t kind, std::size_t length) const {
  return number < failed_[kind].until && length >= failed_[kind].length;
}

OpaqueRegions::Region OpaqueRegions::fence(std::size_t number, char mark, std::size_t length) {
  const std::size_t kind = mark == '`' ? 0 : 1;
  if (is_known_open(number, kind, length)) return {number, true};
  std::size_t next = number + 1;
  for (; next < lines_.size() && !is_task_heading(lines_[next]); ++next) {
    if (closes_fence(lines_[next], mark, length)) return {next + 1};
  }
  failed_[kind] = {next, length};
  return {number, true};
}

OpaqueRegions::Region OpaqueRegions::comment(std::size_t number) {
  constexpr std::size_t kind = 2;
  if (lines_[number].find("-->") != std::string_view::npos) return {number};
  if (is_known_open(number, kind, 0)) return {number, true};
  std::size_t next = number + 1;
  for (; next < lines_.size() && !is_task_heading(lines_[next]); ++next) {
    if (lines_[next].find("-->") != std::string_view::npos) return {next + 1};
  }
  failed_[kind] = {next, 0};
  return {number, true};
}

std::vector<QueueLine> lines_of(std::string_view text) {
  std::vector<QueueLine> lines;
  while (!text.empty()) {
    lines.push_back(first_line(text));
    text.remove_prefix(lines.back().size());
  }
  return lines;
}

}  // namespace detent
