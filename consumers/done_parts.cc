#include "consumers/done_parts.h"

#include <algorithm>
#include <iterator>

namespace detent::consumers {

void DoneParts::remember(const std::string& id, const std::vector<PartState>& parts) {
  std::vector<PartState> done;
  std::copy_if(parts.begin(), parts.end(), std::back_inserter(done), [](const PartState& part) { return part.done; });
  if (id.empty() || done.empty()) return;
  if (by_id_.insert_or_assign(id, std::move(done)).second) order_.push_back(id);
  if (by_id_.size() > most_) forget(std::string(order_.front()));
}

void DoneParts::forget(const std::string& id) {
  if (by_id_.erase(id)) order_.erase(std::find(order_.begin(), order_.end(), id));
}

void DoneParts::recall(const std::string& id, std::vector<PartState>& parts) const {
  const auto known = by_id_.find(id);
  if (known == by_id_.end()) return;
  for (const PartState& done : known->second) {
    std::erase_if(parts, [&](const PartState& other) { return other.part == done.part; });
    parts.push_back(done);
  }
}

}  // namespace detent::consumers
