#include "journal/ids.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <random>
#include <unordered_map>

#include "journal/id_window.h"
#include "tests/support/memory_disk.h"

namespace detent::test {
namespace {

const std::string kDirectory = "state/ids";

SignalId id_at(std::uint64_t ms, std::uint64_t rest) {
  SignalId id{};
  for (int i = 5; i >= 0; --i, ms >>= 8) id[static_cast<std::size_t>(i)] = static_cast<unsigned char>(ms);
  for (int i = 15; i >= 8; --i, rest >>= 8) id[static_cast<std::size_t>(i)] = static_cast<unsigned char>(rest);
  return id;
}

std::vector<KnownId> some_ids(std::uint64_t first_ms, std::size_t count, std::uint64_t seed) {
  std::mt19937_64 dice(seed);
  std::vector<KnownId> ids;
  for (std::size_t i = 0; i < count; ++i) ids.push_back({id_at(first_ms + i / 7, dice()), dice()});
  std::shuffle(ids.begin(), ids.end(), dice);
  return ids;
}

struct Files {
  MemoryDisk disk;
  std::vector<IdDamage> damages;
  std::optional<IdFiles> files;

  Files() { reopen(); }
  void reopen() {
    files.emplace(
        IdFiles::open(disk, kDirectory, [this](const IdDamage& damage) { damages.push_back(damage); }).value());
  }
  void seal(std::uint64_t segment, const std::vector<KnownId>& ids) {
    IdFiles::write(disk, kDirectory, segment, ids).value();
    files->add(segment).value();
  }
  std::size_t known(const std::vector<KnownId>& ids) {
    std::size_t sum = 0;
    for (const KnownId& one : ids) {
      const auto found = files->find(one.id).value();
      EXPECT_EQ(found.value_or(one.content), one.content);
      sum += found.has_value();
    }
    return sum;
  }
};

TEST(Ids, TimeIsTheFirstSixBytes) { EXPECT_EQ(time_of(id_at(1'795'000'000'123, 5)), 1'795'000'000'123u); }

TEST(OpenIds, KnowsExactlyWhatWentIn) {
  std::mt19937_64 dice(1);
  OpenIds ids(7);
  std::vector<KnownId> all = some_ids(1000, 50'000, 2);
  all.push_back({{}, 77});  // zeros are an id like any other
  for (const KnownId& one : all) ASSERT_EQ(ids.insert(one.id, one.content), std::nullopt);
  for (const KnownId& one : all) ASSERT_EQ(ids.insert(one.id, one.content + 1), one.content);
  for (const KnownId& one : all) ASSERT_EQ(ids.find(one.id), one.content);
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(ids.find(id_at(5, dice())), std::nullopt);
  EXPECT_EQ(ids.size(), all.size());
  EXPECT_LT(ids.memory(), all.size() * 24 * 3);

  std::vector<KnownId> taken = ids.all();
  ids.clear();
  EXPECT_EQ(ids.size(), 0u);
  EXPECT_EQ(ids.find(all[0].id), std::nullopt);
  EXPECT_EQ(ids.insert(all[0].id, 5), std::nullopt);
  EXPECT_EQ(ids.find(all[0].id), 5u);
  const auto order = [](const KnownId& a, const KnownId& b) { return a.id < b.id; };
  std::sort(taken.begin(), taken.end(), order);
  std::sort(all.begin(), all.end(), order);
  ASSERT_EQ(taken.size(), all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    ASSERT_EQ(taken[i].id, all[i].id);
    ASSERT_EQ(taken[i].content, all[i].content);
  }
}

TEST(IdFiles, FindsEveryIdOfEveryFileAlsoAfterAReopen) {
  Files f;
  std::vector<std::vector<KnownId>> sealed;
  for (std::uint64_t segment = 1; segment <= 40; ++segment) {
    sealed.push_back(some_ids(10'000 * segment, 1 + 37 * segment, segment));
    f.seal(segment, sealed.back());
  }
  f.seal(41, {});
  for (int round = 0; round < 2; ++round) {
    for (const auto& ids : sealed) EXPECT_EQ(f.known(ids), ids.size());
    EXPECT_EQ(f.known(some_ids(10'000, 500, 99)), 0u);
    f.reopen();
  }
  EXPECT_TRUE(f.files->has(40));
  EXPECT_FALSE(f.files->has(50));
  EXPECT_TRUE(f.damages.empty());
}

TEST(IdFiles, AnIdNewerThanAllFilesCostsNoCallOfTheDisk) {
  Files f;
  f.seal(1, some_ids(1000, 5000, 1));
  const std::uint64_t calls = f.disk.calls();
  for (std::uint64_t i = 0; i < 1000; ++i) EXPECT_EQ(f.files->find(id_at(1'000'000 + i, i)).value(), std::nullopt);
  EXPECT_EQ(f.disk.calls(), calls);
}

TEST(IdFiles, PrunesWhatIsOlder) {
  Files f;
  const auto old = some_ids(1000, 70, 1), young = some_ids(9000, 70, 2);
  f.seal(1, old);
  f.seal(2, young);
  EXPECT_EQ(f.files->prune(5000).value(), 1u);
  EXPECT_EQ(f.known(old), 0u);
  EXPECT_EQ(f.known(young), young.size());
  f.reopen();
  EXPECT_EQ(f.files->count(), young.size());
}

TEST(IdFiles, AFlippedBitAnywhereIsReportedAndCostsAtMostItsBlock) {
  const auto ids = some_ids(1000, 1500, 3), others = some_ids(90'000, 300, 4);
  std::size_t size = 0;
  for (std::size_t at = 0; at == 0 || at < size; at += 61) {
    Files f;
    f.seal(1, ids);
    f.seal(2, others);
    const std::string path = kDirectory + "/000000000001.ids";
    std::string bytes = f.disk.content(path).value();
    size = bytes.size();
    bytes[at] = static_cast<char>(bytes[at] ^ 1 << at % 8);
    f.disk.set_content(path, bytes);
    f.reopen();
    const std::size_t known = f.known(ids);
    EXPECT_EQ(f.known(others), others.size());
    const bool padding = at >= 56 && at < 4096;
    if (padding) {
      EXPECT_EQ(known, ids.size());
      continue;
    }
    EXPECT_FALSE(f.damages.empty()) << "offset " << at;
    EXPECT_TRUE(f.disk.exists(f.damages.at(0).kept)) << "offset " << at;
    if (at < 56) {
      EXPECT_FALSE(f.files->has(1));
    } else {
      EXPECT_GE(known, ids.size() - 170) << "offset " << at;
    }
  }
}

TEST(IdFiles, ATruncatedFileIsReportedAndItsRestServed) {
  const auto ids = some_ids(1000, 1500, 3);
  Files f;
  f.seal(1, ids);
  const std::string path = kDirectory + "/000000000001.ids";
  const std::string bytes = f.disk.content(path).value();
  for (std::size_t size = 0; size < bytes.size(); size += 500) {
    f.damages.clear();
    f.disk.set_content(path, bytes.substr(0, size));
    f.reopen();
    const std::size_t blocks = size / 4096;
    EXPECT_EQ(f.known(ids), blocks == 0 ? 0 : std::min<std::size_t>(ids.size(), 170 * (blocks - 1))) << size;
    EXPECT_FALSE(f.damages.empty()) << size;
  }
}

TEST(IdFiles, AnIdThatCannotBeLookedUpIsNeverSaidToBeUnknown) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Files f;
    std::vector<std::vector<KnownId>> sealed;
    for (std::uint64_t segment = 1; segment <= 40; ++segment) {
      sealed.push_back(some_ids(10'000 * segment, 300, segment));
      f.seal(segment, sealed.back());
    }
    f.reopen();
    std::mt19937_64 dice(seed);
    constexpr int kCodes[] = {EMFILE, ENFILE, ENOMEM, EIO, EACCES};
    f.disk.fail_when([&](Call, const std::string&) { return dice() % 2 ? kCodes[dice() % 5] : 0; });
    int failed = 0;
    for (int i = 0; i < 1000; ++i) {
      const auto& ids = sealed[dice() % sealed.size()];
      const KnownId& one = ids[dice() % ids.size()];
      const auto found = f.files->find(one.id);
      failed += !found;
      if (found) {
        ASSERT_EQ(*found, one.content);
      } else {
        ASSERT_TRUE(f.files->failing());
      }
    }
    EXPECT_GT(failed, 10);
    EXPECT_TRUE(f.damages.empty());
    f.disk.heal();
    f.files->probe();
    EXPECT_FALSE(f.files->failing());
  }
}

TEST(IdWindow, RemembersWhatIsReplayedWithoutLookingAtFiles) {
  MemoryDisk disk;
  IdWindow window(IdFiles::open(disk, kDirectory).value(), 7);
  window.insert(id_at(5'000, 1), 1).value();
  IdFiles::write(disk, kDirectory, 1, window.seal(1)).value();
  window.sealed(1).value();
  disk.fail_when([](Call, const std::string&) { return EIO; });
  window.remember(id_at(5'000, 2), 2);
  EXPECT_FALSE(window.insert(id_at(5'000, 3), 3));
  disk.heal();
  EXPECT_EQ(window.insert(id_at(5'000, 2), 9).value(), 2u);
  EXPECT_EQ(window.insert(id_at(5'000, 3), 3).value(), std::nullopt) << "it was not taken in then";
}

TEST(IdFiles, APowerCutLeavesTheWholeFileOrNone) {
  const auto ids = some_ids(1000, 700, 3);
  for (std::uint64_t at = 1; at < 20; ++at) {
    for (std::uint64_t coin = 0; coin < 8; ++coin) {
      Files f;
      f.disk.cut_power_at(f.disk.calls() + at);
      const bool written = IdFiles::write(f.disk, kDirectory, 1, ids).has_value();
      f.disk.power_on(coin == 0 ? Cut::kKeep : Cut::kTear, coin);
      f.reopen();
      EXPECT_TRUE(f.damages.empty());
      EXPECT_EQ(f.known(ids), f.files->has(1) ? ids.size() : 0);
      EXPECT_TRUE(f.files->has(1) || !written);
    }
  }
}

TEST(IdFiles, AFileThatARestartFoundOutlivesAPowerCut) {
  const auto ids = some_ids(1000, 700, 3);
  size_t found = 0;
  for (std::uint64_t at = 1; at < 20; ++at) {
    Files f;
    f.disk.cut_power_at(f.disk.calls() + at);
    (void)IdFiles::write(f.disk, kDirectory, 1, ids);
    f.disk.kill();
    f.reopen();
    const bool had = f.files->has(1);
    found += had;
    f.disk.power_on(Cut::kDrop, 1);
    f.reopen();
    EXPECT_TRUE(f.files->has(1) || !had) << "killed at call " << at;
  }
  EXPECT_GT(found, 0u);
}

TEST(IdWindow, CoversASegmentOnlyWhereItsOwnFileAndThoseBeforeAreWritten) {
  MemoryDisk disk;
  IdWindow window(IdFiles::open(disk, kDirectory).value(), 7);
  const auto write = [&](std::uint64_t segment, std::vector<KnownId> ids) {
    IdFiles::write(disk, kDirectory, segment, std::move(ids)).value();
    window.sealed(segment).value();
  };
  window.insert(id_at(5'000, 1), 1).value();
  window.seal(1);
  window.insert(id_at(6'000, 2), 2).value();
  const std::vector<KnownId>& second = window.seal(2);
  window.unwritten(1);
  write(2, second);
  EXPECT_FALSE(window.covered(1));
  EXPECT_FALSE(window.covered(2));
  EXPECT_EQ(window.insert(id_at(5'000, 1), 1).value(), 1u);

  const auto [segment, ids] = window.again();
  ASSERT_TRUE(ids);
  EXPECT_EQ(segment, 1u);
  EXPECT_FALSE(window.again().second);
  write(1, *ids);
  EXPECT_TRUE(window.covered(1));
  EXPECT_TRUE(window.covered(2));
  EXPECT_FALSE(window.covered(3));
}

TEST(IdWindow, HasReplayedWhatNoFileHoldsAndCoversItWithTheNextFile) {
  MemoryDisk disk;
  disk.make_directory(kDirectory).value();
  for (const std::uint64_t segment : {8, 9, 10, 11, 13, 14, 15, 16}) {
    IdFiles::write(disk, kDirectory, segment, some_ids(segment * 1'000, 10, segment)).value();
  }
  IdWindow window(IdFiles::open(disk, kDirectory).value(), 7);
  window.look({10, 11, 12, 13, 14, 15, 16, 17});
  for (const std::uint64_t segment : {10, 11, 15, 16}) EXPECT_TRUE(window.covered(segment)) << segment;
  for (const std::uint64_t segment : {12, 13, 14, 17}) EXPECT_FALSE(window.covered(segment)) << segment;

  IdFiles::write(disk, kDirectory, 18, window.seal(18)).value();
  window.sealed(18).value();
  for (std::uint64_t segment = 10; segment <= 18; ++segment) EXPECT_TRUE(window.covered(segment)) << segment;
}

// A segment may go without its file: one whose only batch came to be in the next segment is empty, and removed.
TEST(IdWindow, ReplaysASegmentWhoseIdsMayBeInATableOfOneThatIsGone) {
  MemoryDisk disk;
  disk.make_directory(kDirectory).value();
  for (const std::uint64_t segment : {8, 9, 10, 11}) {
    IdFiles::write(disk, kDirectory, segment, some_ids(segment * 1'000, 10, segment)).value();
  }
  IdWindow window(IdFiles::open(disk, kDirectory).value(), 7);
  window.look({8, 9, 10, 11});
  for (const std::uint64_t segment : {8, 9}) EXPECT_FALSE(window.covered(segment)) << segment;
  for (const std::uint64_t segment : {10, 11}) EXPECT_TRUE(window.covered(segment)) << segment;
}

}  // namespace
}  // namespace detent::test
