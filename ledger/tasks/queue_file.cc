#include "ledger/tasks/queue_file.h"

#include <algorithm>

#include "base/result.h"

namespace detent {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

/// Where each section begins, in bytes.
std::vector<std::size_t> section_starts(std::string_view text) {
  std::vector<std::size_t> starts;
  std::vector<QueueLine> lines;
  const std::size_t skipped = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  lines = lines_of(text.substr(skipped));
  OpaqueRegions regions(lines);
  std::size_t offset = skipped;
  for (std::size_t i = 0; i < lines.size();) {
    if (heading_of(lines[i])) starts.push_back(offset);
    const std::size_t next = std::max(regions.at(i).end, i + 1);
    for (; i < next; ++i) offset += lines[i].size();
  }
  return starts;
}

}  // namespace

const std::string_view kEmptyQueue =
    "# Worker queue\n"
    "<!-- queue-format: 1 -->\n"
    "\n"
    "Tasks for the workers. To add one, write a heading and some text:\n"
    "\n"
    "    ## What is to be done\n"
    "\n"
    "    All that the worker needs to know.\n"
    "\n"
    "It is given an id and a state with the next commit. To take one out, set its `state` to `cancelled`, or delete "
    "its\n"
    "section.\n";

QueueFile QueueFile::parse(std::string_view text) {
  QueueFile file;
  const std::vector<std::size_t> starts = section_starts(text);
  file.preamble_ = std::string{text.substr(0, starts.empty() ? text.size() : starts.front())};
  file.sections_.reserve(starts.size());
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const std::size_t end = i + 1 < starts.size() ? starts[i + 1] : text.size();
    file.sections_.emplace_back(std::string{text.substr(starts[i], end - starts[i])});
  }
  return file;
}

std::string QueueFile::print() const {
  std::size_t size = preamble_.size();
  for (const QueueSection& section : sections_) size += section.text().size();
  std::string text;
  text.reserve(size);
  text.append(preamble_);
  for (const QueueSection& section : sections_) text.append(section.text());
  return text;
}

std::optional<std::size_t> QueueFile::find(std::string_view id) const {
  for (std::size_t i = 0; i < sections_.size(); ++i) {
    if (sections_[i].id() == id) return i;
  }
  return std::nullopt;
}

std::size_t QueueFile::line_of(std::size_t index) const {
  const auto newlines = [](std::string_view text) {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  };
  std::size_t line = 1 + newlines(preamble_);
  for (std::size_t i = 0; i < index; ++i) line += newlines(sections_[i].text());
  return line;
}

std::string_view QueueFile::line_end() const {
  std::string_view end;
  if (!preamble_.empty()) end = end_of(first_line(preamble_));
  if (end.empty() && !sections_.empty()) end = sections_.front().line_end();
  return end.empty() ? "\n" : end;
}

void QueueFile::insert(std::size_t index, QueueSection section) {
  CHECK(index <= sections_.size(), "a section's place is in the file");
  const std::string end{line_end()};
  if (index > 0) {
    sections_[index - 1].finish(true, end);
  } else if (!preamble_.empty() && preamble_ != kByteOrderMark) {
    if (end_of(preamble_).empty()) preamble_.append(end);
    if (!is_blank(lines_of(preamble_).back())) preamble_.append(end);
  }
  section.finish(index < sections_.size(), end);
  sections_.insert(sections_.begin() + static_cast<std::ptrdiff_t>(index), std::move(section));
}

void QueueFile::append(QueueSection section) {
  if (!sections_.empty()) {
    sections_.back().finish(false, line_end());
  } else if (!preamble_.empty() && preamble_ != kByteOrderMark && end_of(preamble_).empty()) {
    preamble_.append(line_end());
  }
  sections_.push_back(std::move(section));
}

}  // namespace detent
