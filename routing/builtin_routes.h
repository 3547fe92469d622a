// Where signals go that no [[route]] of one's own takes: the table in README, in its order.
#pragma once

#include <string>
#include <vector>

#include "routing/config.h"

namespace detent {

struct BuiltinRoute {
  RouteMatch match;
  std::string channel;
};

std::vector<BuiltinRoute> builtin_routes();

}  // namespace detent
