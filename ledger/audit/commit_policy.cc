#include "ledger/audit/commit_policy.h"

#include <algorithm>

#include "base/result.h"

namespace detent {

CommitPolicy::CommitPolicy() : CommitPolicy(Limits{}) {}

void CommitPolicy::add(const Item& item, Millis mono) {
  const auto [at, fresh] = waiting_.emplace(item.place, Entry{item, mono, {}});
  CHECK(fresh, "two records have the same place");
  bytes_ += item.bytes;
  if (item.kind != Kind::receipt) {
    signals_[item.seq] = item.place;
  } else if (const auto signal = signals_.find(item.seq); signal != signals_.end() && signal->second < item.place) {
    waiting_.at(signal->second).receipts.push_back(item.place);
  }
}

bool CommitPolicy::ready(const Entry& entry, Millis mono) const {
  return entry.item.kind == Kind::signal &&
         (entry.receipts.size() >= entry.item.receipts || mono - entry.since >= limits_.receipts_wait);
}

bool CommitPolicy::with_a_signal(const Entry& entry) const {
  return entry.item.kind != Kind::receipt || signals_.contains(entry.item.seq);
}

std::size_t CommitPolicy::singles_allowed(Millis mono) const {
  if (singles_paid_to_ <= mono) return limits_.burst;
  const auto used =
      static_cast<std::size_t>((singles_paid_to_ - mono + limits_.single_every - Millis{1}) / limits_.single_every);
  return used >= limits_.burst ? 0 : limits_.burst - used;
}

void CommitPolicy::take(const Entry& entry, std::vector<std::uint64_t>& places) const {
  places.push_back(entry.item.place);
  places.insert(places.end(), entry.receipts.begin(), entry.receipts.end());
}

std::vector<std::uint64_t> CommitPolicy::batch() const {
  std::vector<std::uint64_t> places;
  std::size_t bytes = 0;
  for (const auto& [place, entry] : waiting_) {
    if (!places.empty() && bytes + entry.item.bytes > limits_.batch_bytes) break;
    bytes += entry.item.bytes;
    places.push_back(place);
  }
  return places;
}

std::vector<std::uint64_t> CommitPolicy::due(Millis mono) const {
  if (bytes_ >= limits_.batch_bytes) return batch();

  std::size_t ready_count = 0, gathered = 0, late = 0;
  const Entry *first_ready = nullptr, *last_ready = nullptr, *first_gathered = nullptr, *first_late = nullptr;
  for (const auto& [place, entry] : waiting_) {
    if (ready(entry, mono)) {
      if (!ready_count++) first_ready = &entry;
      last_ready = &entry;
    } else if (entry.item.kind == Kind::gathered) {
      if (!gathered++) first_gathered = &entry;
    } else if (!with_a_signal(entry)) {
      if (!late++) first_late = &entry;
    }
  }

  std::vector<std::uint64_t> places;
  const bool may_overtake = waiting_.size() <= limits_.max_held;
  const bool gathering_ends =
      may_overtake && gathered && (gathered >= limits_.max_gathered || mono - first_gathered->since >= limits_.gather);
  if (gathering_ends) {
    for (const auto& [place, entry] : waiting_) {
      if (entry.item.kind == Kind::gathered) take(entry, places);
    }
  } else if (ready_count && ready_count <= singles_allowed(mono) && may_overtake) {
    take(*first_ready, places);
    for (const auto& [place, entry] : waiting_) {
      if (!with_a_signal(entry)) places.push_back(place);
    }
  } else if (ready_count) {
    if (last_commit_ != Millis::min() && mono - last_commit_ < limits_.batch_every) return {};
    for (const auto& [place, entry] : waiting_) {
      if (place > last_ready->item.place) break;
      places.push_back(place);
    }
  } else if (late && mono - first_late->since >= limits_.late_receipts) {
    for (const auto& [place, entry] : waiting_) {
      if (!with_a_signal(entry)) places.push_back(place);
    }
  }
  std::sort(places.begin(), places.end());
  return places;
}

void CommitPolicy::committed(const std::vector<std::uint64_t>& places, Millis mono) {
  std::size_t signals = 0;
  for (const std::uint64_t place : places) {
    const auto at = waiting_.find(place);
    CHECK(at != waiting_.end(), "a record was committed that did not wait");
    bytes_ -= at->second.item.bytes;
    if (at->second.item.kind != Kind::receipt) {
      ++signals;
      const auto signal = signals_.find(at->second.item.seq);
      if (signal != signals_.end() && signal->second == place) signals_.erase(signal);
    }
    waiting_.erase(at);
  }
  if (signals == 1) singles_paid_to_ = std::max(singles_paid_to_, mono) + limits_.single_every;
  last_commit_ = mono;
}

std::vector<std::uint64_t> CommitPolicy::held_after(const std::vector<std::uint64_t>& places,
                                                    std::uint64_t place) const {
  std::vector<std::uint64_t> held;
  auto taken = places.begin();
  for (const auto& [at, entry] : waiting_) {
    if (at >= place) break;
    while (taken != places.end() && *taken < at) ++taken;
    if (taken == places.end() || *taken != at) held.push_back(at);
  }
  return held;
}

std::optional<Millis> CommitPolicy::wait(Millis mono) const {
  if (waiting_.empty()) return std::nullopt;
  if (bytes_ >= limits_.batch_bytes) return Millis{0};
  std::optional<Millis> at;
  const auto sooner = [&](Millis when) { at = at ? std::min(*at, when) : when; };
  bool any_ready = false;
  for (const auto& [place, entry] : waiting_) {
    if (ready(entry, mono)) {
      any_ready = true;
    } else if (entry.item.kind == Kind::signal) {
      sooner(entry.since + limits_.receipts_wait);
    } else if (entry.item.kind == Kind::gathered) {
      sooner(entry.since + limits_.gather);
    } else if (!with_a_signal(entry)) {
      sooner(entry.since + limits_.late_receipts);
    }
  }
  if (!due(mono).empty()) return Millis{0};
  if (any_ready) sooner(last_commit_ + limits_.batch_every);
  if (!at) return std::nullopt;
  return std::max(Millis{0}, *at - mono);
}

}  // namespace detent
