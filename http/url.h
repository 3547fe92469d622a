// Percent-encoding, as URLs and forms have it.
#pragma once

#include <string>
#include <string_view>

#include "http/headers.h"

namespace detent::http {

/// Everything but letters, digits and -._~ as %XX: for one path segment or one query value.
std::string percent_encode(std::string_view text);

/// %XX undone; what is not a valid escape stays as it is. `plus_is_space` as in queries and forms.
std::string percent_decode(std::string_view text, bool plus_is_space = false);

/// "a=1&b=two+words" as name and value pairs, in order. For queries and for application/x-www-form-urlencoded bodies.
Headers parse_query(std::string_view text);

}  // namespace detent::http
