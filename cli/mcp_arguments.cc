#include "cli/mcp_arguments.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/json.hpp>

#include "base/units.h"
#include "cli/command.h"

namespace detent {

namespace json = boost::json;

namespace {

[[noreturn]] void wrong(std::string_view name, std::string_view expected) {
  throw Usage(fmt::format("\"{}\" must be {}", name, expected));
}

Ulid ulid_of(std::string_view name, const json::value& value) {
  const auto id = value.is_string() ? Ulid::parse(std::string_view(value.get_string())) : std::nullopt;
  if (!id || *id == Ulid{}) wrong(name, "an id of 26 characters (a ULID)");
  return *id;
}

}  // namespace

McpArguments::McpArguments(const json::object& given, const std::vector<std::string_view>& known) : given_(given) {
  for (const auto& member : given) {
    const std::string_view name(member.key().data(), member.key().size());
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    const auto near = nearest_name(name, known);
    throw Usage(near ? fmt::format("there is no argument \"{}\"; is \"{}\" meant?", name, *near)
                     : fmt::format("there is no argument \"{}\"; there are: {}", name, fmt::join(known, ", ")));
  }
}

const json::value* McpArguments::find(std::string_view name) const {
  const json::value* value = given_.if_contains(json::string_view(name.data(), name.size()));
  return value && !value->is_null() ? value : nullptr;
}

std::string McpArguments::text(std::string_view name) const {
  const json::value* value = find(name);
  if (!value) return {};
  if (!value->is_string()) wrong(name, "a string");
  return std::string(value->get_string());
}

std::string McpArguments::required_text(std::string_view name) const {
  std::string value = text(name);
  if (value.empty()) throw Usage(fmt::format("\"{}\" is missing", name));
  return value;
}

bool McpArguments::flag(std::string_view name) const {
  const json::value* value = find(name);
  if (value && !value->is_bool()) wrong(name, "true or false");
  return value && value->get_bool();
}

std::optional<int64_t> McpArguments::whole_number(std::string_view name) const {
  const json::value* value = find(name);
  if (!value) return std::nullopt;
  boost::system::error_code code;
  const int64_t number = value->is_number() ? value->to_number<int64_t>(code) : 0;
  if (!value->is_number() || code) wrong(name, "a whole number");
  return number;
}

std::optional<Millis> McpArguments::duration(std::string_view name) const {
  if (!find(name)) return std::nullopt;
  const auto given = parse_duration(text(name));
  if (!given || *given == Millis{0}) wrong(name, "a duration such as \"90s\" or \"2h\"");
  return given;
}

Ulid McpArguments::id(std::string_view name) const {
  const json::value* value = find(name);
  return value ? ulid_of(name, *value) : Ulid{};
}

std::vector<Ulid> McpArguments::ids(std::string_view name) const {
  const json::value* value = find(name);
  if (!value) return {};
  if (!value->is_array()) return {ulid_of(name, *value)};
  std::vector<Ulid> all;
  for (const json::value& one : value->get_array()) all.push_back(ulid_of(name, one));
  return all;
}

McpArguments::Pairs McpArguments::pairs(std::string_view name) const {
  const json::value* value = find(name);
  if (!value) return {};
  if (!value->is_object()) wrong(name, "an object of names and texts");
  Pairs all;
  for (const auto& member : value->get_object()) {
    const json::value& content = member.value();
    if (content.is_object() || content.is_array() || content.is_null())
      wrong(fmt::format("{}.{}", name, std::string(member.key())), "a text");
    all.emplace_back(std::string(member.key()),
                     content.is_string() ? std::string(content.get_string()) : json::serialize(content));
  }
  return all;
}

}  // namespace detent
