// What a line of QUEUE.md is, by its bytes alone. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace detent {

/// A line's bytes with its end, which is "\n", "\r\n", or nothing at the end of the file.
using QueueLine = std::string_view;

/// The first line of `text`, which is not empty.
QueueLine first_line(std::string_view text);
std::string_view without_end(QueueLine line);
std::string_view end_of(QueueLine line);
/// Without blanks and carriage returns on either side.
std::string_view trimmed(std::string_view text);
bool is_blank(QueueLine line);

/// `## …`: begins a section where no fence or comment is open.
struct QueueHeading {
  std::string id;          // empty: written by hand, and not yet taken in
  std::string_view title;  // may be empty
};
std::optional<QueueHeading> heading_of(QueueLine line);

/// `- name: value`.
struct QueueFieldLine {
  std::string name;  // in small letters, with "-" for "_"
  std::string_view value;
  std::size_t value_at = 0;  // where in the line what follows the colon begins
};
std::optional<QueueFieldLine> field_of(QueueLine line);
/// A line of a list: what the lines of a field block look like, well-formed or not.
bool is_list_item(QueueLine line);

/// Whether a field of this name means something here, those of the form "conflict-…" included.
bool is_known_field(std::string_view name);
/// The known field that `name` was most likely meant to be.
std::optional<std::string_view> meant_field(std::string_view name);
/// Where a field stands among the known ones, those that are unknown behind them.
std::size_t field_rank(std::string_view name);

/// "<<<<<<<", "|||||||" or ">>>>>>>" of a merge that was not resolved, alone or before a name.
bool is_conflict_marker(QueueLine line);

/// Finds where fences and comments, in which nothing is a heading, begin and end.
class OpaqueRegions {
 public:
  /// Of these lines, asked about in order.
  explicit OpaqueRegions(const std::vector<QueueLine>& lines) : lines_(lines) {}

  struct Region {
    std::size_t end = 0;    // the line behind its last; the opening line's own number where nothing is open
    bool unclosed = false;  // it opens something that nothing closes before the next task's heading
  };
  /// What begins with the line of this number. What is not closed before the next `## <id>` is not opaque at all, so
  /// that a forgotten fence never hides the tasks behind it.
  Region at(std::size_t number);

 private:
  Region fence(std::size_t number, char mark, std::size_t length);
  Region comment(std::size_t number);
  bool is_known_open(std::size_t number, std::size_t kind, std::size_t length) const;

  const std::vector<QueueLine>& lines_;
  // A search that came to its end without success answers for those that begin behind it.
  struct Failed {
    std::size_t until = 0;
    std::size_t length = 0;
  };
  Failed failed_[3];
};

/// The lines of `text`.
std::vector<QueueLine> lines_of(std::string_view text);

}  // namespace detent
