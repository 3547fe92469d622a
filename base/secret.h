// A token, read from a file or the environment, that never prints itself.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>

#include "base/result.h"

namespace detent {

/// Where a secret comes from, and its value once read. Plain value; one thread at a time.
class Secret {
 public:
  Secret() = default;
  /// From `file` where it is named and exists, else from the environment variable `variable`.
  Secret(std::filesystem::path file, std::string variable) : file_(std::move(file)), variable_(std::move(variable)) {}
  /// One that stands in the config itself.
  static Secret literal(std::string value);

  /// Whether there is anything to read: a file named, or a value in the config or the environment.
  bool configured() const;
  /// Reads the value where it has not been read or the file changed since (by its modification time and size). True
  /// where the value is another than before. The error says what to set, and never the value.
  Result<bool> refresh();
  /// The value as last read; empty before `refresh`. For the one place that sends it.
  const std::string& reveal() const { return value_; }
  /// Where it comes from, for messages: "/etc/detent/discord.token" or "DISCORD_TOKEN".
  std::string origin() const;

  /// The same place (and for a literal the same value).
  bool operator==(const Secret& other) const;
  /// Writes "[secret]".
  friend std::ostream& operator<<(std::ostream& out, const Secret&);

 private:
  std::filesystem::path file_;
  std::string variable_;
  std::string value_;
  bool literal_ = false;
  std::filesystem::file_time_type seen_{};
  uintmax_t seen_size_ = UINTMAX_MAX;
};

}  // namespace detent
