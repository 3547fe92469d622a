// A journal whose files were changed in any way must open, invent nothing, and say the same when opened again.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/crc32c.h"
#include "journal/format.h"
#include "journal/ids.h"
#include "journal/journal.h"
#include "tests/support/memory_disk.h"

using namespace detent;

namespace {

const std::string kDirectory = "state/journal";
const std::string kIds = "state/ids";

JournalOptions small() {
  JournalOptions options;
  options.segment_bytes = 4 << 10;
  options.reserve_bytes = 0;
  options.low_water = 0;
  options.scan_window = 2048;
  return options;
}

struct Base {
  std::vector<std::pair<std::string, std::string>> files;
  std::set<std::string> records;

  Base() {
    spdlog::set_level(spdlog::level::off);
    test::MemoryDisk disk;
    auto journal = Journal::open(disk, kDirectory, small(), {}).value();
    for (int i = 0; i < 40; ++i) {
      Batch batch;
      for (int k = 0; k < 3; ++k) {
        std::string record =
            std::to_string(i) + "." + std::to_string(k) + std::string(static_cast<std::size_t>(i * 5), 'x');
        batch.append(record);
        records.insert(std::move(record));
      }
      journal->append(batch).value();
      if (i == 20) journal->put_snapshot(journal->end(), "snapshot").value();
    }
    disk.make_directory(kIds).value();
    std::vector<KnownId> ids(400);
    for (std::size_t i = 0; i < ids.size(); ++i)
      ids[i] = {{0, 0, 0, 1, static_cast<unsigned char>(i / 256), static_cast<unsigned char>(i)}, i};
    IdFiles::write(disk, kIds, 1, ids).value();
    for (const std::string& folder : {kDirectory, kIds}) {
      for (const std::string& name : disk.list(folder).value()) {
        files.emplace_back(folder + "/" + name, disk.content(folder + "/" + name).value());
      }
    }
  }
};

/// Makes every batch header that still names itself valid again, so that what it says is believed.
void mend(std::string& bytes) {
  for (std::size_t at = 0; at + sizeof(format::BatchHeader) <= bytes.size(); at += format::kSector) {
    std::uint32_t magic = 0;
    std::memcpy(&magic, bytes.data() + at, 4);
    if (magic != format::kBatchMagic) continue;
    const std::uint32_t crc = crc32c(0, bytes.data() + at + 8, sizeof(format::BatchHeader) - 8);
    std::memcpy(bytes.data() + at + 4, &crc, 4);
  }
}

std::vector<std::string> look(test::MemoryDisk& disk) {
  std::vector<std::string> records;
  JournalVisitor visitor;
  visitor.record = [&](const RecordPosition&, std::string_view bytes, bool) { records.emplace_back(bytes); };
  auto journal = Journal::open(disk, kDirectory, small(), visitor);
  CHECK(journal || journal.error().code == EPROTO, "damage is no failure");
  if (journal) {
    auto tail = (*journal)->tail({}, 1024);
    for (int errors = 0; errors < 1000;) {
      const auto next = tail->next((*journal)->end());
      if (!next) ++errors;
      if (next && !*next) break;
    }
  }
  return records;
}

}  // namespace

// The input is a list of edits: file, kind, offset (2 bytes), value.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Base base;
  auto files = base.files;
  bool mended = false;
  for (std::size_t at = 0; at + 5 <= size && at < 5 * 32; at += 5) {
    std::string& bytes = files[data[at] % files.size()].second;
    if (bytes.empty()) continue;
    const std::size_t offset = (data[at + 2] | data[at + 3] << 8) % bytes.size();
    const std::uint8_t value = data[at + 4];
    switch (data[at + 1] % 5) {
      case 0:
        bytes[offset] = static_cast<char>(bytes[offset] ^ value);
        break;
      case 1:
        bytes.resize(offset);
        break;
      case 2:
        std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset),
                    std::min<std::size_t>(bytes.size() - offset, value * 8u), '\0');
        break;
      case 3:
        bytes.replace(offset, 64, files[value % files.size()].second.substr(0, 512));
        break;
      case 4:
        bytes[offset] = static_cast<char>(value);
        mend(bytes);
        mended = true;
        break;
    }
  }
  test::MemoryDisk disk;
  disk.make_directory(kDirectory).value();
  disk.make_directory(kIds).value();
  for (const auto& [path, bytes] : files) disk.set_content(path, bytes);

  const auto first = look(disk);
  if (!mended) {
    for (const std::string& record : first) CHECK(base.records.contains(record), "nothing is invented");
  }
  CHECK(look(disk) == first, "a second start finds the same");
  if (auto ids = IdFiles::open(disk, kIds)) {
    for (unsigned i = 0; i < 400; i += 7) {
      const SignalId id{0, 0, 0, 1, static_cast<unsigned char>(i / 256), static_cast<unsigned char>(i)};
      const auto found = ids->find(id);
      CHECK(found && (!*found || **found == i), "an id's content is its own");
    }
  }
  return 0;
}
