// Gathers requests as JSON lines in the form of tools/check-requests and has that check them, where it is to be found.
#pragma once

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "consumers/discord/channel.h"

namespace detent::testing {

/// Has the check look through a record of requests; skips the test where the script is not beside the repository.
inline void check_requests(const std::string& record, size_t least = 1) {
  const std::filesystem::path here(__FILE__);
  const auto script = here.parent_path().parent_path().parent_path().parent_path() / "shared/tools/check-requests";
  if (!std::filesystem::exists(script)) {
    GTEST_SKIP() << script << " is not there: the requests were checked only by this test";
  }
  const std::string report = record + ".report";
  const std::string command =
      "python3 '" + script.string() + "' '" + record + "' --min " + std::to_string(least) + " > '" + report + "' 2>&1";
  const int status = std::system(command.c_str());
  std::ifstream in(report);
  std::string text((std::istreambuf_iterator<char>(in)), {});
  std::filesystem::remove(report);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 2) GTEST_SKIP() << "check-requests could not run: " << text;
  EXPECT_EQ(status, 0) << text.substr(0, 4000);
}

class Requests {
 public:
  explicit Requests(const std::string& name)
      : path_(std::filesystem::temp_directory_path() / (name + "." + std::to_string(::getpid()) + ".jsonl")),
        out_(path_) {}
  ~Requests() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }

  void add(const std::string& service, const std::string& path, const std::string& body) {
    out_ << boost::json::object{{"service", service},
                                {"method", "POST"},
                                {"path", path},
                                {"headers", {{"User-Agent", discord::kUserAgent}}},
                                {"body", boost::json::parse(body)},
                                {"status", 200}}
         << '\n';
    ++count_;
  }

  void check() {
    out_.close();
    check_requests(path_.string(), count_);
  }

 private:
  std::filesystem::path path_;
  std::ofstream out_;
  size_t count_ = 0;
};

}  // namespace detent::testing
