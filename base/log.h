// Logging to stderr, as text or as one JSON object a line. Programs log through spdlog itself.
#pragma once

#include <spdlog/spdlog.h>

#include <string>
#include <string_view>

namespace detent {

inline constexpr std::string_view kLogLevels[] = {"trace", "debug", "info", "warn", "warning", "error"};

/// Sets up the process's log. `format` is "text" or "json"; `level` is one of kLogLevels.
void setup_log(const std::string& program, const std::string& format, const std::string& level = "info");

}  // namespace detent
