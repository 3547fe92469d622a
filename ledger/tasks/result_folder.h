// Where results lie: RESULTS/<task-id>.md, and the older ones in RESULTS/YYYY-MM/, since git's cost of a commit grows
// with the files beside the one that it adds. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace detent {

inline constexpr std::string_view kResultsFolder = "worker/RESULTS";
inline constexpr std::size_t kResultsKeptFlat = 1000;

/// "worker/RESULTS/<id>.md". `id` is one by task_id().
std::string result_path(std::string_view id);
/// "worker/RESULTS/<id>.stale-<epoch>.md": the result of an attempt that no longer counts.
std::string stale_result_path(std::string_view id, std::uint32_t epoch);

struct ResultName {
  std::string id;
  std::optional<std::uint32_t> stale_epoch;
  bool operator==(const ResultName&) const = default;
};
/// What a file's name (without folders) says; nothing where it is no result's.
std::optional<ResultName> parse_result_name(std::string_view name);

struct PresentResult {
  std::string name;  // without folders
  Millis ended{0};   // wall
};
struct ResultMove {
  std::string from, to;  // paths in the repository
  bool operator==(const ResultMove&) const = default;
};

/// Which of the results that lie flat are to move to their month's folder, the oldest first: all but the newest `keep`.
/// What is no result by its name stays where it is.
std::vector<ResultMove> results_to_move(std::span<const PresentResult> flat, std::size_t keep = kResultsKeptFlat);

/// "2026-11", in UTC.
std::string month_of(Millis wall);

}  // namespace detent
