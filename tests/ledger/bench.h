// What the ledger's tests work with: a folder that goes away, signals made up, and git itself as the second opinion.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/child.h"
#include "ledger/audit/audit_log.h"

namespace detent::test {

/// A folder that lives as long as this; in memory where it can be, so that the tests wait for no disk, or where
/// programs can be run from it.
class Folder {
 public:
  enum class Kind { quick, runs_programs };
  explicit Folder(Kind kind = Kind::quick);
  ~Folder();
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// Runs `git -C repository …` and gives what it printed; a failure fails the test.
std::string git(const std::filesystem::path& repository, std::vector<std::string> arguments);
/// Its exit, whatever it is.
Child::Exit try_git(const std::filesystem::path& repository, std::vector<std::string> arguments);
/// Checks all objects and refs. Never while a repack is under way: under it fsck misses objects that were just moved.
Child::Exit fsck(const std::filesystem::path& repository);
/// Runs a shell script.
Child::Exit shell(const std::string& script);
void write_file(const std::filesystem::path& path, const std::string& text, bool executable = false);

constexpr Millis kNoon{1'795'348'800'000};  // 2026-11-22T12:00:00Z

Now at(Millis since_noon);

/// A signal with an id, a body and journalled bytes that follow from its number.
struct Made {
  std::string id, type, title, raw, channel = "discord.alerts";
  LedgerSignal signal(std::uint64_t place, std::uint64_t seq, Millis journalled) const;
};
Made made(std::uint64_t seq, const std::string& type = "incident.detected", const std::string& title = "");

/// The log with one signal after another, each with its receipt.
class Writer {
 public:
  explicit Writer(AuditLog::Options options);
  /// Opens the log again, as after a restart.
  void restart();
  void close() { log.reset(); }
  /// Adds a signal and its receipt, and takes turns until nothing is due.
  void signal(const std::string& type = "incident.detected", const std::string& title = "");
  void turns();

  AuditLog::Options options;
  std::unique_ptr<AuditLog> log;
  std::uint64_t seq = 0;
  std::uint64_t place = 0;
  Millis time{0};
};

/// Whether the process has ended (whoever is to reap it), waited for for a while.
bool gone(pid_t pid);

std::vector<std::string> lines_of(const std::string& text);

}  // namespace detent::test
