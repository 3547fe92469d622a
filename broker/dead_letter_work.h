// What a work of the journal has to do with dead letters: new ones are written before its batch, and those that the
// operator ordered away are closed behind it. On the loop's thread, but for the functions that `add_to` puts into the
// work, which run on the journal's while no other work is under way.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "broker/dead_letters.h"
#include "broker/orders.h"
#include "host/machine.h"

namespace detent {

class DeadLetterWork {
 public:
  /// `bodies`: of the main journal, and nobody else's.
  DeadLetterWork(DeadLetters& dead, std::unique_ptr<JournalReader> bodies) : dead_(dead), bodies_(std::move(bodies)) {}

  void add_to(Work& work, std::vector<NewDeadLetter> letters, std::optional<Orders::Bite> bite, Now now);
  /// The letters of the work are where they can be read, from before its batch is told to the core …
  void written() { dead_.written(written_.letters); }
  /// … and what became of them, after.
  void done(Core& core, Now now);

 private:
  DeadLetters& dead_;
  std::unique_ptr<JournalReader> bodies_;
  // of the work under way
  std::vector<NewDeadLetter> letters_;
  DeadLetters::Written written_;
  std::optional<Orders::Bite> bite_;
};

}  // namespace detent
