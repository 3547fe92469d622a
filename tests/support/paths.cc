#include "tests/support/paths.h"

#include <cstdlib>

namespace detent::test {

// Known to this file alone, so that every other object file is the same in every clone, and the compiler cache serves
// it.
std::filesystem::path source_folder() { return DETENT_SOURCE; }

std::filesystem::path program_folder() {
  const char* other = std::getenv("DETENT_PROGRAMS");
  return other && *other ? std::filesystem::absolute(other) : DETENT_BIN;
}

}  // namespace detent::test
