#include "tests/ledger/bench.h"

#include <spdlog/fmt/fmt.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>

#include "tests/support/eventually.h"

namespace detent::test {

namespace fs = std::filesystem;

Folder::Folder(Kind kind) {
  const bool memory = kind == Kind::quick && access("/dev/shm", W_OK) == 0;
  std::string name = ((memory ? fs::path{"/dev/shm"} : fs::temp_directory_path()) / "detent-ledger-XXXXXX").string();
  path_ = mkdtemp(name.data());
}

Folder::~Folder() {
  std::error_code failed;
  fs::remove_all(path_, failed);
}

Child::Exit try_git(const fs::path& repository, std::vector<std::string> arguments) {
  Child::Options options;
  options.deadline = Millis{60'000};
  options.command = {"git", "-C", repository.string(), "-c", "user.name=Other", "-c", "user.email=other@example.org"};
  options.command.insert(options.command.end(), arguments.begin(), arguments.end());
  options.environment = {{"LC_ALL", "C"}};
  options.max_output = 8 << 20;
  options.keeps_first = true;
  auto child = Child::start(std::move(options), system_now().mono);
  return child.value().wait();
}

std::string git(const fs::path& repository, std::vector<std::string> arguments) {
  const auto exit = try_git(repository, arguments);
  EXPECT_EQ(exit.code, 0) << arguments.front() << ": " << exit.err;
  std::string out = exit.out;
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

Child::Exit fsck(const fs::path& repository) {
  Child::Options options;
  options.deadline = Millis{60'000};
  options.command = {"flock",
                     (repository / "detent-packing.lock").string(),
                     "git",
                     "-C",
                     repository.string(),
                     "fsck",
                     "--full",
                     "--strict",
                     "--no-progress"};
  options.environment = {{"LC_ALL", "C"}};
  return Child::start(std::move(options), system_now().mono).value().wait();
}

Child::Exit shell(const std::string& script) {
  Child::Options options;
  options.deadline = Millis{60'000};
  options.command = {"sh", "-c", script};
  auto child = Child::start(std::move(options), system_now().mono);
  return child.value().wait();
}

void write_file(const fs::path& path, const std::string& text, bool executable) {
  std::ofstream{path, std::ios::binary} << text;
  if (executable) fs::permissions(path, fs::perms::owner_all);
}

Now at(Millis since_noon) { return {Millis{1'000'000} + since_noon, kNoon + since_noon}; }

Made made(std::uint64_t seq, const std::string& type, const std::string& title) {
  return {fmt::format("01JD{:022}", seq), type,
          title.empty() ? fmt::format("disk {}% on robo-server-1", seq % 100) : title,
          fmt::format("journalled bytes of {} \x01\xff", seq)};
}

LedgerSignal Made::signal(std::uint64_t place, std::uint64_t seq, Millis journalled) const {
  LedgerSignal signal;
  signal.place = place;
  signal.seq = seq;
  signal.id = id;
  signal.type = type;
  signal.title = title;
  signal.body = "a body\nof two lines";
  signal.source = "agent";
  signal.severity = "error";
  signal.journalled = signal.created = journalled;
  signal.channels = {channel};
  signal.raw = raw;
  return signal;
}

Writer::Writer(AuditLog::Options given) : options{std::move(given)} { restart(); }

void Writer::restart() {
  log.reset();
  auto opened = AuditLog::open(options, at(time));
  ASSERT_TRUE(opened) << opened.error().what;
  log = std::move(*opened);
}

void Writer::signal(const std::string& type, const std::string& title) {
  time += Millis{1'500};
  const Made one = made(++seq, type, title);
  log->add(one.signal(++place, seq, kNoon + time), at(time));
  LedgerReceipt receipt;
  receipt.place = ++place;
  receipt.seq = seq;
  receipt.id = one.id;
  receipt.channel = one.channel;
  receipt.message = "123";
  receipt.time = kNoon + time;
  log->add(receipt, at(time));
  turns();
}

void Writer::turns() {
  for (;;) {
    const auto done = log->turn(at(time));
    if (!done || !*done) return;
  }
}

bool gone(pid_t pid) {
  // What has ended and was not reaped has no command line.
  return eventually(
      [&] { return shell("tr -d '\\0' < /proc/" + std::to_string(pid) + "/cmdline 2>/dev/null").out.empty(); });
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::size_t start = 0;
  while (start < text.size()) {
    const auto end = std::min(text.find('\n', start), text.size());
    lines.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return lines;
}

}  // namespace detent::test
