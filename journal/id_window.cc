#include "journal/id_window.h"

#include <utility>

#include "base/result.h"

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

const std::vector<KnownId>& IdWindow::seal(uint64_t segment) {
  replayed_.push_back(segment);
  OpenIds full = std::exchange(open_, std::exchange(spare_, OpenIds(seed_)));
  const auto [place, fresh] = sealing_.emplace(segment, Sealing{std::move(full), std::exchange(replayed_, {})});
  CHECK(fresh, "a segment is sealed once");
  return place->second.ids.all();
}

Result<void> IdWindow::sealed(uint64_t segment) {
  if (auto added = files_.add(segment); !added) return added;
  auto done = std::move(sealing_.extract(segment).mapped());
  for (const uint64_t one : done.segments) covered_.insert(one);
  done.ids.clear();
  spare_ = std::move(done.ids);
  return {};
}

void IdWindow::unwritten(uint64_t segment) { sealing_.at(segment).unwritten = true; }

std::pair<uint64_t, const std::vector<KnownId>*> IdWindow::again() {
  for (auto& [segment, sealing] : sealing_) {
    if (std::exchange(sealing.unwritten, false)) return {segment, &sealing.ids.all()};
  }
  return {0, nullptr};
}

}  // namespace detent
