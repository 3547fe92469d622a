#include "broker/dead_letter_work.h"

#include <utility>

namespace detent {

void DeadLetterWork::add_to(Work& work, std::vector<NewDeadLetter> letters, std::optional<Orders::Bite> bite, Now now) {
  letters_ = std::move(letters);
  written_ = {};
  bite_ = std::move(bite);
  if (!letters_.empty()) {
    work.before = [this] { return dead_.write(letters_, *bodies_, written_); };
  }
  if (bite_) {
    work.after = [this, at_ms = now.wall.count()]() -> Result<void> {
      if (bite_->keys.empty()) return {};
      return dead_.close(bite_->keys, bite_->retried, at_ms);
    };
  }
}

void DeadLetterWork::done(Core& core, Now now) {
  core.deliveries().dead_lettered(written_.keys(), written_.unread, written_.why, now);
  if (bite_ && bite_->answer) core.answer(bite_->answer->first, bite_->answer->second, {});
  bite_.reset();
}

}  // namespace detent
