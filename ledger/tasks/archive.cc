#include "ledger/tasks/archive.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "ledger/tasks/result_folder.h"

namespace detent {
namespace {

/// Whether a line of `archive` is the heading of this task.
bool holds(std::string_view archive, std::string_view id) {
  while (!archive.empty()) {
    const QueueLine line = first_line(archive);
    archive.remove_prefix(line.size());
    if (!line.starts_with("## ")) continue;
    const auto heading = heading_of(line);
    if (heading && heading->id == id) return true;
  }
  return false;
}

}  // namespace

std::vector<std::string> tasks_to_archive(std::span<const FinishedTask> finished, Millis now,
                                          const ArchivePolicy& policy) {
  std::vector<const FinishedTask*> tasks;
  for (const FinishedTask& task : finished) tasks.push_back(&task);
  std::sort(tasks.begin(), tasks.end(), [](const FinishedTask* a, const FinishedTask* b) {
    return a->ended != b->ended ? a->ended < b->ended : a->id < b->id;
  });
  const std::size_t surplus = tasks.size() > policy.max_finished ? tasks.size() - policy.max_finished : 0;
  std::vector<std::string> leaving;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    if (i < surplus || now - tasks[i]->ended > policy.max_age) leaving.push_back(tasks[i]->id);
  }
  return leaving;
}

std::string archive_path(Millis ended) { return fmt::format("worker/ARCHIVE/{}.md", month_of(ended)); }

std::string append_to_archive(std::string archive, const QueueSection& section, Millis ended) {
  if (!section.id().empty() && holds(archive, section.id())) return archive;
  if (archive.empty()) archive = fmt::format("# Tasks that ended in {}\n", month_of(ended));
  if (!archive.ends_with('\n')) archive.push_back('\n');
  if (!archive.ends_with("\n\n")) archive.push_back('\n');
  std::string_view text = section.text();
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  return archive.append(text).append("\n");
}

}  // namespace detent
