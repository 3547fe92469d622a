// Where the tests find this tree and what was built from it.
#pragma once

#include <filesystem>

namespace detent::test {

std::filesystem::path source_folder();
/// Of the programs of this build.
std::filesystem::path program_folder();

}  // namespace detent::test
