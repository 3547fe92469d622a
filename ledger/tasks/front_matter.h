// The head of a Markdown file: `key: value` lines between two lines of "---", as YAML has them. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace detent {

struct FrontMatter {
  struct Entry {
    std::string key;
    std::string value;
    std::size_t line = 0;  // from 1
  };
  struct Fault {
    std::size_t line = 0;
    std::string text;
    bool operator==(const Fault&) const = default;
  };
  std::vector<Entry> entries;  // a key that is repeated: the first
  std::vector<Fault> faults;   // lines that are no entry: skipped, but for this
  std::string_view body;       // all behind it; of the text given in
  bool present = false;

  std::optional<std::string_view> value(std::string_view key) const;
};

/// No more of a text is looked through for the end of its front matter.
inline constexpr std::size_t kMaxFrontMatter = 64 << 10;

/// Reads any text. It has a front matter where its first line is "---", the next that is not blank is `key: value`, and
/// a line
/// "---" or "..." follows within `kMaxFrontMatter`; a byte order mark and blank lines may stand before. Values are
/// plain text, or quoted with ' or "; what is nested (lines that are indented or begin with "-") is passed over without
/// a fault, being someone else's.
FrontMatter read_front_matter(std::string_view text);

/// Appends "key: value\n", quoted where YAML would not take it for this text.
void append_entry(std::string& out, std::string_view key, std::string_view value);

/// "true", "yes", "on" and their opposites, in either case.
std::optional<bool> parse_yes_or_no(std::string_view text);

}  // namespace detent
