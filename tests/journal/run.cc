#include "tests/journal/run.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <set>

namespace detent::test {

namespace {
const std::string kDirectory = "state/journal";

std::uint64_t number_in(std::string_view text) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}
}  // namespace

JournalRun::JournalRun(MemoryDisk& disk, std::uint64_t seed) : disk_(disk), seed_(seed), dice_(seed) {
  options_.segment_bytes = 8 << 10;
  options_.spares = seed % 3;
  options_.reserve_bytes = seed % 2 ? 4096 : 0;
  options_.low_water = 0;
  options_.scan_window = 4096;
}

std::string JournalRun::record(std::uint64_t seq) const {
  std::uint64_t state = seed_ * 1000003 + seq;
  const auto toss = [&] {
    state = (state ^ state >> 30) * 0xbf58476d1ce4e5b9 + 0x9e3779b97f4a7c15;
    return state ^ state >> 27;
  };
  const std::size_t length = toss() % 8 == 0 ? 600 + toss() % 3000 : 1 + toss() % 300;
  std::string text = fmt::format("{}|", seq);
  const std::size_t head = text.size();
  text.resize(std::max(length, head), '\0');
  for (std::size_t at = head; at + 8 <= text.size(); at += 8) {
    const std::uint64_t word = toss();
    std::memcpy(text.data() + at, &word, 8);
  }
  return text;
}

void JournalRun::wrong(const std::string& what) {
  if (problem_.empty()) problem_ = what;
}

bool JournalRun::open() {
  std::vector<Visit> visits;
  std::uint64_t snapshot = 0;
  damages_.clear();
  options_.seed = seed_ * 1000 + ++opens_;
  JournalVisitor visitor;
  visitor.snapshot = [&](std::string_view bytes) {
    if (!bytes.starts_with("snapshot ")) wrong("a snapshot that was never put");
    if (!visits.empty()) wrong("the snapshot comes first");
    snapshot = number_in(bytes.substr(9));
  };
  visitor.record = [&](const RecordPosition& place, std::string_view bytes, bool after) {
    const std::uint64_t seq = number_in(bytes);
    if (!signals_.contains(seq) || bytes != record(seq))
      wrong(fmt::format("invented: a record that begins with {}", seq));
    visits.push_back({seq, place, after});
  };
  visitor.damage = [&](const Damage& damage) { damages_.push_back(damage); };
  auto opened = Journal::open(disk_, kDirectory, options_, visitor);
  if (!opened) {
    open_error_ = opened.error().what;
    return false;
  }
  journal_ = std::move(*opened);
  check(visits, snapshot);
  return problem_.empty();
}

void JournalRun::check(const std::vector<Visit>& visits, std::uint64_t snapshot) {
  for (const Damage& damage : damages_) {
    if (!damage_allowed_)
      wrong(fmt::format("damage reported where there is none: {} {} {}", damage.file, damage.offset, damage.why));
  }
  if (snapshot < snapshot_acknowledged_) {
    wrong(fmt::format("the snapshot of {} is gone, that of {} came", snapshot_acknowledged_, snapshot));
  }
  visited_.clear();
  std::map<std::uint64_t, int> fates;  // of batches: 1 seen, 2 not
  std::set<std::uint64_t> seen;
  for (const Visit& visit : visits) {
    if (!visited_.empty() && visit.seq <= visited_.back()) {
      wrong(fmt::format("{} comes after {}", visit.seq, visited_.back()));
    }
    visited_.push_back(visit.seq);
    seen.insert(visit.seq);
    if (visit.after != (visit.seq > snapshot)) wrong(fmt::format("{} is on the wrong side of the snapshot", visit.seq));
  }
  std::uint64_t missing = 0;
  for (auto& [seq, signal] : signals_) {
    const bool here = seen.contains(seq);
    if (here && signal.fate == Fate::kGone) wrong(fmt::format("{} was gone and came back", seq));
    if (!here && signal.fate == Fate::kAcknowledged) {
      ++missing;
      if (!damage_allowed_) wrong(fmt::format("{} was acknowledged and is lost", seq));
    }
    if (!damage_allowed_) {
      fates[signal.batch] |= here ? 1 : 2;
      if (fates[signal.batch] == 3) wrong(fmt::format("half of the batch of {} is there", seq));
    }
    if (!here) signal.fate = Fate::kGone;
    if (here && signal.fate == Fate::kPending) signal.fate = Fate::kAcknowledged;
  }
  if (damage_allowed_ && missing > 0 && damages_.empty()) wrong(fmt::format("{} lost without a word", missing));
  for (const Visit& visit : visits) signals_[visit.seq].place = visit.place;
}

