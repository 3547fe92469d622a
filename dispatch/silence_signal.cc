#include "dispatch/silence_signal.h"

#include <spdlog/fmt/fmt.h>

#include "base/utf8.h"
#include "dispatch/liveness.h"
#include "proto/signal.pb.h"
#include "proto/task.pb.h"

namespace detent {

namespace {

/// With the time at which it was noticed in front, as every id has the time of its signal.
Ulid id_of(const LivenessNotice& notice) {
  return Ulid::derived(Millis{notice.at_ms()}, fmt::format("{} {} {} {}", notice.worker() ? "worker" : "source",
                                                           notice.name(), notice.since_ms(), notice.kind()));
}

}  // namespace

Result<Built> silence_signal(const LivenessNotice& notice, SignalBuilder& builder) {
  const bool over = notice.kind() != LivenessEvent::kSilent;
  const std::string who = (notice.worker() ? "worker " : "") + notice.name();
  const std::string every = roughly(Millis{notice.every_ms()});
  Service payload;
  payload.set_service(notice.name());
  payload.set_down_since_ms(notice.since_ms());
  payload.set_check("expected every " + every);
  if (!over) {
    payload.set_title(who + " has fallen silent");
    payload.set_body(notice.last_heard_ms()
                         ? fmt::format("It was last heard at {}.", utc(Millis{notice.last_heard_ms()}))
                         : std::string("It was never heard since it is expected."));
  } else if (notice.kind() == LivenessEvent::kHeardAgain) {
    payload.set_title(fmt::format("resolved: {} is heard again", who));
  } else {
    payload.set_title(fmt::format("resolved: {} is no longer expected to be heard", who));
  }
  Draft draft;
  draft.type = over ? "service.restored" : "service.outage";
  draft.source = "detent-dispatch";
  draft.severity = over ? NOTICE : ERROR;
  // One for each silence, so that a later one does not hide in an old thread.
  draft.thread = std::string(head_of(fmt::format("silence/{}/{}", notice.since_ms(), who), 128));
  draft.id = id_of(notice);
  return builder.build(draft, payload, {Millis{0}, Millis{notice.at_ms()}});
}

}  // namespace detent
