// The signals by which the dispatcher says who has fallen silent, and that it is over.
#pragma once

#include "proto/signal_builder.h"

namespace detent {

class LivenessNotice;

/// `service.outage`, or `service.restored` in the same thread. The same notice gives the same signal with the same id.
Result<Built> silence_signal(const LivenessNotice& notice, SignalBuilder& builder);

}  // namespace detent
