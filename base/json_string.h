// A text as a JSON string, by Boost.JSON, for what writes its JSON by hand because it must be fast or keep its order.
// Pure.
#pragma once

#include <string>
#include <string_view>

namespace detent {

/// Appends `text` as a JSON string with its quotes, on one line. What is not UTF-8 becomes U+FFFD.
void append_json_string(std::string& out, std::string_view text);

}  // namespace detent
