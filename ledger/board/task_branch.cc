// The branch as it stands, and what others commit to it.
#include "ledger/board/task_branch.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>

#include "ledger/board/paths.h"
#include "ledger/tasks/result_folder.h"
#include "ledger/tasks/task_id.h"

namespace detent {

namespace {
constexpr const char* kLockFile = "detent-tasks.lock";
constexpr const char* kFirstBranch = "detent/ledger";  // what HEAD names in a repository that is made here
constexpr Millis kIdle{5'000};                         // others commit to a local branch without a word
}  // namespace

Result<std::unique_ptr<TaskBranch>> TaskBranch::open(Options options, Now now) {
  const auto fine = Repository::check(options.author);
  if (!fine) return fine.error();
  std::error_code failed;
  if (std::filesystem::exists(options.repository, failed)) {
    if (const auto owned = owned_by_us(options.repository); !owned) return owned.error();
  }
  auto repository = Repository::open_or_create(options.repository, kFirstBranch);
  if (!repository) return repository.error();
  auto lock = FileLock::take(options.repository / kLockFile);
  if (!lock) return lock.error();
  std::unique_ptr<TaskBranch> branch(
      new TaskBranch(std::move(options), std::move(*lock), std::move(*repository), now.mono));
  if (const auto begun = branch->begin(now); !begun) return begun.error();
  return branch;
}

TaskBranch::TaskBranch(Options options, FileLock lock, Repository repository, Millis mono)
    : options_(std::move(options)),
      lock_(std::move(lock)),
      repository_(std::move(repository)),
      branch_(repository_, options_.branch),
      ref_lock_(options_.repository, options_.branch, mono) {
  if (options_.remote.empty()) return;
  Pusher::Options push;
  push.repository = options_.repository;
  push.remote = {options_.remote, options_.ssh_command};
  push.branch = options_.branch;
  push.every = Millis{static_cast<Millis::rep>(60'000 / std::max(0.01, options_.pushes_per_minute))};
  push.deadline = options_.push_deadline;
  push.min_retry = options_.push_retry;
  remote_.emplace(std::move(push), options_.fetch_every);
}

Result<> TaskBranch::begin(Now now) {
  // Our last commit is where the witness stands. Without one, all that is on the branch is somebody else's.
  for (const std::string& ref : {branch_.witness(), branch_.ref()}) {
    const auto named = branch_.read(ref);
    if (!named) return named.error();
    if (named->damage) {
      spdlog::error("tasks: {} cannot be read and is set aside: {}", ref, named->damage->what);
      if (const auto aside = branch_.set_aside(ref, now.wall); !aside) return aside.error();
    } else if (named->commit && ref == branch_.witness()) {
      branch_.adopt(named->commit->id, named->commit->tree);
    }
  }
  if (remote_) remote_->committed();  // what an earlier run could not push
  return {};
}

Millis TaskBranch::wait(Millis mono) const { return remote_ ? std::min(kIdle, remote_->wait(mono)) : kIdle; }

// ---- what is there

Result<std::optional<std::string>> TaskBranch::file_at(const std::optional<Oid>& tree, const std::string& path) const {
  if (!tree) return std::optional<std::string>();
  const auto entry = repository_.find(*tree, path);
  if (!entry) return entry.error();
  if (!*entry || (*entry)->folder) return std::optional<std::string>();
  auto content = repository_.blob((*entry)->id);
  if (!content) return content.error();
  return std::optional<std::string>(std::move(*content));
}

Result<QueueFile> TaskBranch::queue_at(const std::optional<Oid>& tree) const {
  const auto text = file_at(tree, kQueuePath);
  if (!text) return text.error();
  return QueueFile::parse(text->value_or(std::string(kEmptyQueue)));
}

Result<bool> TaskBranch::has_result(const TaskResult& result) const {
  const auto covers = [&](const std::string& file) {
    const TaskResult there = read_result(file).result;
    return there.epoch != result.epoch ? there.epoch > result.epoch : there.ended >= result.ended;
  };
  const std::string path = result_path(result.id);
  if (const auto waits = results_.find(path); waits != results_.end()) return covers(waits->second);
  const auto there = file_at(branch_.ours_tree(), path);
  if (!there) return there.error();
  return *there && covers(**there);
}

Result<std::vector<HandEdit>> TaskBranch::forgotten(const std::set<std::string>& known) const {
  const auto queue = queue_at(branch_.ours_tree());
  if (!queue) return queue.error();
  std::vector<HandEdit> tasks;
  for (QueueTask& task : read_queue(*queue).tasks) {
    if (task.id.empty() || known.contains(task.id) || (task.state && is_final(*task.state))) continue;
    const Ulid id = ulid_of(task.id);
    tasks.push_back({QueueRequest::Kind::new_task, id, std::move(task)});
  }
  return tasks;
}

// ---- what others did

Result<> TaskBranch::put_back(const char* why) {
  spdlog::error("tasks: {} {}: it is put back to our last commit, {}", options_.branch, why, branch_.ours()->hex());
  const auto moved = repository_.move_ref(branch_.ref(), *branch_.ours(), branch_.seen());
  if (!moved) return moved.error();
  return {};
}

Result<> TaskBranch::look_for_foreign() {
  const auto standing = branch_.look();
  if (!standing) return standing.error();
  std::optional<Oid> found;
  switch (*standing) {
    case Branch::Standing::gone:
      if (branch_.ours()) return put_back("was deleted");
      break;
    case Branch::Standing::moved_back:
      return put_back("was moved back");
    case Branch::Standing::above:
    case Branch::Standing::diverged:
      found = branch_.seen();
      break;
    case Branch::Standing::in_place:
      break;
  }
  if (!found && remote_) {
    const auto fetched = repository_.ref(remote_->fetched_ref());
    if (!fetched) return fetched.error();
    if (*fetched && *fetched != branch_.ours()) {
      const auto known = branch_.ours() ? repository_.descends(*branch_.ours(), **fetched) : Result<bool>(false);
      if (!known) return known.error();
      if (!*known) found = *fetched;
    }
  }
  if (!found) return {};
  Foreign foreign;
  auto commit = repository_.commit(*found);
  if (!commit) return commit.error();
  foreign.commit = std::move(*commit);
  if (branch_.ours()) {
    const auto base = repository_.merge_base(*branch_.ours(), *found);
    if (!base) return base.error();
    foreign.base = *base;
  }
  foreign.on_ours = foreign.base == branch_.ours();
  if (foreign.base) {
    const auto read = repository_.commit(*foreign.base);
    if (!read) return read.error();
    foreign.base_tree = read->tree;
    foreign.base_time = read->time;
  }
  foreign_ = std::move(foreign);
  return {};
}

/// The same for the same edit, however often it is looked at.
std::string TaskBranch::origin() const { return foreign_->base ? foreign_->base->hex() : std::string(); }

/// Likewise, also where another commit has followed it before it was merged: the time of its new tasks' ids.
Millis TaskBranch::asked_at() const { return foreign_->base_time.value_or(foreign_->commit.time); }

Result<QueueMerge> TaskBranch::merge() const {
  auto base = queue_at(foreign_->base_tree), ours = queue_at(branch_.ours_tree()),
       theirs = queue_at(foreign_->commit.tree);
  for (const auto* side : {&base, &ours, &theirs}) {
    if (!*side) return side->error();
  }
  // What this edit asked for has its section in theirs.
  QueueTasks known = tasks_;
  for (const std::string& id : foreign_->asked) known.erase(id);
  update_queue(*ours, known, options_.most_sections);
  Millis ours_at{0};
  if (branch_.ours()) {
    const auto last = repository_.commit(*branch_.ours());
    if (!last) return last.error();
    ours_at = last->time;
  }
  return merge_queues(*base, *ours, *theirs, foreign_->commit.time >= ours_at ? Newer::theirs : Newer::ours);
}

void TaskBranch::edits_taken() {
  if (foreign_) foreign_->taken = true;
}

Result<TaskBranch::Turn> TaskBranch::turn(Now now) {
  Turn turn;
  if (remote_) remote_->turn(now.mono);
  const auto attempt = [&]() -> Result<bool> {
    if (!foreign_) {
      if (const auto looked = look_for_foreign(); !looked) return looked.error();
      if (foreign_) {
        const auto merged = merge();
        if (!merged) {
          foreign_.reset();
          return merged.error();
        }
        faults_ = merged->reading.faults;
        turn.edits = edits_of(*merged, origin(), asked_at());
        for (const HandEdit& edit : turn.edits) {
          if (edit.kind == QueueRequest::Kind::new_task) foreign_->asked.insert(edit.id.text());
        }
        foreign_->taken = turn.edits.empty();
      }
    }
    if (foreign_ && !foreign_->taken) return false;
    return commit(turn, now);
  };
  if (std::exchange(reopens_, false)) {
    if (const auto reopened = repository_.reopen(); !reopened) {
      reopens_ = true;
      return reopened.error();
    }
  }
  const auto committed = attempt();
  if (!committed) {
    reopens_ = true;  // git may have packed what libgit2 looks for
    return committed.error();
  }
  turn.committed = *committed;
  if (turn.committed && remote_) remote_->committed();
  return turn;
}

}  // namespace detent
