#include "ledger/tasks/front_matter.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/json.hpp>

#include "base/json_string.h"
#include "ledger/tasks/queue_lines.h"
#include "ledger/text.h"

namespace detent {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// What stands before a colon that ends a key, or nothing.
std::optional<std::string_view> key_of(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == 0 || colon == std::string_view::npos) return std::nullopt;
  if (colon + 1 < line.size() && line[colon + 1] != ' ' && line[colon + 1] != '\t') return std::nullopt;
  const std::string_view key = line.substr(0, colon);
  const bool plain = std::all_of(
      key.begin(), key.end(), [](char c) { return is_letter(c) || is_digit(c) || c == '_' || c == '-' || c == '.'; });
  return plain && is_letter(key.front()) ? std::optional{key} : std::nullopt;
}

/// Nothing where it is quoted and the quotes do not close.
std::optional<std::string> scalar_of(std::string_view text) {
  if (text.starts_with('\'')) {
    std::string value;
    for (std::size_t i = 1; i < text.size(); ++i) {
      if (text[i] != '\'') {
        value.push_back(text[i]);
      } else if (i + 1 < text.size() && text[i + 1] == '\'') {
        value.push_back(text[++i]);
      } else {
        const std::string_view rest = trimmed(text.substr(i + 1));
        if (rest.empty() || rest.starts_with('#')) return value;
        return std::nullopt;
      }
    }
    return std::nullopt;
  }
  if (text.starts_with('"')) {
    std::size_t end = 1;
    while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
    if (end >= text.size()) return std::nullopt;
    const std::string_view rest = trimmed(text.substr(end + 1));
    if (!rest.empty() && !rest.starts_with('#')) return std::nullopt;
    boost::system::error_code failed;
    const auto value = boost::json::parse({text.data(), end + 1}, failed);
    if (failed || !value.is_string()) return std::nullopt;
    return std::string{value.get_string()};
  }
  const std::size_t comment = text.find(" #");
  return std::string{trimmed(text.substr(0, comment))};
}

bool ends_front_matter(std::string_view line) { return trimmed(line) == "---" || trimmed(line) == "..."; }

/// Whether YAML may take it for a truth, nothing, a number or a date.
bool may_be_no_text(std::string_view value) {
  if (is_digit(value.front()))
    return value.find_first_not_of("0123456789abcdefABCDEFoxX_.+-: TZ") == std::string_view::npos;
  return parse_yes_or_no(value) || value == "null" || value == "Null" || value == "NULL" || value.size() == 1;
}

/// Whether YAML takes `value`, written as it is, for exactly this text.
bool is_plain(std::string_view value) {
  if (value.empty() || trimmed(value) != value) return false;
  if (!is_letter(value.front()) && !is_digit(value.front())) return false;
  if (may_be_no_text(value)) return false;
  if (value.find(": ") != std::string_view::npos || value.ends_with(':') || value.find(" #") != std::string_view::npos)
    return false;
  return std::none_of(value.begin(), value.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7F;
  });
}

}  // namespace

std::optional<std::string_view> FrontMatter::value(std::string_view key) const {
  for (const Entry& entry : entries) {
    if (entry.key == key) return entry.value;
  }
  return std::nullopt;
}

FrontMatter read_front_matter(std::string_view text) {
  FrontMatter none;
  none.body = text;
  std::string_view rest = text;
  if (rest.starts_with(kByteOrderMark)) rest.remove_prefix(kByteOrderMark.size());
  std::size_t line = 1;
  const auto next = [&] {
    const QueueLine bytes = first_line(rest);
    rest.remove_prefix(bytes.size());
    ++line;
    return without_end(bytes);
  };
  while (!rest.empty() && is_blank(first_line(rest))) next();
  if (rest.empty() || trimmed(next()) != "---") return none;

  FrontMatter front;
  front.present = true;
  bool first = true;
  while (!rest.empty() && static_cast<std::size_t>(rest.data() - text.data()) < kMaxFrontMatter) {
    const std::size_t number = line;
    const std::string_view at = next();
    if (ends_front_matter(at)) {
      front.body = rest;
      return first ? none : front;
    }
    if (trimmed(at).empty() || at.front() == '#') continue;
    if (!first && (at.front() == ' ' || at.front() == '\t' || at.front() == '-')) continue;
    const auto key = key_of(at);
    if (!key && first) return none;
    first = false;
    if (!key) {
      front.faults.push_back({number, fmt::format("'{}' is no 'key: value'", one_line(at, 60))});
      continue;
    }
    auto value = scalar_of(trimmed(at.substr(key->size() + 1)));
    if (!value) {
      front.faults.push_back({number, fmt::format("the quotes of '{}' do not close", *key)});
    } else if (front.value(*key)) {
      front.faults.push_back({number, fmt::format("'{}' is given twice; the first counts", *key)});
    } else {
      front.entries.push_back({std::string{*key}, std::move(*value), number});
    }
  }
  return none;
}

void append_entry(std::string& out, std::string_view key, std::string_view value) {
  out.append(key).append(": ");
  if (is_plain(value)) {
    out.append(value);
  } else {
    append_json_string(out, value);
  }
  out.push_back('\n');
}

std::optional<bool> parse_yes_or_no(std::string_view text) {
  std::string plain{text};
  for (char& c : plain) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  if (plain == "true" || plain == "yes" || plain == "on") return true;
  if (plain == "false" || plain == "no" || plain == "off") return false;
  return std::nullopt;
}

}  // namespace detent
