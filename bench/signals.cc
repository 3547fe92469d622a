#include "bench/signals.h"

#include <cstring>

#include "base/result.h"
#include "proto/signal_builder.h"

namespace detent::bench {

Signals::Signals() {
  SignalBuilder builder;
  Draft draft{.type = "cron.output", .title = "backup of /srv finished", .source = "robo-server-1"};
  draft.fields = {{"job", "nightly-backup"}, {"exit_code", "0"}};
  const Now now = system_now();
  for (size_t body = 0; body < kSignalBytes && bytes_.size() < kSignalBytes; ++body) {
    draft.body.assign(body, ' ');
    for (size_t i = 0; i < body; ++i) draft.body[i] = "rsync sent bytes received total size "[i % 37];
    auto built = builder.build(draft, now);
    if (!built) throw Failure(built.error().what);
    bytes_ = std::move(built->signal);
    id_at_ = bytes_.find(built->id.view());
  }
  CHECK(bytes_.size() == kSignalBytes && id_at_ != std::string::npos, "the signal has the size that is promised");
}

std::string_view Signals::next() {
  if (made_++ % 256 == 0) wall_ = system_now().wall;
  id_ = ids_.next(wall_);
  std::memcpy(bytes_.data() + id_at_, id_.view().data(), id_.view().size());
  return bytes_;
}

}  // namespace detent::bench
