#include "cli/text.h"

#include <algorithm>
#include <boost/json.hpp>
#include <ostream>

#include "proto/signal_validator.h"

namespace detent {

namespace json = boost::json;

namespace {

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

size_t width(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !continues(c); }));
}

}  // namespace

void print_table(std::ostream& out, const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) line += row[i] + std::string(widths[i] - width(row[i]) + 2, ' ');
    line.resize(line.find_last_not_of(' ') + 1);
    out << line << '\n';
  }
}

std::string text_of(const json::value& object, std::string_view key) {
  const auto* all = object.if_object();
  const auto* value = all ? all->if_contains(json::string_view(key.data(), key.size())) : nullptr;
  if (!value || value->is_null()) return {};
  if (value->is_string()) return std::string(value->get_string());
  return json::serialize(*value);
}

const json::array& list_of(const json::value& object, std::string_view key) {
  static const json::array none;
  const auto* all = object.if_object();
  const auto* value = all ? all->if_contains(json::string_view(key.data(), key.size())) : nullptr;
  return value && value->is_array() ? value->get_array() : none;
}

std::string plain(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const bool c1 = c == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if (c1) {
      ++i;
    } else if (c == '\n' || c == '\t') {
      out += ' ';
    } else if (c >= 0x20 && c != 0x7f) {
      out += text[i];
    }
  }
  return out;
}

std::string to_utf8(std::string_view text) {
  if (is_utf8(text)) return std::string(text);
  std::string out;
  while (!text.empty()) {
    size_t size = 1;
    while (size < 4 && size < text.size() && continues(text[size])) ++size;
    // The longest well-formed character that begins here, or one bad byte.
    while (size > 0 && !is_utf8(text.substr(0, size))) --size;
    out += size == 0 ? std::string_view("\xef\xbf\xbd") : text.substr(0, size);
    text.remove_prefix(std::max<size_t>(size, 1));
  }
  return out;
}

std::string_view head_of(std::string_view text, size_t most) {
  if (text.size() <= most) return text;
  while (most > 0 && continues(text[most])) --most;
  return text.substr(0, most);
}

std::string_view tail_of(std::string_view text, size_t most) {
  if (text.size() <= most) return text;
  text.remove_prefix(text.size() - most);
  while (!text.empty() && continues(text.front())) text.remove_prefix(1);
  return text;
}

}  // namespace detent
