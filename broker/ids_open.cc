#include <random>
#include <utility>

#include "broker/ids.h"

namespace detent {

namespace {

constexpr std::size_t kFirstSlots = 1024;

std::uint64_t half(const SignalId& id, int which) {
  std::uint64_t word;
  std::memcpy(&word, id.data() + 8 * which, 8);
  return word;
}

bool is_zero(const SignalId& id) { return (half(id, 0) | half(id, 1)) == 0; }
bool same(const SignalId& a, const SignalId& b) { return ((half(a, 0) ^ half(b, 0)) | (half(a, 1) ^ half(b, 1))) == 0; }

}  // namespace

OpenIds::OpenIds() {
  std::random_device source;
  for (std::uint64_t& seed : seed_) seed = (std::uint64_t{source()} << 32 | source()) | 1;
}

std::size_t OpenIds::first_slot(const SignalId& id) const {
  const auto product = static_cast<unsigned __int128>(half(id, 0) ^ seed_[0]) * (half(id, 1) ^ seed_[1]);
  return (static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64)) & (slots_.size() - 1);
}

std::size_t OpenIds::slot_of(const SignalId& id) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = first_slot(id);
  while (!is_zero(slots_[slot].id) && !same(slots_[slot].id, id)) slot = (slot + 1) & mask;
  return slot;
}

void OpenIds::fetch(const SignalId& id) const {
  if (!slots_.empty()) __builtin_prefetch(&slots_[first_slot(id)], 1);
}

std::optional<std::uint64_t> OpenIds::insert(const SignalId& id, std::uint64_t content) {
  if (is_zero(id)) {
    if (zero_) return zero_;
    zero_ = content;
    ++size_;
    return std::nullopt;
  }
  if (4 * (size_ + 1) > 3 * slots_.size()) grow();
  KnownId& slot = slots_[slot_of(id)];
  if (!is_zero(slot.id)) return slot.content;
  slot = {id, content};
  ++size_;
  return std::nullopt;
}

std::optional<std::uint64_t> OpenIds::find(const SignalId& id) const {
  if (is_zero(id)) return zero_;
  if (slots_.empty()) return std::nullopt;
  const KnownId& slot = slots_[slot_of(id)];
  if (is_zero(slot.id)) return std::nullopt;
  return slot.content;
}

std::vector<KnownId> OpenIds::all() const {
  std::vector<KnownId> all;
  all.reserve(size_);
  if (zero_) all.push_back({{}, *zero_});
  for (const KnownId& slot : slots_) {
    if (!is_zero(slot.id)) all.push_back(slot);
  }
  return all;
}

void OpenIds::grow() {
  std::vector<KnownId> old(slots_.empty() ? kFirstSlots : 2 * slots_.size());
  std::swap(old, slots_);
  for (const KnownId& slot : old) {
    if (!is_zero(slot.id)) slots_[slot_of(slot.id)] = slot;
  }
}

}  // namespace detent
