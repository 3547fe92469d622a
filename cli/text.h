// How answers look on a terminal.
#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

namespace detent {

/// Rows in columns as wide as their widest entry, two spaces between; the first row is the heading.
void print_table(std::ostream& out, const std::vector<std::vector<std::string>>& rows);

/// A member as text: strings without quotes, null and missing as nothing.
std::string text_of(const boost::json::value& object, std::string_view key);
/// A member that is a number from 0 on; 0 where it is none.
uint64_t number_of(const boost::json::value& object, std::string_view key);
/// A member that is an array, or an empty one.
const boost::json::array& list_of(const boost::json::value& object, std::string_view key);

/// `text` without control characters (a signal's title must not move the cursor); the newline and tab become spaces.
std::string plain(std::string_view text);
}  // namespace detent
