#include "tests/simulation/books.h"

#include <spdlog/fmt/fmt.h>

#include "proto/journal.pb.h"
#include "proto/signal_validator.h"

namespace detent::test {

void take(Parts& parts, const Part& part) {
  if (!part.done() && !part.begun_ms()) {
    parts.erase(part.part());
  } else {
    parts[part.part()] =
        part.done() ? "done, message " + part.message_id() : fmt::format("begun at {}", part.begun_ms());
  }
}

std::string text(const Parts& parts) {
  std::string text;
  for (const auto& [number, what] : parts) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", number, what);
  return text.empty() ? "none" : text;
}

std::string Books::add(std::string_view bytes) {
  Record record;
  if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return "a record cannot be read";
  if (record.has_admitted()) {
    const auto& admitted = record.admitted();
    const SignalHeader head = read_header(admitted.signal());
    const uint64_t seq = admitted.seq();
    if (const auto known = signals.find(seq); known != signals.end()) {
      return known->second.bytes == admitted.signal() ? "" : fmt::format("number {} was given twice", seq);
    }
    if (seq != signals.size() + 1) return fmt::format("number {} came after {}", seq, signals.size());
    signals[seq] = {std::string(head.id),
                    std::string(head.source),
                    admitted.signal(),
                    {admitted.channels().begin(), admitted.channels().end()},
                    admitted.revived()};
    if (admitted.revived()) return "";
    const auto [first, fresh] = ids.emplace(head.id, seq);
    return fresh ? "" : fmt::format("an id was taken twice, as {} and {}", first->second, seq);
  }
  if (record.has_begun()) {
    take(parts[{record.begun().channel(), record.begun().seqs(0)}], record.begun().part());
  }
  if (record.has_settled()) {
    const auto& one = record.settled();
    if (one.delivery()) {
      const auto [first, fresh] = delivered.try_emplace({one.channel(), one.delivery()}, one.seqs(0));
      if (!fresh && first->second != one.seqs(0)) return fmt::format("two deliveries have the id {}", one.delivery());
    }
    for (const uint64_t seq : one.seqs()) {
      const auto [first, fresh] =
          settled.try_emplace({one.channel(), seq}, Settling{one.state(), one.delivery(), std::string(bytes)});
      if (!fresh && first->second.record != bytes) return fmt::format("{} of {} was settled twice", seq, one.channel());
    }
  }
  return "";
}

std::string Ledger::read(const LogPosition& synced, size_t most) {
  while (most--) {
    const auto next = tail_->next(synced);
    // What cannot be read for a moment is asked for again with the next turn.
    if (!next) return is_lost(next.error()) ? "the ledger cannot read the journal: " + next.error().what : "";
    if (!*next) {
      all_before_ = synced;
      return "";
    }
    read_to_ = {(*next)->place.segment, (*next)->place.offset + 1, 0};
    if (auto broken = books_.add((*next)->bytes); !broken.empty()) return broken;
  }
  return "";
}

}  // namespace detent::test
