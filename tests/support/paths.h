// Where the tests find this tree and what was built from it.
#pragma once

#include <filesystem>

namespace detent::test {

std::filesystem::path source_folder();
/// Of the programs of this build, or of another, which DETENT_PROGRAMS names (build/release/bin).
std::filesystem::path program_folder();

}  // namespace detent::test
