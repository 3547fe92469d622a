// What is committed to the branch, and how.
#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/utf8.h"
#include "ledger/board/paths.h"
#include "ledger/board/task_branch.h"
#include "ledger/repository/room.h"
#include "ledger/repository/tree_changes.h"
#include "ledger/tasks/result_folder.h"
#include "ledger/text.h"

namespace detent {

namespace {
constexpr std::size_t kMostNamed = 50;        // tasks in a commit's message
constexpr std::size_t kResultsOverflow = 50;  // more than are kept flat, before some are moved

Millis time_of(const std::string& id) {
  const auto ulid = Ulid::parse(id);
  return ulid ? ulid->time() : Millis{0};
}
}  // namespace

void TaskBranch::changed(QueueTask task, Millis ended) {
  if (task.text.size() > options_.max_text) {
    task.text = head_of(task.text, options_.max_text);
    task.text += fmt::format("\n\n{}{}` has all of it)\n", kCutNote, task.id);
  }
  if (ended.count()) ended_[task.id] = ended;
  tasks_.insert_or_assign(task.id, std::move(task));
}

void TaskBranch::ended(const TaskResult& result, bool stale) {
  const std::string path = stale ? stale_result_path(result.id, result.epoch) : result_path(result.id);
  results_.insert_or_assign(path, print_result(result));
}

std::size_t TaskBranch::waiting_bytes() const {
  std::size_t bytes = 0;
  for (const auto& [path, text] : results_) bytes += text.size();
  return bytes;
}

/// Tasks that are over leave QUEUE.md.
Result<> TaskBranch::archive(QueueFile& queue, Draft& draft, Now now) {
  std::vector<FinishedTask> over;
  for (const QueueSection& section : queue.sections()) {
    const auto state = parse_queue_state(section.field("state").value_or(""));
    if (section.id().empty() || !state || !is_final(*state)) continue;
    // Of one that ended when nobody knows, or by a person's edit, the time counts from here.
    over.push_back({section.id(), ended_.emplace(section.id(), now.wall).first->second});
  }
  std::map<std::string, std::string> archives;
  for (const std::string& id : tasks_to_archive(over, now.wall, options_.archive)) {
    const auto at = queue.find(id);
    const auto when = std::find_if(over.begin(), over.end(), [&](const FinishedTask& one) { return one.id == id; });
    const std::string path = archive_path(when->ended);
    if (!archives.contains(path)) {
      auto there = file_at(branch_.ours_tree(), path);
      if (!there) return there.error();
      archives[path] = there->value_or(std::string());
    }
    archives[path] = append_to_archive(std::move(archives[path]), queue.sections()[*at], when->ended);
    queue.remove(*at);
  }
  for (auto& [path, text] : archives) draft.files.emplace_back(path, std::move(text));
  return {};
}

/// The oldest results move to their month's folder when too many lie flat.
Result<> TaskBranch::make_room_for_results(Draft& draft) const {
  if (!branch_.ours_tree()) return {};
  const auto folder = repository_.find(*branch_.ours_tree(), std::string(kResultsFolder));
  if (!folder) return folder.error();
  if (!*folder) return {};
  const auto entries = repository_.entries((*folder)->id);
  if (!entries) return entries.error();
  if (entries->size() <= kResultsKeptFlat + kResultsOverflow) return {};
  std::vector<PresentResult> flat;
  std::map<std::string, Oid> blobs;
  for (const TreeEntry& entry : *entries) {
    const auto name = parse_result_name(entry.name);
    if (entry.folder || !name) continue;
    flat.push_back({entry.name, time_of(name->id)});
    blobs.emplace(fmt::format("{}/{}", kResultsFolder, entry.name), entry.id);
  }
  for (const ResultMove& move : results_to_move(flat)) {
    draft.placed.push_back({move.from, std::nullopt});
    draft.placed.push_back({move.to, blobs.at(move.from)});
  }
  return {};
}

Result<TaskBranch::Draft> TaskBranch::draft(Now now) {
  Draft draft;
  auto queue = queue_at(branch_.ours_tree());
  if (!queue) return queue.error();
  if (foreign_) {
    auto merged = merge();
    if (!merged) return merged.error();
    adopt_new(*merged, origin(), asked_at(),
              fmt::format("{} by {}", utc(foreign_->commit.time), one_line(foreign_->commit.author, 80)));
    *queue = std::move(merged->merged);
    faults_ = std::move(merged->reading.faults);
    auto theirs =
        changes_of_theirs(repository_, foreign_->base_tree, branch_.ours_tree(), foreign_->commit.tree, kQueuePath);
    if (!theirs) return theirs.error();
    draft.placed = std::move(*theirs);
  }
  draft.waiting = update_queue(*queue, tasks_, options_.most_sections);
  if (const auto archived = archive(*queue, draft, now); !archived) return archived.error();
  if (const auto moved = make_room_for_results(draft); !moved) return moved.error();
  draft.queue = queue->print();
  for (const QueueSection& section : queue->sections()) draft.ids.insert(section.id());
  for (const auto& [path, text] : results_) draft.files.emplace_back(path, text);
  if (heartbeat_ != heartbeat_there_) draft.files.emplace_back(kHeartbeatPath, heartbeat_);
  const auto there = file_at(branch_.ours_tree(), kQueuePath);
  if (!there) return there.error();
  if (!*there || **there != draft.queue) {
    draft.files.emplace_back(kQueuePath, draft.queue);
    if (!foreign_) faults_ = read_queue(QueueFile::parse(draft.queue)).faults;
  }
  draft.message = message(draft);
  return draft;
}

std::string TaskBranch::message(const Draft& draft) const {
  std::string subject, named;
  if (foreign_) {
    subject = fmt::format("QUEUE.md: edited by {}", one_line(foreign_->commit.author, 80));
  } else if (tasks_.size() == 1) {
    const QueueTask& task = tasks_.begin()->second;
    subject = fmt::format("{}: {}", name_of(task.state.value_or(QueueState::queued)), one_line(task.title, 80));
  } else if (!tasks_.empty()) {
    subject = fmt::format("{} tasks changed", tasks_.size());
  } else {
    subject = draft.files.size() == 1 && draft.files[0].first == kHeartbeatPath ? "heartbeat" : "tasks";
  }
  std::size_t count = 0;
  for (const auto& [id, task] : tasks_) {
    if (++count > kMostNamed) break;
    named += fmt::format("Task-Id: {} {}\n", id, name_of(task.state.value_or(QueueState::queued)));
  }
  return named.empty() ? subject + "\n" : fmt::format("{}\n\n{}", subject, named);
}

Result<bool> TaskBranch::commit(Turn& turn, Now now) {
  if (!foreign_ && tasks_.empty() && results_.empty() && heartbeat_ == heartbeat_there_ && branch_.ours()) return false;
  if (const auto room = check_room(options_.repository, room_for_commits(options_.low_water)); !room)
    return room.error();
  auto drafted = draft(now);
  if (!drafted) return drafted.error();
  Draft& draft = *drafted;
  const bool commits = foreign_ || !draft.files.empty() || !draft.placed.empty();
  if (commits) {
    // Of a file that both sides changed, ours stands.
    std::set<std::string> named;
    for (const auto& file : draft.files) named.insert(file.first);
    std::erase_if(draft.placed, [&](const auto& one) { return !named.insert(one.path).second; });
    std::vector<Repository::File> files;
    for (const auto& [path, content] : draft.files) files.push_back({path, content});
    const auto tree = repository_.write_tree(branch_.ours_tree(), files, draft.placed);
    if (!tree) return tree.error();
    // What stands on our last commit and needs nothing added is ours as it is.
    const bool as_it_is = foreign_ && foreign_->on_ours && *tree == foreign_->commit.tree;
    std::optional<Oid> parent = branch_.ours(), merged;
    if (foreign_ && foreign_->on_ours) parent = foreign_->commit.id;
    if (foreign_ && !foreign_->on_ours) merged = foreign_->commit.id;
    const auto id = as_it_is
                        ? Result<Oid>(foreign_->commit.id)
                        : repository_.write_commit(*tree, parent, draft.message, options_.author, now.wall, merged);
    if (!id) return id.error();
    const auto advanced = branch_.advance(*id, *tree);
    if (!advanced) return advanced.error();
    if (*advanced == Branch::Advance::lost) {
      foreign_.reset();  // somebody committed meanwhile: look again
      return Error{"somebody else moved " + options_.branch + " meanwhile; it is tried again", EAGAIN};
    }
    if (*advanced == Branch::Advance::locked) {
      ref_lock_.break_stale(now.mono);
      return Error{fmt::format("{} in {} is locked by another process", options_.branch, options_.repository.string()),
                   EAGAIN};
    }
    ref_lock_.forget();
  }
  heartbeat_there_ = heartbeat_;
  std::erase_if(ended_, [&](const auto& one) { return !draft.ids.contains(one.first); });
  for (const auto& [path, text] : results_) {
    const auto name = parse_result_name(path.substr(path.rfind('/') + 1));
    if (name && !name->stale_epoch) turn.filed.push_back(name->id);
  }
  results_.clear();
  tasks_ = std::move(draft.waiting);
  foreign_.reset();
  return commits;
}

}  // namespace detent
