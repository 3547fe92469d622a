// The loop of a process: waits for its socket, its threads or its next deadline, and gives the host its turns.
#pragma once

#include <atomic>

#include "bus/router_socket.h"
#include "host/host.h"

namespace detent {

/// Runs until `stopping` is set (whoever sets it wakes the socket) and the host has drained.
void run(Host& host, RouterSocket& socket, const std::atomic<bool>& stopping);

}  // namespace detent
