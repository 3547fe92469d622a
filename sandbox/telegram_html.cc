#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <vector>

#include "sandbox/telegram_markup.h"
#include "sandbox/text.h"

namespace detent::sandbox {

namespace {

struct Open {
  std::string tag;
  std::string argument;  // a link's URL, a code's language
  std::int64_t offset = 0;
};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? char(c + 32) : c;
  return out;
}

/// The character that an entity at the start of `text` stands for, and its length; none where it is no entity.
std::pair<char32_t, std::size_t> entity_at(std::string_view text) {
  static constexpr std::pair<std::string_view, char32_t> kNamed[] = {
      {"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}};
  for (const auto& [name, point] : kNamed) {
    if (text.starts_with(name)) return {point, name.size()};
  }
  if (!text.starts_with("&#")) return {0, 0};
  const bool hex = text.size() > 2 && (text[2] == 'x' || text[2] == 'X');
  const char* from = text.data() + (hex ? 3 : 2);
  std::uint32_t point = 0;
  const auto [end, failed] = std::from_chars(from, text.data() + text.size(), point, hex ? 16 : 10);
  if (failed != std::errc{} || point == 0 || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return {0, 0};
  std::size_t length = std::size_t(end - text.data());
  if (length < text.size() && text[length] == ';') ++length;
  return {point, length};
}

std::string decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto [point, length] = text[i] == '&' ? entity_at(text.substr(i)) : std::pair<char32_t, std::size_t>{0, 0};
    if (length) {
      append_utf8(out, point);
      i += length;
    } else {
      out += text[i++];
    }
  }
  return out;
}

constexpr bool space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/// The attributes of a start tag, from behind its name up to and with ">".
Result<std::map<std::string, std::string>> attributes(std::string_view text, std::size_t& at, std::size_t begin,
                                                      const std::string& tag) {
  std::map<std::string, std::string> found;
  const auto skip = [&] {
    while (at < text.size() && space(text[at])) ++at;
  };
  const Error unclosed{fmt::format("Unclosed start tag \"{}\" at byte offset {}", tag, begin)};
  while (true) {
    skip();
    if (at >= text.size()) return unclosed;
    if (text[at] == '>') return ++at, found;
    const std::size_t from = at;
    while (at < text.size() && !space(text[at]) && text[at] != '=' && text[at] != '>') ++at;
    const std::string name = lower(text.substr(from, at - from));
    if (name.empty()) {
      return Error{fmt::format("Empty attribute name in the tag \"{}\" at byte offset {}", tag, begin)};
    }
    skip();
    if (at >= text.size()) return unclosed;
    if (text[at] != '=') {  // a flag such as "expandable"
      found[name];
      continue;
    }
    ++at;
    skip();
    if (at >= text.size()) return unclosed;
    if (text[at] == '"' || text[at] == '\'') {
      const std::size_t end = text.find(text[at], at + 1);
      if (end == text.npos) return unclosed;
      found[name] = decoded(text.substr(at + 1, end - at - 1));
      at = end + 1;
    } else {
      const std::size_t value = at;
      while (at < text.size() && !space(text[at]) && text[at] != '>') ++at;
      found[name] = decoded(text.substr(value, at - value));
    }
  }
}

void close(Growing& growing, const Open& open) {
  static const std::map<std::string_view, std::string_view> kTypes = {{"b", "bold"},
                                                                      {"strong", "bold"},
                                                                      {"i", "italic"},
                                                                      {"em", "italic"},
                                                                      {"u", "underline"},
                                                                      {"ins", "underline"},
                                                                      {"s", "strikethrough"},
                                                                      {"strike", "strikethrough"},
                                                                      {"del", "strikethrough"},
                                                                      {"tg-spoiler", "spoiler"},
                                                                      {"span", "spoiler"},
                                                                      {"code", "code"},
                                                                      {"tg-emoji", "custom_emoji"},
                                                                      {"tg-time", "date_time"}};
  if (open.tag == "a") return close_link(growing, open.offset, open.argument);
  if (open.tag == "blockquote") {
    growing.close(open.argument.empty() ? "blockquote" : "expandable_blockquote", open.offset);
    return;
  }
  if (open.tag == "pre") {
    // <pre><code class="language-x"> is one block with its language.
    std::string language;
    json::array& entities = growing.out().entities;
    if (!entities.empty()) {
      const json::object& last = entities.back().get_object();
      const bool whole = text_of(last, "type") == "code" && whole_of(last, "offset") == open.offset &&
                         *whole_of(last, "length") == growing.units() - open.offset;
      if (whole) {
        language = text_of(last, "language");
        entities.pop_back();
      }
    }
    json::object* entity = growing.close("pre", open.offset);
    if (entity && !language.empty()) (*entity)["language"] = language;
    return;
  }
  json::object* entity = growing.close(kTypes.at(open.tag), open.offset);
  if (!entity) return;
  if (open.tag == "code" && !open.argument.empty()) (*entity)["language"] = open.argument;
  if (open.tag == "tg-emoji") (*entity)["custom_emoji_id"] = open.argument;
}

}  // namespace

Result<Formatted> parse_html(std::string_view text) {
  static constexpr std::string_view kTags[] = {"b",    "strong", "i",          "em",       "u",          "ins",
                                               "s",    "strike", "del",        "span",     "tg-spoiler", "a",
                                               "code", "pre",    "blockquote", "tg-emoji", "tg-time"};
  Growing growing;
  std::vector<Open> stack;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == '&') {
      const auto [point, length] = entity_at(text.substr(at));
      if (length) {
        std::string bytes;
        append_utf8(bytes, point);
        growing.put(bytes);
        at += length;
        continue;
      }
    }
    if (text[at] != '<') {
      const std::size_t end = std::min(text.find_first_of("<&", at + 1), text.size());
      growing.put(text.substr(at, end - at));
      at = end;
      continue;
    }
    const std::size_t begin = at++;
    if (at < text.size() && text[at] == '/') {
      const std::size_t end = text.find('>', at);
      if (end == text.npos) return Error{fmt::format("Unclosed end tag at byte offset {}", begin)};
      const std::string tag = lower(trimmed(text.substr(at + 1, end - at - 1)));
      if (stack.empty()) return Error{fmt::format("Unexpected end tag at byte offset {}", begin)};
      if (!tag.empty() && tag != stack.back().tag) {
        return Error{fmt::format("Unmatched end tag at byte offset {}, expected \"</{}>\", found \"</{}>\"", begin,
                                 stack.back().tag, tag)};
      }
      close(growing, stack.back());
      stack.pop_back();
      at = end + 1;
      continue;
    }
    const std::size_t from = at;
    while (at < text.size() && !space(text[at]) && text[at] != '>') ++at;
    Open open{.tag = lower(text.substr(from, at - from)), .offset = growing.units()};
    if (at >= text.size()) return Error{fmt::format("Unclosed start tag at byte offset {}", begin)};
    if (std::find(std::begin(kTags), std::end(kTags), open.tag) == std::end(kTags)) {
      return Error{fmt::format("Unsupported start tag \"{}\" at byte offset {}", open.tag, begin)};
    }
    auto given = attributes(text, at, begin, open.tag);
    if (!given) return given.error();
    if (open.tag == "a") open.argument = (*given)["href"];
    if (open.tag == "code" && (*given)["class"].starts_with("language-")) open.argument = (*given)["class"].substr(9);
    if (open.tag == "blockquote" && given->contains("expandable")) open.argument = "expandable";
    if (open.tag == "tg-emoji") open.argument = (*given)["emoji-id"];
    if (open.tag == "span" && (*given)["class"] != "tg-spoiler") {
      return Error{fmt::format("Tag \"span\" must have class \"tg-spoiler\" at byte offset {}", begin)};
    }
    stack.push_back(std::move(open));
  }
  if (!stack.empty()) {
    return Error{fmt::format("Can't find end tag corresponding to start tag \"{}\"", stack.back().tag)};
  }
  return std::move(growing.out());
}

void close_link(Growing& growing, std::int64_t offset, std::string url) {
  if (url.empty()) return;
  static constexpr std::string_view kUser = "tg://user?id=";
  if (url.starts_with(kUser)) {
    const auto id = parse_whole(std::string_view(url).substr(kUser.size()));
    json::object* entity = id ? growing.close("text_mention", offset) : nullptr;
    if (entity) (*entity)["user"] = {{"id", *id}, {"is_bot", false}, {"first_name", "User"}};
    return;
  }
  const std::size_t scheme = url.find("://");
  if (scheme == url.npos) {
    if (url.find('.') == url.npos && !url.starts_with("mailto:") && !url.starts_with("tel:")) return;
    if (!url.starts_with("mailto:") && !url.starts_with("tel:")) url.insert(0, "http://");
  } else if (!url.starts_with("http://") && !url.starts_with("https://") && !url.starts_with("tg://") &&
             !url.starts_with("ton://")) {
    return;
  }
  if (url.starts_with("http") && url.find_first_of("/?#", url.find("://") + 3) == url.npos) url += '/';
  if (json::object* entity = growing.close("text_link", offset)) (*entity)["url"] = url;
}

}  // namespace detent::sandbox
