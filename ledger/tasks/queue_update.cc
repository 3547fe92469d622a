#include "ledger/tasks/queue_update.h"

namespace detent {
namespace {

void set(QueueSection& section, std::string_view name, std::string_view value) {
  const auto stands = section.field(name);
  if (trimmed(stands.value_or("")) != value || (!stands && !value.empty())) section.set(name, value);
}

}  // namespace

QueueTasks update_queue(QueueFile& file, const QueueTasks& tasks, std::size_t most) {
  std::map<std::string, std::size_t, std::less<>> index;
  for (std::size_t i = 0; i < file.sections().size(); ++i) index.emplace(file.sections()[i].id(), i);
  QueueTasks waiting;
  for (const auto& [id, task] : tasks) {
    const QueueState state = task.state.value_or(QueueState::queued);
    if (const auto at = index.find(id); at != index.end()) {
      QueueSection& section = file.section(at->second);
      set(section, "state", name_of(state));
      set(section, "claim", task.claim);
    } else if (!is_final(state)) {
      if (file.sections().size() < most) {
        file.add(section_of(task, file.line_end()));
      } else {
        waiting.emplace(id, task);
      }
    }
  }
  return waiting;
}

}  // namespace detent
