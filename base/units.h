// How people write quantities, names and patterns in a config or on a command line.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace detent {

inline constexpr uint64_t kMiB = 1ull << 20;

/// "500ms", "60s", "10m", "2h", "30d", "2w". Whole numbers of one unit; nothing where it is anything else.
std::optional<Millis> parse_duration(std::string_view text);
/// "4096", "64KiB", "512MiB", "1GiB" (also "KB", "MB", "GB": powers of ten). Bytes.
std::optional<uint64_t> parse_size(std::string_view text);
/// "1 GiB", "512 MiB", "17 KiB", "9 B": rounded down to the largest unit that leaves at least one.
std::string readable_size(uint64_t bytes);

/// The severities by name, each at the place of its number in proto/signal.proto.
inline constexpr std::array<std::string_view, 5> kSeverities{"info", "notice", "warning", "error", "critical"};
/// 0 to 4, or nothing where `name` is none of them.
std::optional<int> parse_severity(std::string_view name);

/// "127.0.0.1:7400", "[::1]:7400", "*:0": something, a colon, and a port from 0 to 65535 or "*".
bool is_host_and_port(std::string_view text);

/// Whether all of `text` is of `pattern`'s form: `*` stands for any run of characters (dots too), `?` for one.
bool glob_matches(std::string_view pattern, std::string_view text);

/// The one of `names` that `wrong` was most likely meant to be, or nothing where none is near.
std::optional<std::string_view> nearest_name(std::string_view wrong, std::span<const std::string_view> names);

}  // namespace detent
