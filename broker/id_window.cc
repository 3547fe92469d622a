#include "broker/id_window.h"

#include <utility>

namespace detent {

Result<std::optional<uint64_t>> IdWindow::insert(const SignalId& id, uint64_t content) {
  for (const auto& [segment, sealing] : sealing_) {
    if (const auto known = sealing.ids.find(id)) return known;
  }
  auto known = files_.find(id);  // costs nothing for an id newer than all of theirs, which nearly all are
  if (!known || *known) return known;
  return open_.insert(id, content);
}

// A table is sealed with the work after the one that ended its segment, so that it may hold ids of the next two as
// well: those of a segment are all in files where its own and the two before are written.
bool IdWindow::covered(uint64_t segment) const {
  return covered_.contains(segment) && (sealing_.empty() || segment < sealing_.begin()->first);
}

void IdWindow::look(const std::vector<uint64_t>& segments) {
  int in_a_row = 2;
  for (const uint64_t segment : segments) {
    in_a_row = files_.has(segment) ? in_a_row + 1 : 0;
    if (in_a_row > 2) {
      covered_.insert(segment);
    } else {
      replayed_.push_back(segment);
    }
  }
}

std::vector<KnownId> IdWindow::seal(uint64_t segment) {
  auto ids = open_.all();
  replayed_.push_back(segment);
  sealing_.insert_or_assign(segment, Sealing{std::exchange(open_, OpenIds()), std::exchange(replayed_, {})});
  return ids;
}

Result<void> IdWindow::sealed(uint64_t segment) {
  if (auto added = files_.add(segment); !added) return added;
  for (const uint64_t one : sealing_.at(segment).segments) covered_.insert(one);
  sealing_.erase(segment);
  return {};
}

void IdWindow::unwritten(uint64_t segment) { sealing_.at(segment).unwritten = true; }

std::optional<std::pair<uint64_t, std::vector<KnownId>>> IdWindow::again() {
  for (auto& [segment, sealing] : sealing_) {
    if (std::exchange(sealing.unwritten, false)) return std::pair{segment, sealing.ids.all()};
  }
  return std::nullopt;
}

}  // namespace detent
