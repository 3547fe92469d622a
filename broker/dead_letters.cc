#include "broker/dead_letters.h"

#include <spdlog/spdlog.h>

#include <set>

#include "broker/admitted.h"
#include "broker/records.h"
#include "proto/journal.pb.h"
#include "proto/wire.pb.h"

namespace detent {

namespace {
constexpr size_t kMaxWritten = 4 << 20;  // bytes of a batch, from which on the next letters go to another one
}  // namespace

Result<std::unique_ptr<DeadLetters>> DeadLetters::open(Disk& disk, const std::string& directory, Core& core,
                                                       const std::function<void(const Damage&)>& damaged,
                                                       std::function<void()> make_room, uint64_t seed) {
  auto dead = std::make_unique<DeadLetters>();
  JournalOptions options;
  options.segment_bytes = 8 << 20;
  options.spares = 1;
  options.reserve_bytes = 0;
  options.low_water = 0;
  options.seed = seed;
  options.make_room = std::move(make_room);
  JournalVisitor visitor;
  visitor.record = [&](const RecordPosition& place, std::string_view bytes, bool) {
    core.replay_dead(bytes);
    DeadRecord record;
    if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
    if (record.has_letter()) dead->letters_[{record.letter().channel(), id_of(record.letter())}] = place;
    if (record.has_closed()) dead->letters_.erase({record.closed().channel(), record.closed().delivery()});
  };
  visitor.damage = damaged;
  auto journal = Journal::open(disk, directory, options, visitor);
  if (!journal) return journal.error();
  dead->journal_ = std::move(*journal);
  dead->reader_ = dead->journal_->reader();
  return dead;
}

std::vector<DeadLetters::Key> DeadLetters::Written::keys() const {
  std::vector<Key> keys;
  for (const auto& [key, place] : letters) keys.push_back(key);
  return keys;
}

Result<void> DeadLetters::write(const std::vector<NewDeadLetter>& new_dead_letters, JournalReader& bodies,
                                Written& written) {
  while (written.taken < new_dead_letters.size()) {
    Batch batch;
    Written bite;
    size_t next = written.taken;
    for (; next < new_dead_letters.size() && batch.bytes() < kMaxWritten; ++next) {
      add(new_dead_letters[next], bodies, batch, bite);
    }
    if (!batch.empty()) {
      const auto appended = journal_->append(batch);
      if (!appended) return appended.error();
      for (auto& [key, place] : bite.letters) {
        place.segment = appended->segment;
        place.offset += appended->base_offset;
      }
    }
    if (written.unread.empty() && !bite.unread.empty()) {
      spdlog::error("a dead letter waits for its text: {}", bite.why);
      written.why = bite.why;
    }
    written.letters.insert(written.letters.end(), bite.letters.begin(), bite.letters.end());
    written.unread.insert(written.unread.end(), bite.unread.begin(), bite.unread.end());
    written.taken = next;
  }
  return {};
}

void DeadLetters::add(const NewDeadLetter& given_up, JournalReader& bodies, Batch& batch, Written& bite) {
  DeadRecord record;
  auto& letter = *record.mutable_letter();
  letter.set_delivery(given_up.delivery);
  letter.add_seqs(given_up.seq);
  letter.set_channel(given_up.channel);
  letter.set_cause(given_up.cause);
  letter.set_at_ms(given_up.at_ms);
  letter.set_attempts(given_up.attempts);
  for (const auto& part : given_up.parts) letter.add_parts()->ParseFromString(part);
  if (const auto body = bodies.read({given_up.at.segment, given_up.at.offset, given_up.at.size})) {
    letter.add_signals(std::string(signal_of(*body)));
  } else if (!is_lost(body.error())) {
    bite.unread.push_back({given_up.channel, given_up.delivery});
    bite.why = body.error().what;
    return;
  } else {
    letter.add_signals();
    letter.set_cause(given_up.cause + " (its text is lost: " + body.error().what + ")");
    spdlog::error("a dead letter's text is lost: {}", body.error().what);
  }
  const std::string bytes = record.SerializeAsString();
  bite.letters.push_back(
      {{given_up.channel, given_up.delivery}, {0, batch.append(bytes), static_cast<uint32_t>(bytes.size())}});
}

Result<void> DeadLetters::close(const std::vector<Key>& keys, bool retried, int64_t at_ms) {
  Batch batch;
  for (const auto& key : keys) {
    DeadRecord record;
    auto& closed = *record.mutable_closed();
    closed.set_delivery(key.delivery);
    closed.set_channel(key.channel);
    closed.set_retried(retried);
    closed.set_at_ms(at_ms);
    batch.append(record.SerializeAsString());
  }
  const auto appended = journal_->append(batch);
  if (!appended) return appended.error();
  return {};
}

void DeadLetters::written(const std::vector<std::pair<Key, RecordPosition>>& letters) {
  for (const auto& [key, place] : letters) letters_.insert_or_assign(key, place);
}

void DeadLetters::closed(const std::vector<Key>& keys) {
  for (const auto& key : keys) letters_.erase(key);
}

Result<DeadLetters::Letter> DeadLetters::read(const Key& key) {
  const auto found = letters_.find(key);
  if (found == letters_.end()) return Error{"no such dead letter: " + key.channel + " " + std::to_string(key.delivery)};
  const auto bytes = reader_->read(found->second);
  if (!bytes) return bytes.error();
  DeadRecord record;
  if (!record.ParseFromArray(bytes->data(), static_cast<int>(bytes->size())))
    return Error{"a dead letter cannot be read"};
  const auto& read = record.letter();
  Letter letter{.cause = read.cause(),
                .seqs = {read.seqs().begin(), read.seqs().end()},
                .signals = {read.signals().begin(), read.signals().end()},
                .at_ms = read.at_ms(),
                .attempts = read.attempts(),
                .parts = {}};
  for (const auto& part : read.parts()) letter.parts.push_back(part.SerializeAsString());
  return letter;
}

std::vector<uint64_t> DeadLetters::droppable() const {
  // A closing record matters only while its letter's own record is there, and that one's segment is older or the same.
  std::set<uint64_t> used;
  for (const auto& [key, place] : letters_) used.insert(place.segment);
  std::vector<uint64_t> free;
  for (const auto& segment : journal_->segments()) {
    if (segment.open || used.contains(segment.id)) break;
    free.push_back(segment.id);
  }
  return free;
}

}  // namespace detent
