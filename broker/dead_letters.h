// Deliveries given up, with their full texts and causes, in a journal of their own.
//
// `write` and `close` are for the journal thread, everything else for the loop's.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/seed.h"
#include "broker/core.h"
#include "journal/journal.h"

namespace detent {

class DeadLetters {
 public:
  using Key = DeliveryKey;
  struct Letter {
    std::string cause;
    std::vector<uint64_t> seqs;
    std::vector<std::string> signals;  // one for each of `seqs`; empty where the text is lost
    int64_t at_ms = 0;
    uint32_t attempts = 0;
    std::vector<std::string> parts;  // each an encoded Part
  };

  /// Recovers what is in `directory` and tells the core of it. `make_room`: asked for on a full disk.
  static Result<std::unique_ptr<DeadLetters>> open(Disk& disk, const std::string& directory, Core& core,
                                                   const std::function<void(const Damage&)>& damaged,
                                                   std::function<void()> make_room = {}, uint64_t seed = random_seed());

  struct Written {
    std::vector<std::pair<Key, RecordPosition>> letters;  // durable
    std::vector<Key> unread;                              // not written, since their bodies could not be read this time
    std::string why;
    size_t taken = 0;               // of those that were given, from the first: what became of them stands above
    std::vector<Key> keys() const;  // of `letters`
  };
  /// Bodies are read from the main journal. Where one is lost for good the letter says so. After an error that
  /// `may_pass`, given the same again it goes on behind what is in `written` already.
  Result<void> write(const std::vector<NewDeadLetter>& new_dead_letters, JournalReader& bodies, Written& written);
  Result<void> close(const std::vector<Key>& keys, bool retried, int64_t at_ms);

  void written(const std::vector<std::pair<Key, RecordPosition>>& letters);
  void closed(const std::vector<Key>& keys);
  const std::map<Key, RecordPosition>& letters() const { return letters_; }
  Result<Letter> read(const Key& key);
  std::vector<SegmentInfo> segments() const { return journal_->segments(); }
  /// Segments that hold no letter any more.
  std::vector<uint64_t> droppable() const;
  Result<void> drop(const std::vector<uint64_t>& segments) { return journal_->drop(segments); }

 private:
  /// To `batch` and, with its place there, to `bite`.
  static void add(const NewDeadLetter& given_up, JournalReader& bodies, Batch& batch, Written& bite);

  std::unique_ptr<Journal> journal_;
  std::unique_ptr<JournalReader> reader_;
  std::map<Key, RecordPosition> letters_;
};

}  // namespace detent
