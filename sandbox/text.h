// Lengths of UTF-8 text as the two services count them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace detent::sandbox {

std::size_t code_points(std::string_view utf8);
std::size_t utf16_units(std::string_view utf8);
bool valid_utf8(std::string_view text);
void append_utf8(std::string& out, char32_t point);

/// Without white space at both ends.
std::string_view trimmed(std::string_view text);

}  // namespace detent::sandbox
