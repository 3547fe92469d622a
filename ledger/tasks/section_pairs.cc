#include "ledger/tasks/section_pairs.h"

namespace detent {
namespace {

/// No title has a line break in it, so that none is taken for an id.
std::string name_of(const QueueSection& section) {
  return section.id().empty() ? "\n" + std::string{section.title()} : section.id();
}

}  // namespace

SectionKeys::SectionKeys(const QueueFile& file) {
  TextMap<std::size_t> seen;
  for (const QueueSection& section : file.sections()) {
    std::string key = name_of(section);
    const std::size_t before = seen[key]++;
    repeats_.push_back(before > 0 && !section.id().empty());
    key.append("\n").append(std::to_string(before));
    index_.emplace(key, keys_.size());
    keys_.push_back(std::move(key));
  }
}

std::optional<std::size_t> SectionKeys::find(std::string_view key) const {
  const auto at = index_.find(key);
  if (at == index_.end()) return std::nullopt;
  return at->second;
}

void SectionKeys::match_adopted(const QueueFile& ours, const QueueFile& base, const SectionKeys& base_keys,
                                const SectionKeys& theirs_keys) {
  TextMap<std::vector<std::size_t>> adopted;  // by title, the last first
  for (std::size_t i = ours.sections().size(); i-- > 0;) {
    const QueueSection& section = ours.sections()[i];
    if (section.id().empty() || base_keys.find(keys_[i]) || theirs_keys.find(keys_[i])) continue;
    adopted[std::string{section.title()}].push_back(i);
  }
  for (std::size_t i = 0; i < base.sections().size(); ++i) {
    const QueueSection& section = base.sections()[i];
    if (!section.id().empty() || find(base_keys.of(i))) continue;
    const auto found = adopted.find(section.title());
    if (found == adopted.end() || found->second.empty()) continue;
    const std::size_t index = found->second.back();
    found->second.pop_back();
    keys_[index] = base_keys.of(i);
    index_[keys_[index]] = index;
  }
}

}  // namespace detent
