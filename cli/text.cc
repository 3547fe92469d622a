#include "cli/text.h"

#include <algorithm>
#include <boost/json.hpp>
#include <ostream>

#include "base/utf8.h"

namespace detent {

namespace json = boost::json;

void print_table(std::ostream& out, const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns(row[i]));
  }
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) line += row[i] + std::string(widths[i] - columns(row[i]) + 2, ' ');
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

uint64_t number_of(const json::value& object, std::string_view key) {
  const auto* all = object.if_object();
  const auto* value = all ? all->if_contains(json::string_view(key.data(), key.size())) : nullptr;
  boost::system::error_code wrong;
  const auto number = value ? value->to_number<uint64_t>(wrong) : 0;
  return wrong ? 0 : number;
}

const json::array& list_of(const json::value& object, std::string_view key) {
  static const json::array none;
  const auto* all = object.if_object();
  const auto* value = all ? all->if_contains(json::string_view(key.data(), key.size())) : nullptr;
  return value && value->is_array() ? value->get_array() : none;
}

std::string plain(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto [point, size, well_formed] = first_character(text);
    if (!well_formed) {
      append_utf8(out, kReplacement);
    } else if (point == '\n' || point == '\t') {
      out += ' ';
    } else if (point >= 0x20 && (point < 0x7F || point > 0x9F)) {
      out += text.substr(0, size);
    }
    text.remove_prefix(size);
  }
  return out;
}

}  // namespace detent
