#include "broker/id_window.h"

#include <algorithm>

namespace detent {

Result<std::optional<uint64_t>> IdWindow::insert(const SignalId& id, uint64_t content) {
  for (const auto& [segment, ids] : sealing_) {
    if (const auto known = ids.find(id)) return known;
  }
  if (const auto known = open_.find(id)) return known;
  auto known = files_.find(id);
  if (!known || *known) return known;
  open_.insert(id, content);
  return std::optional<uint64_t>{};
}

void IdWindow::look(const std::vector<uint64_t>& segments) {
  for (const uint64_t segment : segments) {
    if (files_.has(segment)) covered_ = std::max(covered_, segment);
  }
}

std::vector<KnownId> IdWindow::seal(uint64_t segment) {
  auto ids = open_.take();
  OpenIds kept;
  for (const auto& known : ids) kept.insert(known.id, known.content);
  sealing_.insert_or_assign(segment, std::move(kept));
  return ids;
}

Result<void> IdWindow::sealed(uint64_t segment) {
  if (auto added = files_.add(segment); !added) return added;
  covered_ = std::max(covered_, segment);
  sealing_.erase(segment);
  return {};
}

}  // namespace detent
