#include <algorithm>
#include <filesystem>
#include <iostream>

#include "base/log.h"
#include "cli/command.h"

int main(int argc, char** argv) {
  detent::setup_log("detent", "text", "warn");
  std::vector<std::string> arguments = detent::command_behind(argc > 0 ? argv[0] : "");
  arguments.insert(arguments.end(), argv + std::min(argc, 1), argv + argc);
  return detent::detent_command(arguments, std::cin, std::cout, std::cerr,
                                std::filesystem::read_symlink("/proc/self/exe").string());
}
