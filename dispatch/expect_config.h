// What detent.toml says of who is to be heard how often: [[expect]].
#pragma once

#include <vector>

#include "dispatch/liveness.h"

namespace detent {

class Section;

struct ExpectConfig {
  std::vector<Expectation> sources;  // as they stand in the file; each name once

  void read(Section& file);
  bool operator==(const ExpectConfig&) const = default;
};

}  // namespace detent
