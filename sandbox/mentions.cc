#include <algorithm>

#include "sandbox/discord.h"

namespace detent::sandbox {

namespace {
/// The text without code spans and blocks, in which nothing pings.
std::string outside_code(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t tick = text.find('`');
    out += text.substr(0, tick);
    if (tick == text.npos) break;
    text.remove_prefix(tick);
    const std::size_t run = std::min(text.find_first_not_of('`'), text.size());
    const std::size_t end = text.find(text.substr(0, run), run);
    if (end == text.npos) {
      out += text.substr(0, run);
      text.remove_prefix(run);
    } else {
      text.remove_prefix(end + run);
    }
  }
  return out;
}

bool lists(const json::object& object, std::string_view key, std::string_view value) {
  const json::value* list = member(object, key);
  if (!list || !list->is_array()) return false;
  return std::any_of(list->get_array().begin(), list->get_array().end(), [&](const json::value& entry) {
    return entry.is_string() ? std::string_view(entry.get_string()) == value : json::serialize(entry) == value;
  });
}
}  // namespace

void compute_mentions(json::object& message, const json::value* allowed, bool webhook) {
  json::object allowances;
  if (allowed && allowed->is_object()) {
    allowances = allowed->get_object();
  } else if (webhook) {
    allowances["parse"] = json::array{"users"};
  } else {
    allowances["parse"] = json::array{"users", "roles", "everyone"};
  }
  const std::string text = outside_code(text_of(message, "content"));
  json::array users, roles;
  const auto everyone = [&](std::string_view word) { return text.find(word) != text.npos; };
  for (std::size_t at = text.find("<@"); at != text.npos; at = text.find("<@", at + 2)) {
    std::size_t from = at + 2;
    const bool role = from < text.size() && text[from] == '&';
    if (from < text.size() && (role || text[from] == '!')) ++from;
    const std::size_t end = text.find('>', from);
    if (end == text.npos || !parse_id(std::string_view(text).substr(from, end - from))) continue;
    const std::string id = text.substr(from, end - from);
    const std::string_view kind = role ? "roles" : "users";
    if (!lists(allowances, "parse", kind) && !lists(allowances, kind, id)) continue;
    if (role) {
      roles.push_back(json::string(id));
    } else {
      users.push_back({{"id", id}, {"username", "member-" + id}, {"discriminator", "0"}, {"avatar", nullptr}});
    }
  }
  message["mentions"] = std::move(users);
  message["mention_roles"] = std::move(roles);
  message["mention_everyone"] = lists(allowances, "parse", "everyone") && (everyone("@everyone") || everyone("@here"));
}

}  // namespace detent::sandbox
