#include "ledger/tasks/queue_faults.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "base/text_map.h"
#include "ledger/text.h"

namespace detent {
namespace {

std::string shown(std::string_view bytes) { return one_line(bytes, 60); }

void check_fields(const QueueSection& section, std::size_t first, std::vector<QueueFault>& faults) {
  std::vector<std::string> seen;
  std::size_t line = first;
  for (const QueueSection::Line& at : section.field_lines()) {
    if (!at.field) {
      faults.push_back(
          {line, fmt::format("'{}' is no field; write it as '- name: value', or put a blank line before it",
                             shown(at.bytes))});
    } else if (const std::string& name = at.field->name; std::find(seen.begin(), seen.end(), name) != seen.end()) {
      faults.push_back({line, fmt::format("the field '{}' is given twice; keep one of them", shown(name))});
    } else {
      seen.push_back(name);
      const auto meant = is_known_field(name) ? std::nullopt : meant_field(name);
      if (meant) {
        faults.push_back({line, fmt::format("there is no field '{}'; did you mean '{}'?", shown(name), *meant)});
      }
    }
    ++line;
  }
}

/// Of text in which `lines` are, the first of them of this number.
void check_text(const std::vector<QueueLine>& lines, std::size_t first, std::vector<QueueFault>& faults) {
  OpaqueRegions regions(lines);
  for (std::size_t i = 0; i < lines.size();) {
    if (is_conflict_marker(lines[i])) {
      faults.push_back(
          {first + i, fmt::format("'{}' is what an unresolved merge left; resolve it by hand", shown(lines[i]))});
    }
    const OpaqueRegions::Region region = regions.at(i);
    if (region.unclosed) {
      faults.push_back({first + i, fmt::format("'{}' opens what nothing closes in this task; close it or indent it",
                                               shown(lines[i]))});
    }
    i = std::max(region.end, i + 1);
  }
}

}  // namespace

std::string describe(const QueueFault& fault) { return fmt::format("QUEUE.md line {}: {}", fault.line, fault.text); }

bool is_unreadable(const QueueFile& file) {
  const std::string_view text = file.preamble();
  return text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF") ||
         (file.sections().empty() && text.substr(0, 64).find('\0') != std::string_view::npos);
}

std::vector<QueueFault> structural_faults(const QueueSection& section) {
  std::vector<QueueFault> faults;
  const std::vector<QueueLine> lines = lines_of(section.body());
  const std::vector<QueueSection::Line> fields = section.field_lines();
  const std::size_t body_line = section.line_at(section.text().size() - section.body().size());
  if (!fields.empty()) check_fields(section, section.line_at(fields.front().offset), faults);

  // A body's first line, where the fields ended with a blank line.
  const auto text = std::find_if_not(lines.begin(), lines.end(), is_blank);
  if (!fields.empty() && text != lines.begin() && text != lines.end()) {
    const auto field = field_of(*text);
    if (field && is_known_field(field->name)) {
      faults.push_back({body_line + static_cast<std::size_t>(text - lines.begin()),
                        fmt::format("the field '{}' stands behind the blank line that ends the fields; move it up",
                                    shown(field->name))});
    }
  }
  check_text(lines, body_line, faults);
  return faults;
}

std::vector<QueueFault> file_faults(const QueueFile& file) {
  std::vector<QueueFault> faults;
  if (is_unreadable(file)) {
    faults.push_back({1, "the file is not UTF-8 text and nothing in it is read; save it as UTF-8"});
    return faults;
  }
  check_text(lines_of(file.preamble()), 1, faults);

  TextMap<std::size_t> first_lines;
  std::size_t line = file.line_of(0);
  std::size_t conflict = 0;  // the line of "<<<<<<<" while its ">>>>>>>" is ahead
  for (std::size_t i = 0; i < file.sections().size(); ++i) {
    const QueueSection& section = file.sections()[i];
    if (conflict) {
      faults.push_back(
          {line, fmt::format("the task is part of the unresolved merge that begins in line {}", conflict), i});
    }
    if (!section.id().empty()) {
      const auto [known, added] = first_lines.emplace(section.id(), line);
      if (!added) {
        faults.push_back({line,
                          fmt::format("{} is also the id of the task in line {}, which is the one that counts; "
                                      "delete this one, or its id to make it a task of its own",
                                      section.id(), known->second),
                          i});
      }
    }
    const std::vector<QueueLine> lines = lines_of(section.text());
    OpaqueRegions regions(lines);
    for (std::size_t k = 0; k < lines.size();) {
      if (is_conflict_marker(lines[k]) && lines[k].front() != '|') conflict = lines[k].front() == '<' ? line + k : 0;
      k = std::max(regions.at(k).end, k + 1);
    }
    line += static_cast<std::size_t>(std::count(section.text().begin(), section.text().end(), '\n'));
  }
  return faults;
}

}  // namespace detent
