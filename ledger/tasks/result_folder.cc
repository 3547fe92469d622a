#include "ledger/tasks/result_folder.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>

#include "base/result.h"
#include "ledger/tasks/task_id.h"

namespace detent {
namespace {

constexpr std::string_view kStale = ".stale-";
constexpr std::string_view kEnding = ".md";

}  // namespace

std::string result_path(std::string_view id) {
  CHECK(task_id(id) == id, "a result is named by a task's id");
  return fmt::format("{}/{}{}", kResultsFolder, id, kEnding);
}

std::string stale_result_path(std::string_view id, std::uint32_t epoch) {
  CHECK(task_id(id) == id, "a result is named by a task's id");
  return fmt::format("{}/{}{}{}{}", kResultsFolder, id, kStale, epoch, kEnding);
}

std::optional<ResultName> parse_result_name(std::string_view name) {
  if (!name.ends_with(kEnding)) return std::nullopt;
  name.remove_suffix(kEnding.size());
  ResultName result;
  if (const std::size_t stale = name.find(kStale); stale != std::string_view::npos) {
    const std::string_view number = name.substr(stale + kStale.size());
    std::uint32_t epoch = 0;
    const auto end = std::from_chars(number.data(), number.data() + number.size(), epoch);
    if (end.ec != std::errc{} || end.ptr != number.data() + number.size()) return std::nullopt;
    result.stale_epoch = epoch;
    name = name.substr(0, stale);
  }
  const auto id = task_id(name);
  if (id != name) return std::nullopt;
  result.id = *id;
  return result;
}

std::vector<ResultMove> results_to_move(std::span<const PresentResult> flat, std::size_t keep) {
  std::vector<const PresentResult*> results;
  for (const PresentResult& result : flat) {
    if (parse_result_name(result.name)) results.push_back(&result);
  }
  if (results.size() <= keep) return {};
  std::sort(results.begin(), results.end(), [](const PresentResult* a, const PresentResult* b) {
    return a->ended != b->ended ? a->ended < b->ended : a->name < b->name;
  });
  results.resize(results.size() - keep);
  std::vector<ResultMove> moves;
  for (const PresentResult* result : results) {
    moves.push_back({fmt::format("{}/{}", kResultsFolder, result->name),
                     fmt::format("{}/{}/{}", kResultsFolder, month_of(result->ended), result->name)});
  }
  return moves;
}

std::string month_of(Millis wall) { return utc(wall).substr(0, 7); }

}  // namespace detent
