#include "ledger/tasks/task_id.h"

#include <algorithm>

namespace detent {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }

bool made_by_hand(std::string_view word) {
  const std::size_t first = word.find('-');
  if (first == 0 || first == std::string_view::npos || first > 8) return false;
  const std::string_view prefix = word.substr(0, first), rest = word.substr(first + 1);
  if (rest.size() < 13 || rest.size() > 17 || rest[8] != '-') return false;
  const std::string_view date = rest.substr(0, 8), chance = rest.substr(9);
  return std::all_of(prefix.begin(), prefix.end(), is_lower) && std::all_of(date.begin(), date.end(), is_digit) &&
         std::all_of(chance.begin(), chance.end(), [](char c) { return is_digit(c) || is_lower(c); });
}

}  // namespace

std::optional<std::string> task_id(std::string_view word) {
  if (word.size() == 26) {
    if (const auto id = Ulid::parse(word)) return id->text();
    return std::nullopt;
  }
  if (made_by_hand(word)) return std::string{word};
  return std::nullopt;
}

Ulid ulid_of(std::string_view id) {
  const auto ulid = Ulid::parse(id);
  return ulid ? *ulid : Ulid::derived(Millis{0}, id);
}

}  // namespace detent
