#include "base/result.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <system_error>

namespace detent {

Error system_error(std::string_view what, int number) {
  return {std::string(what) + ": " + std::generic_category().message(number), number};
}

void check_failed(std::string_view condition, std::string_view text, const boost::source_location& where) {
  std::fprintf(stderr, "%s:%u: bug: %.*s (%.*s does not hold)\n", where.file_name(), where.line(), int(text.size()),
               text.data(), int(condition.size()), condition.data());
  std::abort();
}

}  // namespace detent
