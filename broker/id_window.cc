#include "broker/id_window.h"

#include <algorithm>
#include <utility>

namespace detent {

Result<std::optional<uint64_t>> IdWindow::insert(const SignalId& id, uint64_t content) {
  for (const auto& [segment, ids] : sealing_) {
    if (const auto known = ids.find(id)) return known;
  }
  auto known = files_.find(id);  // costs nothing for an id newer than all of theirs, which nearly all are
  if (!known || *known) return known;
  return open_.insert(id, content);
}

void IdWindow::look(const std::vector<uint64_t>& segments) {
  for (const uint64_t segment : segments) {
    if (files_.has(segment)) covered_ = std::max(covered_, segment);
  }
}

std::vector<KnownId> IdWindow::seal(uint64_t segment) {
  auto ids = open_.all();
  sealing_.insert_or_assign(segment, std::exchange(open_, OpenIds()));
  return ids;
}

Result<void> IdWindow::sealed(uint64_t segment) {
  if (auto added = files_.add(segment); !added) return added;
  covered_ = std::max(covered_, segment);
  sealing_.erase(segment);
  return {};
}

}  // namespace detent
