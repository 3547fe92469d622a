// The real OpenClaw beside a house: its gateway and its commands as processes, with a configuration that points at the
// house's broker, a folder of its own, and a model of the test's own.
#pragma once

#include <boost/json.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/house/house.h"

namespace detent::house {

class Claw {
 public:
  /// Why it is not on this machine and cannot be had; empty: it is here. Installs it the first time.
  static const std::string& missing();

  /// From its next start on the house's broker wants a token over HTTP, which OpenClaw has.
  static void want_token(House& house);

  /// The model runs; the gateway does not yet.
  explicit Claw(House& house);
  ~Claw();

  /// Started, and ready. It is ended with the Claw, and its folder goes with the house.
  void start_gateway();
  /// `openclaw ARGUMENTS…`
  Ended run(const std::vector<std::string>& arguments);
  /// The first JSON object in what a command printed.
  static json::object object_in(const std::string& output);
  /// What makes the model do it, for a prompt: {"say": …} or {"call": …, "args": …, "then": …}.
  static std::string order(const json::object& what);

  const std::filesystem::path& folder() const { return folder_; }
  /// Of the plugin's spool, the signals that wait.
  size_t spooled() const;
  /// All signals that the broker has and that OpenClaw sent, oldest first.
  const std::vector<json::object>& signals();
  /// Waits until one has `text` in it; fails the test where none comes.
  json::object signal_with(const std::string& text);
  size_t count_with(const std::string& text);

 private:
  std::vector<std::string> command(const std::vector<std::string>& arguments) const;
  void write_config();

  House& house_;
  std::filesystem::path folder_;
  std::string model_url_;
  int port_ = 0;
  size_t read_ = 0;  // up to which of the broker's signals they were read
  std::vector<json::object> signals_;
  std::unique_ptr<Child> model_, gateway_;
};

}  // namespace detent::house
