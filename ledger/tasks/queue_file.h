// QUEUE.md as the bytes it is made of: a preamble and sections, each a `## ` heading, field lines, and a body. What is
// read and printed again is the same byte for byte, whatever it is; a change touches its own line alone. Pure; what the
// bytes mean is told by queue_tasks.h.
//
// A section begins at each line that begins with "## ", except inside a closed code fence or HTML comment. Its fields
// are the
// `- name: value` lines that come first in it, up to the next blank line; all behind is the body. Lines of a list are
// fields only where one of them has a name that is known (queue_lines.h), so that a text may begin with a list.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/tasks/queue_lines.h"

namespace detent {

/// One task as it is written.
class QueueSection {
 public:
  /// `text` begins with a heading line.
  explicit QueueSection(std::string text);

  const std::string& text() const { return text_; }
  /// Empty where the heading names none: written by hand, not yet taken in.
  const std::string& id() const { return id_; }
  std::string_view title() const;

  /// A line of the field block.
  struct Line {
    std::size_t offset = 0;  // in text()
    QueueLine bytes;
    std::optional<QueueFieldLine> field;  // nothing: a list item that is none
  };
  /// The views are into text(), good until the next change.
  std::vector<Line> field_lines() const;
  /// The first field of this name; empty where it is written without a value.
  std::optional<std::string_view> field(std::string_view name) const;

  /// The line that the byte at `offset` is in, the heading being line 1.
  std::size_t line_at(std::size_t offset) const;

  /// All behind the fields, with the blank lines around it.
  std::string_view body() const { return std::string_view{text_}.substr(body_); }
  /// What the task says: the body without the blank lines around it, each line ending in "\n" but the last. A body that
  /// is indented by four blanks throughout is one that would else have been taken for something else (`prompt_body`),
  /// and is given without them.
  std::string prompt() const;

  /// Changes the first field of this name, or adds it among the others. Line breaks in `value` become blanks.
  void set(std::string_view name, std::string_view value);
  /// Takes away the first field of this name; nothing happens where there is none.
  void erase(std::string_view name);
  void set_heading(std::string_view id, std::string_view title);
  /// `body` takes the place of all behind the fields, set off from them by a blank line.
  void set_body(std::string_view body);
  /// Ends with a line end, and with a blank line where `blank`.
  void finish(bool blank, std::string_view line_end);

  /// "\n" or "\r\n", as its heading has it; empty where that has none.
  std::string_view line_end() const;

 private:
  void measure();

  std::string text_;
  std::string id_;
  std::size_t fields_ = 0;  // where the first field line begins
  std::size_t body_ = 0;    // where the last ends; behind the heading where there is none
};

class QueueFile {
 public:
  /// Takes any bytes.
  static QueueFile parse(std::string_view text);
  std::string print() const;

  const std::string& preamble() const { return preamble_; }
  void set_preamble(std::string text) { preamble_ = std::move(text); }
  const std::vector<QueueSection>& sections() const { return sections_; }
  QueueSection& section(std::size_t index) { return sections_[index]; }
  /// The first section of this id.
  std::optional<std::size_t> find(std::string_view id) const;
  /// Of the section's heading, from 1.
  std::size_t line_of(std::size_t index) const;

  /// Puts a section before the one at `index`, or at the end, with a blank line between it and its neighbours.
  void insert(std::size_t index, QueueSection section);
  void add(QueueSection section) { insert(sections_.size(), std::move(section)); }
  /// Puts a section at the end as it is; only that it begins with a line is seen to.
  void append(QueueSection section);
  void remove(std::size_t index) { sections_.erase(sections_.begin() + static_cast<std::ptrdiff_t>(index)); }

  /// How lines end in it: as the first one does.
  std::string_view line_end() const;

 private:
  std::string preamble_;
  std::vector<QueueSection> sections_;
};

/// The body that says `prompt`: the text as it is where the parser reads it back as the same, else each of its lines
/// indented by four blanks, which Markdown shows as it is. Begins with a blank line.
std::string prompt_body(std::string_view prompt, std::string_view line_end);

/// What a file without tasks says.
extern const std::string_view kEmptyQueue;

}  // namespace detent
