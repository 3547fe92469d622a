#include "sandbox/json.h"

#include <charconv>

namespace detent::sandbox {

const json::value* member(const json::object& object, std::string_view key) {
  const json::value* found = object.if_contains(key);
  return found && !found->is_null() ? found : nullptr;
}

std::string text_of(const json::object& object, std::string_view key) {
  const json::value* found = member(object, key);
  if (!found) return {};
  if (found->is_string()) return std::string(found->get_string());
  return found->is_number() ? json::serialize(*found) : std::string{};
}

namespace {
template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number value{};
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}
}  // namespace

std::optional<std::int64_t> parse_whole(std::string_view text) { return parse_number<std::int64_t>(text); }

std::optional<std::int64_t> whole_of(const json::object& object, std::string_view key) {
  const json::value* found = member(object, key);
  if (!found) return std::nullopt;
  if (found->is_string()) return parse_whole(std::string_view(found->get_string()));
  boost::system::error_code inexact;
  const auto value = found->to_number<std::int64_t>(inexact);
  if (inexact) return std::nullopt;
  return value;
}

bool flag_of(const json::object& object, std::string_view key) {
  const json::value* found = member(object, key);
  if (!found) return false;
  if (found->is_bool()) return found->get_bool();
  const std::string text = text_of(object, key);
  return text == "true" || text == "True" || text == "1";
}

std::optional<std::uint64_t> parse_id(std::string_view text) { return parse_number<std::uint64_t>(text); }

}  // namespace detent::sandbox
