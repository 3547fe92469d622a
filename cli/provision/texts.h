// The files of deploy/ that go to a worker, built in: `detent` needs nothing beside itself.
#pragma once

#include <string_view>

namespace detent::provision {

std::string_view worker_setup();     // deploy/worker-setup.sh
std::string_view worker_report();    // deploy/worker-report.sh
std::string_view openclaw_worker();  // deploy/openclaw-worker.service

}  // namespace detent::provision
