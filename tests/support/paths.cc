#include "tests/support/paths.h"

namespace detent::test {

// Known to this file alone, so that every other object file is the same in every clone, and the compiler cache serves
// it.
std::filesystem::path source_folder() { return DETENT_SOURCE; }
std::filesystem::path program_folder() { return DETENT_BIN; }

}  // namespace detent::test
