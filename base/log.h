// Logging to stderr, as text or as one JSON object a line. Programs log through spdlog itself.
#pragma once

#include <spdlog/spdlog.h>

#include <string>

namespace detent {

/// Sets up the process's log. `format` is "text" or "json"; `level` one of spdlog's names ("info", "debug", …).
void setup_log(const std::string& program, const std::string& format, const std::string& level = "info");

}  // namespace detent
