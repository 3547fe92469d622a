#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>
#include <sys/resource.h>

#include <random>

#include "ledger/audit/audit_reader.h"
#include "tests/ledger/bench.h"

namespace detent {
namespace {

double cpu_seconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

TEST(Drain, ABacklogOf256ByteSignalsIsCommittedWhole) {
  test::Folder folder;
  test::Writer writer{{.repository = folder / "ledger.git"}};
  std::mt19937_64 random{5};
  std::string raw(256, 'x');
  for (std::size_t i = 0; i < 96; ++i) raw[i] = static_cast<char>(random());
  constexpr std::uint64_t kSignals = 40'000;
  const auto began = system_now().mono;
  const double cpu = cpu_seconds();
  for (std::uint64_t seq = 1; seq <= kSignals; ++seq) {
    auto one = test::made(seq, "cron.output");
    auto signal = one.signal(seq, seq, test::kNoon);
    for (int i = 0; i < 8; ++i) raw[static_cast<std::size_t>(i)] = static_cast<char>(random());
    signal.raw = raw;
    signal.body =
        "the nightly backup of robo-server-1 took 312 s and wrote 18.2 GB to the archive, 3 files were skipped";
    writer.log->add(signal, test::at(Millis{0}));
    if (writer.log->full()) writer.turns();
  }
  ASSERT_TRUE(writer.log->flush(test::at(Millis{0})));
  const auto took = system_now().mono - began;
  fmt::print("drained {} signals in {} ms ({:.0f}/s), {:.2f} s CPU, {} commits\n", kSignals, took.count(),
             static_cast<double>(kSignals) * 1'000 / static_cast<double>(took.count()), cpu_seconds() - cpu,
             writer.log->figures().commits);
  const auto verifying = system_now().mono;
  const auto report = AuditReader::open(folder / "ledger.git")->verify({.first_seq = 1, .last_seq = kSignals});
  fmt::print("verified in {} ms\n", (system_now().mono - verifying).count());
  ASSERT_TRUE(report);
  EXPECT_THAT(report->problems, testing::IsEmpty());
  EXPECT_EQ(report->signals, kSignals);
}

}  // namespace
}  // namespace detent
