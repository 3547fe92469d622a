#include "consumers/discord/history.h"

#include <algorithm>
#include <boost/json.hpp>

#include "consumers/response.h"

namespace detent::discord {
namespace {

namespace json = boost::json;
using consumers::text_at;

constexpr int64_t kDiscordEpoch = 1'420'070'400'000;

/// What of a message may hold our mark.
template <class Visit>
void texts(const json::object& message, Visit visit) {
  visit(text_at(message, "content"));
  const auto* embeds = message.if_contains("embeds");
  if (!embeds || !embeds->is_array()) return;
  for (const json::value& embed : embeds->get_array()) {
    if (!embed.is_object()) continue;
    const auto* footer = embed.get_object().if_contains("footer");
    if (footer && footer->is_object()) visit(text_at(footer->get_object(), "text"));
  }
}

std::optional<json::array> page_of(std::string_view body) {
  boost::system::error_code error;
  json::value value = json::parse(body, error);
  if (error || !value.is_array()) return std::nullopt;
  return std::move(value.get_array());
}

bool newer(std::string_view one, std::string_view other) {
  return one.size() != other.size() ? one.size() > other.size() : one > other;
}

/// "#" and seven characters as fingerprints have them, at the end of `text`.
std::string_view mark_in(std::string_view text) {
  const size_t at = text.rfind(" · #");
  if (at == std::string_view::npos) return {};
  const std::string_view mark = text.substr(text.find('#', at));
  return mark.size() == 8 ? mark : std::string_view();
}

}  // namespace

std::string snowflake(int64_t wall_ms) {
  return std::to_string(static_cast<uint64_t>(std::max<int64_t>(wall_ms - kDiscordEpoch, 0)) << 22);
}

std::optional<Page> look_for(std::string_view body, std::string_view mark) {
  const auto messages = page_of(body);
  if (!messages) return std::nullopt;
  Page page{.count = messages->size()};
  for (const json::value& message : *messages) {
    if (!message.is_object()) continue;
    const std::string_view id = text_at(message.get_object(), "id");
    if (newer(id, page.newest)) page.newest = id;
    texts(message.get_object(), [&](std::string_view text) {
      if (!mark.empty() && text.find(mark) != std::string_view::npos) page.id = std::string(id);
    });
  }
  return page;
}

Root* Roots::find(const std::string& mark) {
  const auto known = known_.find(mark);
  if (known == known_.end()) return nullptr;
  known->second.used = ++uses_;
  return &known->second.root;
}

void Roots::add(const std::string& mark, const Root& root) {
  if (!known_.try_emplace(mark, Known{root, ++uses_}).second || known_.size() <= kMax) return;
  const auto longest_unused = std::min_element(known_.begin(), known_.end(), [](const auto& one, const auto& other) {
    return one.second.used < other.second.used;
  });
  known_.erase(longest_unused);
}

std::map<std::string, Root> roots(std::string_view body) {
  std::map<std::string, Root> out;
  const auto messages = page_of(body);
  if (!messages) return out;
  for (const json::value& message : *messages) {
    if (!message.is_object()) continue;
    const std::string id(text_at(message.get_object(), "id"));
    const bool open = message.get_object().contains("thread");
    texts(message.get_object(), [&](std::string_view text) {
      const std::string mark(mark_in(text));
      if (mark.empty()) return;
      const auto known = out.find(mark);
      const bool better = known == out.end() || (open != known->second.open ? open : newer(known->second.message, id));
      if (better) out[mark] = {id, open};
    });
  }
  return out;
}

}  // namespace detent::discord
