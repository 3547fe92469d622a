#include <filesystem>
#include <iostream>

#include "base/log.h"
#include "cli/command.h"

int main(int argc, char** argv) {
  detent::setup_log("detent", "text", "warn");
  return detent::detent_command({argv + 1, argv + argc}, std::cin, std::cout, std::cerr,
                                std::filesystem::read_symlink("/proc/self/exe").string());
}
