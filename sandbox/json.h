// Boost.JSON under a short name, and the look-ups that request bodies need.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace detent::sandbox {

namespace json = boost::json;

/// The member, unless it is missing or null.
const json::value* member(const json::object& object, std::string_view key);

/// The member as text: a string as it is, a number in digits; "" otherwise.
std::string text_of(const json::object& object, std::string_view key);

/// The member as a whole number: a number, or a string of digits with an optional minus.
std::optional<std::int64_t> whole_of(const json::object& object, std::string_view key);
std::optional<std::int64_t> parse_whole(std::string_view text);

/// The member as a flag: true, 1, "true", "True" or "1".
bool flag_of(const json::object& object, std::string_view key);

/// An unsigned decimal number of 64 bits, wholly read.
std::optional<std::uint64_t> parse_id(std::string_view text);

}  // namespace detent::sandbox
