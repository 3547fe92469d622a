// Attempts of real commands, in a folder of the test's own, under each kind of isolation that this machine has.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "worker/attempt.h"

namespace detent {

class AttemptFixture : public testing::TestWithParam<std::string> {
 public:
  AttemptFixture();
  ~AttemptFixture() override;

 protected:
  void SetUp() override;

  /// A runner of `sh -c script`, with a time limit that no good run reaches.
  static RunnerConfig shell(const std::string& script);
  Result<Attempt> start(const RunnerConfig& runner, AttemptOrder order = {.task = "task", .epoch = 1});
  /// Runs it to its end; a start that fails is an outcome too.
  Outcome run(const RunnerConfig& runner, AttemptOrder order = {.task = "task", .epoch = 1});
  static Outcome finish(Attempt& attempt);
  /// Polls it until a line with this text came.
  void wait_for_line(Attempt& attempt, const std::string& text);

  /// Processes that belong to an attempt of this test; all of them are to be gone.
  std::vector<Process> alive() const;
  /// Also the folders, records and leaves.
  void expect_nothing_left() const;

  const std::filesystem::path& folder() const { return folder_; }
  WorkerConfig config_;
  std::optional<Isolation> isolation_;
  std::vector<std::string> lines_;

 private:
  std::filesystem::path folder_;
};

/// A folder of its own for a test; the caller removes it.
std::filesystem::path make_test_folder();

}  // namespace detent
