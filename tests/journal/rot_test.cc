// Bits that flip and files that shrink while the journal is at rest: reported, kept, and the rest is served.
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <map>

#include "journal/format.h"
#include "journal/journal.h"
#include "tests/support/memory_disk.h"

namespace detent::test {
namespace {

const std::string kDirectory = "state/journal";

JournalOptions small() {
  JournalOptions options;
  options.segment_bytes = 8 << 10;
  options.spares = 0;
  options.reserve_bytes = 0;
  options.low_water = 0;
  options.scan_window = 4096;
  return options;
}

std::string record(std::uint64_t seq) {
  std::string text = fmt::format("{:06}", seq);
  return text + std::string(20 + seq * 37 % 400, static_cast<char>('a' + seq % 26));
}

constexpr std::uint64_t kPerBatch = 4;

struct Seen {
  std::vector<std::uint64_t> records;
  std::vector<Damage> damages;
  std::string snapshot;
  bool opened = false;
  bool invented = false;

  std::uint64_t lost() const {
    std::uint64_t sum = 0;
    for (const Damage& damage : damages) sum += damage.records;
    return sum;
  }
  bool exact() const {
    for (const Damage& damage : damages) {
      if (!damage.records_known) return false;
    }
    return true;
  }
};

Seen look(MemoryDisk& disk) {
  Seen seen;
  JournalVisitor visitor;
  visitor.snapshot = [&](std::string_view bytes) { seen.snapshot = bytes; };
  visitor.record = [&](const RecordPosition&, std::string_view bytes, bool) {
    const std::uint64_t seq = std::stoull(std::string(bytes.substr(0, 6)));
    if (bytes != record(seq)) seen.invented = true;
    if (!seen.records.empty() && seen.records.back() >= seq) seen.invented = true;
    seen.records.push_back(seq);
  };
  visitor.damage = [&](const Damage& damage) { seen.damages.push_back(damage); };
  const auto journal = Journal::open(disk, kDirectory, small(), visitor);
  seen.opened = journal.has_value();
  return seen;
}

/// A journal of several segments, closed; its files at rest.
class JournalRot : public testing::Test {
 protected:
  void SetUp() override {
    level_ = spdlog::get_level();
    spdlog::set_level(spdlog::level::off);
    MemoryDisk disk;
    auto journal = Journal::open(disk, kDirectory, small(), {}).value();
    while (journal->segments().size() < 4) append(*journal);
    journal->put_snapshot(journal->end(), "early").value();
    while (journal->segments().size() < 5) append(*journal);
    for (int i = 0; i < 3; ++i) append(*journal);
    journal->put_snapshot(journal->end(), "late").value();
    journal->close().value();
    for (const std::string& name : disk.list(kDirectory).value())
      files_[name] = disk.content(kDirectory + "/" + name).value();
  }
  void TearDown() override { spdlog::set_level(level_); }

  void append(Journal& journal) {
    Batch batch;
    for (std::uint64_t i = 0; i < kPerBatch; ++i) batch.append(record(++records_));
    journal.append(batch).value();
  }

  void lay_out(MemoryDisk& disk, const std::string& name, const std::string& bytes) {
    disk.make_directory(kDirectory).value();
    for (const auto& [other, content] : files_)
      disk.set_content(kDirectory + "/" + other, other == name ? bytes : content);
  }

  void check(MemoryDisk& disk, const Seen& seen, const std::string& where) {
    ASSERT_TRUE(seen.opened) << where;
    ASSERT_FALSE(seen.invented) << where;
    const std::uint64_t missing = records_ - seen.records.size();
    ASSERT_TRUE(missing == 0 || !seen.damages.empty()) << where << ": " << missing << " records are silently missing";
    ASSERT_TRUE(!seen.exact() || seen.lost() == missing) << where << ": " << seen.lost() << " said, " << missing;
    for (const Damage& damage : seen.damages) {
      ASSERT_TRUE(disk.exists(damage.kept)) << where << ": " << damage.why;
      ASSERT_FALSE(damage.seen_before) << where;
    }
    const Seen again = look(disk);
    ASSERT_EQ(again.records, seen.records) << where;
    for (const Damage& damage : again.damages) ASSERT_TRUE(damage.seen_before) << where;
  }

