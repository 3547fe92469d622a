#include "ledger/tasks/hand_edits.h"

#include <spdlog/fmt/fmt.h>

#include <map>

#include "ledger/tasks/task_id.h"

namespace detent {
namespace {

using Kind = QueueRequest::Kind;

/// The ids of the sections of new tasks, by their number in the file.
std::map<std::size_t, Ulid> ids_of(const QueueMerge& merge, std::string_view origin, Millis when) {
  std::map<std::size_t, Ulid> ids;
  std::map<std::string, int> alike;
  for (const QueueRequest& request : merge.requests) {
    if (request.kind != Kind::new_task) continue;
    if (!request.id.empty()) {
      ids[request.section] = ulid_of(request.id);
      continue;
    }
    const QueueSection& section = merge.merged.sections()[request.section];
    const std::string says = fmt::format("{}\n{}", section.title(), section.body());
    ids[request.section] = Ulid::derived(when, fmt::format("{}\n{}\n{}", origin, alike[says]++, says));
  }
  return ids;
}

const QueueTask* task_in(const QueueMerge& merge, std::size_t section) {
  for (const QueueTask& task : merge.reading.tasks) {
    if (task.section == section) return &task;
  }
  return nullptr;
}

}  // namespace

std::vector<HandEdit> edits_of(const QueueMerge& merge, std::string_view origin, Millis when) {
  const auto ids = ids_of(merge, origin, when);
  std::vector<HandEdit> edits;
  for (const QueueRequest& request : merge.requests) {
    HandEdit edit;
    edit.kind = request.kind;
    if (request.kind == Kind::new_task) {
      edit.id = ids.at(request.section);
    } else {
      edit.id = ulid_of(request.id);
    }
    if (request.kind != Kind::removed && request.kind != Kind::cancel) {
      const QueueTask* task = task_in(merge, request.section);
      if (!task) continue;  // it has a fault
      if (request.kind == Kind::new_task && task->state && is_final(*task->state)) continue;
      edit.task = *task;
      for (std::string& id : edit.task.after) id = ulid_of(id).text();
    }
    edits.push_back(std::move(edit));
  }
  return edits;
}

void adopt_new(QueueMerge& merge, std::string_view origin, Millis when, std::string_view created) {
  for (const auto& [section, id] : ids_of(merge, origin, when))
    adopt(merge.merged.section(section), id.text(), QueueState::queued, created);
}

}  // namespace detent
