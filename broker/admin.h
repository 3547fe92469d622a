// What the command line asks the broker and orders it to do. On the loop's thread.
#pragma once

#include <functional>
#include <string>

#include "base/clock.h"
#include "broker/core.h"
#include "broker/dead_letters.h"
#include "broker/orders.h"
#include "broker/story.h"
#include "broker/vitals.h"
#include "host/executor.h"
#include "journal/journal.h"

namespace detent {

class Admin {
 public:
  /// What it sees and may do.
  struct View {
    Core& core;
    DeadLetters& dead;
    Orders& orders;
    const Journal& journal;
    const LogPosition& synced;
    Executor& executor;
    std::function<Vitals(Now)> vitals;
    /// Reads the config file again: the verdict per section, as JSON.
    std::function<Result<std::string>()> reload;
  };
  explicit Admin(View view) : view_(std::move(view)) {}

  void answer(const AdminCall& call, Now now);

 private:
  struct Ask;
  struct Command;
  static const Command kCommands[];

  void status(const Ask& ask);
  void trace(const Ask& ask);
  void reload(const Ask& ask);
  void channel_list(const Ask& ask);
  void channel_drop(const Ask& ask);
  void routes_explain(const Ask& ask);
  void dead_list(const Ask& ask);
  void dead_one(const Ask& ask);
  /// What the journal does not tell of a delivery that is still open.
  void add_open(Story& story) const;

  View view_;
};

}  // namespace detent
