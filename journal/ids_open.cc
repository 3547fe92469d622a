#include <algorithm>
#include <random>

#include "journal/ids.h"

namespace detent {

namespace {

constexpr std::size_t kFirstSlots = 1024;

std::uint64_t half(const SignalId& id, int which) {
  std::uint64_t word;
  std::memcpy(&word, id.data() + 8 * which, 8);
  return word;
}

bool same(const SignalId& a, const SignalId& b) { return ((half(a, 0) ^ half(b, 0)) | (half(a, 1) ^ half(b, 1))) == 0; }

std::uint32_t tag_of(std::uint64_t hash) { return static_cast<std::uint32_t>(hash >> 32); }

}  // namespace

OpenIds::OpenIds(std::uint64_t seed) {
  std::mt19937_64 source(seed);
  for (std::uint64_t& half : seed_) half = source() | 1;
}

std::uint64_t OpenIds::hash_of(const SignalId& id) const {
  const auto product = static_cast<unsigned __int128>(half(id, 0) ^ seed_[0]) * (half(id, 1) ^ seed_[1]);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::size_t OpenIds::slot_of(const SignalId& id, std::uint64_t hash) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = hash & mask;
  for (; slots_[at].place != 0; at = (at + 1) & mask) {
    if (slots_[at].tag == tag_of(hash) && same(ids_[slots_[at].place - 1].id, id)) break;
  }
  return at;
}

void OpenIds::fetch(const SignalId& id) const {
  if (!slots_.empty()) __builtin_prefetch(&slots_[hash_of(id) & (slots_.size() - 1)], 1);
}

std::optional<std::uint64_t> OpenIds::insert(const SignalId& id, std::uint64_t content) {
  if (2 * (ids_.size() + 1) > slots_.size()) grow();
  const std::uint64_t hash = hash_of(id);
  Slot& slot = slots_[slot_of(id, hash)];
  if (slot.place != 0) return ids_[slot.place - 1].content;
  ids_.push_back({id, content});
  slot = {tag_of(hash), static_cast<std::uint32_t>(ids_.size())};
  return std::nullopt;
}

std::optional<std::uint64_t> OpenIds::find(const SignalId& id) const {
  if (slots_.empty()) return std::nullopt;
  const Slot& slot = slots_[slot_of(id, hash_of(id))];
  if (slot.place == 0) return std::nullopt;
  return ids_[slot.place - 1].content;
}

void OpenIds::clear() {
  ids_.clear();
  std::fill(slots_.begin(), slots_.end(), Slot{});
}

void OpenIds::grow() {
  slots_.assign(slots_.empty() ? kFirstSlots : 2 * slots_.size(), Slot{});
  const std::size_t mask = slots_.size() - 1;
  for (std::uint32_t place = 1; place <= ids_.size(); ++place) {
    const std::uint64_t hash = hash_of(ids_[place - 1].id);
    std::size_t at = hash & mask;
    while (slots_[at].place != 0) at = (at + 1) & mask;
    slots_[at] = {tag_of(hash), place};
  }
}

}  // namespace detent
