#include "journal/store.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>

namespace detent {

namespace {
constexpr std::string_view kSpare = "spare-";
constexpr std::string_view kReserve = "reserve";
constexpr std::string_view kHalfMade = ".making";

std::optional<std::uint64_t> number_of(std::string_view name) {
  std::uint64_t number = 0;
  const char* const end = name.data() + name.size();
  if (!name.starts_with(kSpare)) return std::nullopt;
  const auto [stop, bad] = std::from_chars(name.data() + kSpare.size(), end, number);
  if (bad != std::errc{} || stop != end) return std::nullopt;
  return number;
}
}  // namespace

Result<void> SegmentStore::take_stock(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    std::string_view whole = name;
    const bool half_made = whole.ends_with(kHalfMade);
    if (half_made) whole.remove_suffix(kHalfMade.size());
    const auto spare = number_of(whole);
    if (!spare && whole != kReserve) continue;
    if (spare) next_name_ = std::max(next_name_, *spare + 1);
    auto size = disk_.size(path_of(name));
    if (!size) return size.error();
    const bool too_many = spare && spares_.size() >= options_.spares;
    if (half_made || too_many || *size != (spare ? options_.segment_bytes : options_.reserve_bytes)) {
      if (auto removed = disk_.remove(path_of(name)); !removed) return removed;
    } else if (spare) {
      spares_.push_back(name);
    } else {
      reserve_held_ = true;
    }
  }
  return {};
}

std::string SegmentStore::fresh_name() { return fmt::format("{}{}", kSpare, next_name_++); }

bool SegmentStore::has_spare() const {
  const std::lock_guard lock(mutex_);
  return !spares_.empty();
}

Result<SegmentStore::Blank> SegmentStore::take() {
  std::string name;
  {
    const std::lock_guard lock(mutex_);
    if (!spares_.empty()) {
      name = spares_.back();
      spares_.pop_back();
    }
  }
  if (!name.empty()) {
    if (auto file = disk_.open(path_of(name), OpenMode::kWrite)) {
      return Blank{std::move(*file), path_of(name), options_.segment_bytes};
    } else {
      spdlog::warn("a ready segment cannot be used: {}", file.error().what);
      if (file.error().code != ENOENT) stock({name});
    }
  }
  {
    const std::lock_guard lock(mutex_);
    name = fresh_name() + std::string(kHalfMade);
  }
  auto file = disk_.open(path_of(name), OpenMode::kReplace);
  if (!file) return file.error();
  return Blank{std::move(*file), path_of(name), 0};
}

Result<std::optional<std::string>> SegmentStore::rename_to_spare(const std::string& path, std::uint64_t bytes,
                                                                 std::size_t on_the_way) {
  std::string name;
  {
    const std::lock_guard lock(mutex_);
    if (bytes != options_.segment_bytes || spares_.size() + on_the_way >= options_.spares) {
      return {boost::system::in_place_value, std::nullopt};
    }
    name = fresh_name();
  }
  if (auto renamed = disk_.rename(path, path_of(name)); !renamed) return renamed.error();
  return {boost::system::in_place_value, std::move(name)};
}

void SegmentStore::stock(std::vector<std::string> names) {
  const std::lock_guard lock(mutex_);
  for (std::string& name : names) spares_.push_back(std::move(name));
}

Result<bool> SegmentStore::has_room_for(std::uint64_t bytes) const {
  auto free = disk_.free_bytes(directory_);
  if (!free) return free.error();
  return *free >= options_.low_water + bytes;
}

Result<void> SegmentStore::make_zeros(const std::string& name, std::uint64_t bytes, bool in_haste) {
  const std::string draft = path_of(name) + std::string(kHalfMade);
  auto made = [&]() -> Result<void> {
    auto file = disk_.open(draft, OpenMode::kReplace);
    if (!file) return file.error();
    auto filled = in_haste ? (*file)->allocate(0, bytes) : (*file)->zero_fill(0, bytes);
    if (!filled) return filled;
    return disk_.rename(draft, path_of(name));
  }();
  if (!made && disk_.exists(draft)) {
    if (auto removed = disk_.remove(draft); !removed) spdlog::warn("{}", removed.error().what);
  }
  return made;
}

Result<bool> SegmentStore::prepare_spare(bool in_haste) {
  std::string name;
  {
    const std::lock_guard lock(mutex_);
    if (spares_.size() >= options_.spares) return false;
    name = fresh_name();
  }
  auto room = has_room_for(options_.segment_bytes);
  if (!room || !*room) return room;
  if (auto made = make_zeros(name, options_.segment_bytes, in_haste); !made) return made.error();
  const std::lock_guard lock(mutex_);
  spares_.push_back(name);
  return true;
}

Result<bool> SegmentStore::refill_reserve() {
  {
    const std::lock_guard lock(mutex_);
    if (reserve_held_ || options_.reserve_bytes == 0) return false;
  }
  auto room = has_room_for(options_.reserve_bytes);
  if (!room || !*room) return room;
  const std::string name(kReserve);
  if (auto made = make_zeros(name, options_.reserve_bytes, true); !made) return made.error();
  const std::lock_guard lock(mutex_);
  reserve_held_ = true;
  return true;
}

Result<void> SegmentStore::give_up_reserve() {
  const std::lock_guard lock(mutex_);
  if (!reserve_held_) return {};
  if (auto removed = disk_.remove(path_of(std::string(kReserve))); !removed) return removed.error();
  reserve_held_ = false;
  spdlog::warn("{}: the disk is full, {} MiB held in reserve were given up", directory_, options_.reserve_bytes >> 20);
  return {};
}

Result<Space> SegmentStore::space() const {
  auto free = disk_.free_bytes(directory_);
  if (!free) return free.error();
  const std::lock_guard lock(mutex_);
  return Space{*free, *free < options_.low_water, reserve_held_, static_cast<unsigned>(spares_.size())};
}

std::uint64_t SegmentStore::bytes() const {
  const std::lock_guard lock(mutex_);
  return spares_.size() * options_.segment_bytes + (reserve_held_ ? options_.reserve_bytes : 0);
}

}  // namespace detent
