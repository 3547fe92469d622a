// Lengths of UTF-8 text as the two services count them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace detent::sandbox {

/// Without white space at both ends.
std::string_view trimmed(std::string_view text);

}  // namespace detent::sandbox