void JournalRun::append() {
  Batch batch;
  std::vector<std::pair<std::uint64_t, std::uint32_t>> added;
  const std::uint64_t count = dice_() % 16 == 0 ? 0 : 1 + dice_() % 5;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t seq = next_seq_++;
    signals_[seq] = {Fate::kPending, next_batch_, {}};
    added.emplace_back(seq, batch.append(record(seq)));
  }
  ++next_batch_;
  const auto appended = journal_->append(batch);
  if (!appended) {
    journal_.reset();
    return;
  }
  for (const auto& [seq, offset] : added) {
    signals_[seq].fate = Fate::kAcknowledged;
    signals_[seq].place = {appended->segment, appended->base_offset + offset,
                           static_cast<std::uint32_t>(record(seq).size())};
  }
}

void JournalRun::snapshot() {
  const std::string text = fmt::format("snapshot {}", next_seq_ - 1);
  if (journal_->put_snapshot(journal_->end(), text)) snapshot_acknowledged_ = next_seq_ - 1;
}

void JournalRun::drop() {
  const auto segments = journal_->segments();
  if (segments.size() < 2) return;
  const std::uint64_t id = segments[dice_() % (segments.size() - 1)].id;
  for (auto& [seq, signal] : signals_) {
    if (signal.place.segment == id && signal.fate == Fate::kAcknowledged) signal.fate = Fate::kDropping;
  }
  if (!journal_->drop(std::vector{id})) return;
  for (auto& [seq, signal] : signals_) {
    if (signal.fate == Fate::kDropping && signal.place.segment == id) signal.fate = Fate::kGone;
  }
}

void JournalRun::read() {
  auto reader = journal_->reader(1024);
  auto tail = journal_->tail({}, 1024);
  std::vector<std::uint64_t> want, got;
  for (const auto& [seq, signal] : signals_) {
    if (signal.fate != Fate::kAcknowledged) continue;
    want.push_back(seq);
    const auto bytes = reader->read(signal.place);
    if (bytes && *bytes != record(seq)) wrong(fmt::format("{} reads as something else", seq));
    if (!bytes && bytes.error().code == EBADMSG && !damage_allowed_) wrong(fmt::format("{} cannot be read", seq));
  }
  for (;;) {
    const auto next = tail->next(journal_->end());
    if (!next) return;
    if (!*next) break;
    const std::uint64_t seq = number_in((*next)->bytes);
    if ((*next)->bytes != record(seq)) wrong(fmt::format("the tail invents {}", seq));
    if (signals_[seq].fate == Fate::kAcknowledged) got.push_back(seq);
  }
  if (got != want && !damage_allowed_) wrong("the tail does not tell what was acknowledged, in order");
}

void JournalRun::kill() {
  journal_.reset();
  disk_.kill();
}

void JournalRun::cut(Cut how, std::uint64_t seed) {
  journal_.reset();
  disk_.power_on(how, seed);
}

void JournalRun::step() {
  const std::uint64_t choice = dice_() % 100;
  const std::uint64_t luck = dice_();
  dice_.seed(luck);
  if (!is_open()) {
    disk_.kill();
    open();
  } else if (choice < 62) {
    append();
  } else if (choice < 70) {
    snapshot();
  } else if (choice < 78) {
    drop();
  } else if (choice < 84) {
    (void)journal_->prepare_spare();
  } else if (choice < 88) {
    (void)journal_->refill_reserve();
  } else if (choice < 92) {
    read();
  } else {
    if (choice < 95) (void)journal_->close();
    kill();
    open();
  }
  dice_.seed(luck + 1);
}

}  // namespace detent::test
