// What the command line asks of the dispatcher; docs/task-protocol.md lists the commands. The loop alone.
#pragma once

#include <boost/json/fwd.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "dispatch/core.h"

namespace detent {

class TaskFiles;

/// A task as lists show it: all but its prompt and its result.
boost::json::object brief(const Task& task, const Queue& queue, Now now);

class TaskAdmin {
 public:
  /// `files`: null where they are not kept.
  TaskAdmin(Dispatch& core, Journal& journal, const TaskFiles* files);
  ~TaskAdmin();

  /// Another command that it answers.
  using Command = std::function<Result<boost::json::object>(const boost::json::object& question, Now now)>;
  void add(const std::string& name, Command command);

  void answer(const TaskQuestion& question, Now now);
  /// Answers those who wait for a task to change, where it did or they have waited for long enough.
  void tick(Now now);

 private:
  /// One that is answered once the task is in another state, or has printed more, than the asker knows.
  struct Waiting {
    TaskQuestion question;
    Ulid id;
    std::string state;
    uint64_t printed = 0;
    Millis until{0};
  };
  Result<boost::json::object> answer(const boost::json::object& question, Now now);
  boost::json::object list(const boost::json::object& question, Now now) const;
  boost::json::object show(const Task& task, Now now);
  /// How its last attempt ended, from the journal, to `out`.
  Result<void> add_result(const Task& task, boost::json::object& out);
  Result<boost::json::object> inbox(const boost::json::object& question, Now now);
  Result<boost::json::object> mark_read(const boost::json::object& question);
  boost::json::object logs(const Task& task, Now now) const;
  void wait(const TaskQuestion& question, const boost::json::object& asked, Now now);
  boost::json::object workers(Now now) const;
  boost::json::object status(Now now) const;

  Dispatch& core_;
  const TaskFiles* files_;
  std::unique_ptr<JournalReader> bodies_;
  std::vector<Waiting> waiting_;
  std::map<std::string, Command, std::less<>> more_;
};

}  // namespace detent
