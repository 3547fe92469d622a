// Runs `detent` inside the test.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "cli/command.h"

namespace detent {

struct Invoked {
  int exit = 0;
  std::string out, err;
};

inline std::string detent_program() {
  return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "detent").string();
}

inline Invoked invoke(const std::vector<std::string>& arguments, const std::string& input = {}) {
  std::istringstream in(input);
  std::ostringstream out, err;
  const int exit = detent_command(arguments, in, out, err, detent_program());
  return {exit, out.str(), err.str()};
}

/// A folder of its own, gone at the end.
struct Folder {
  std::filesystem::path path;
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "detent-cli-XXXXXX").string();
    path = mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path / name) << text;
    return (path / name).string();
  }
};

}  // namespace detent