  std::map<std::string, std::string> files_;
  std::uint64_t records_ = 0;
  spdlog::level::level_enum level_ = spdlog::level::info;
};

TEST_F(JournalRot, AFlippedBitAnywhereIsReportedAndCostsAtMostItsBatch) {
  ASSERT_EQ(files_.size(), 7u) << "five segments, two snapshots";
  for (const auto& [name, content] : files_) {
    for (std::size_t at = 0; at < content.size(); at += 29) {
      const std::string where = fmt::format("{} at {}", name, at);
      std::string bytes = content;
      bytes[at] = static_cast<char>(bytes[at] ^ 1 << at % 8);
      MemoryDisk disk;
      lay_out(disk, name, bytes);
      const Seen seen = look(disk);
      check(disk, seen, where);
      if (HasFatalFailure()) return;
      ASSERT_LE(records_ - seen.records.size(), kPerBatch) << where;
      ASSERT_TRUE(seen.exact()) << where;
      const bool late = name.starts_with("snapshot") && name == files_.rbegin()->first;
      ASSERT_EQ(seen.snapshot, late ? "early" : "late") << where;
      ASSERT_EQ(seen.damages.size(), late || records_ > seen.records.size() ? 1u : seen.damages.size()) << where;
    }
  }
}

TEST_F(JournalRot, AFlippedBitInARecordCostsThatRecordAlone) {
  const std::string name = format::segment_name(2);
  const std::string& content = files_.at(name);
  const std::size_t at = content.find("000", 1024) + 10;
  std::string bytes = content;
  bytes[at] = static_cast<char>(bytes[at] ^ 4);
  MemoryDisk disk;
  lay_out(disk, name, bytes);
  const Seen seen = look(disk);
  EXPECT_EQ(seen.records.size(), records_ - 1);
  ASSERT_EQ(seen.damages.size(), 1u);
  EXPECT_EQ(seen.damages[0].records, 1u);
  EXPECT_EQ(disk.content(seen.damages[0].kept), bytes.substr(seen.damages[0].offset, seen.damages[0].bytes));
}

TEST_F(JournalRot, WhatWasSetAsideIsSaidToBeKeptAlsoWhereNoNoteCouldBeWrittenBesideIt) {
  for (const std::string& name : {format::segment_name(2), files_.rbegin()->first}) {
    std::string bytes = files_.at(name);
    bytes[1200 % bytes.size()] ^= 4;
    MemoryDisk disk;
    lay_out(disk, name, bytes);
    disk.fail_when([](Call, const std::string& path) { return path.find(".txt") != std::string::npos ? ENOSPC : 0; });
    const Seen seen = look(disk);
    ASSERT_EQ(seen.damages.size(), 1u) << name;
    EXPECT_TRUE(disk.exists(seen.damages[0].kept)) << name << ": '" << seen.damages[0].kept << "'";
  }
}

TEST_F(JournalRot, ATruncatedFileIsReportedAndTheRestServed) {
  for (const auto& [name, content] : files_) {
    for (std::size_t size = 0; size < content.size(); size += 101) {
      const std::string where = fmt::format("{} cut to {}", name, size);
      MemoryDisk disk;
      lay_out(disk, name, content.substr(0, size));
      const Seen seen = look(disk);
      check(disk, seen, where);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_F(JournalRot, AZeroedPageIsReportedAndTheRestServed) {
  for (const auto& [name, content] : files_) {
    for (std::size_t at = 0; at < content.size(); at += 512) {
      std::string bytes = content;
      for (std::size_t i = at; i < std::min(at + 4096, bytes.size()); ++i) bytes[i] = '\0';
      MemoryDisk disk;
      lay_out(disk, name, bytes);
      check(disk, look(disk), fmt::format("{} zeroed at {}", name, at));
      if (HasFatalFailure()) return;
    }
  }
}

TEST_F(JournalRot, AFileOfAnotherSegmentUnderThisNameIsNotTakenForIt) {
  MemoryDisk disk;
  lay_out(disk, format::segment_name(3), files_.at(format::segment_name(2)));
  const Seen seen = look(disk);
  check(disk, seen, "segment 3");
  EXPECT_GT(seen.lost(), 0u);
}

TEST_F(JournalRot, ForeignFilesAreLeftAlone) {
  MemoryDisk disk;
  lay_out(disk, "", "");
  const std::vector<std::string> foreign = {"notes.txt", "spare-one", "segment", "000000000001.segment.bak",
                                            "snapshot-x"};
  for (const std::string& name : foreign) disk.set_content(kDirectory + "/" + name, "mine");
  check(disk, look(disk), "");
  for (const std::string& name : foreign) EXPECT_EQ(disk.content(kDirectory + "/" + name), "mine") << name;
}

TEST_F(JournalRot, ALaterFormatIsRefusedNotQuarantined) {
  const std::string name = format::segment_name(2);
  std::string bytes = files_.at(name);
  format::SegmentHeader header{.id = 2};
  std::string later = format::encode(header, format::kVersion + 1);
  bytes.replace(0, later.size(), later);
  MemoryDisk disk;
  lay_out(disk, name, bytes);
  const auto opened = Journal::open(disk, kDirectory, small(), {});
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().what.find("later version"), std::string::npos) << opened.error().what;
  EXPECT_EQ(disk.content(kDirectory + "/" + name), bytes);
}

}  // namespace
}  // namespace detent::test
