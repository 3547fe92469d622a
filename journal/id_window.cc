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
  // The two before are known by their numbers: one that is not there any more may have gone without its file, since it
  // was empty. Where numbers were left out, or a table was empty, a segment too many is replayed.
  for (const uint64_t segment : segments) {
    bool all = true;
    for (uint64_t table = segment > 2 ? segment - 2 : 1; table <= segment; ++table) all &= files_.has(table);
    if (all) {
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
