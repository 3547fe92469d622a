// Header lines of a request or a response, in the order they stood on the wire.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace detent::http {

using Headers = std::vector<std::pair<std::string, std::string>>;

/// The first value under that name, compared without regard to case, or nullptr.
const std::string* find_header(const Headers& headers, std::string_view name);

/// ASCII letters compared without regard to case.
bool same_name(std::string_view one, std::string_view other);

}  // namespace detent::http
