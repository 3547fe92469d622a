#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "sandbox/telegram_markup.h"

namespace detent::sandbox {

namespace {

constexpr std::string_view kReserved = "_*[]()~`>#+-=|{}.!";

struct Open {
  std::string_view mark;
  std::string_view type;  // as entities name it
  std::string_view name;  // as errors name it
  std::int64_t offset = 0;
  std::size_t byte = 0;
};

struct Mark {
  std::string_view mark, type, name;
};
// Longer marks stand before those they begin with.
constexpr Mark kMarks[] = {{"__", "underline", "Underline"},
                           {"||", "spoiler", "Spoiler"},
                           {"*", "bold", "Bold"},
                           {"_", "italic", "Italic"},
                           {"~", "strikethrough", "Strikethrough"}};

Error no_end(std::string_view name, std::size_t byte) {
  return {fmt::format("Can't find end of {} entity at byte offset {}", name, byte)};
}

bool escapable(char c) { return c > 0 && c < 127; }

/// A whole multi-byte character at once, so that lengths in UTF-16 units stay right.
std::size_t character(std::string_view text, std::size_t at) { return first_character(text.substr(at)).size; }

/// Code from behind its opening mark to its closing one: only the mark and backslashes are special inside.
bool take_code(std::string_view text, std::size_t& at, std::string_view mark, Growing& growing) {
  while (at < text.size()) {
    if (text[at] == '\\' && at + 1 < text.size() && escapable(text[at + 1])) {
      growing.put(text.substr(at + 1, 1));
      at += 2;
    } else if (text.substr(at, mark.size()) == mark) {
      at += mark.size();
      return true;
    } else {
      const std::size_t length = character(text, at);
      growing.put(text.substr(at, length));
      at += length;
    }
  }
  return false;
}

/// The URL of a link, from behind "](" to behind ")".
bool take_url(std::string_view text, std::size_t& at, std::string& url) {
  while (at < text.size() && text[at] != ')') {
    if (text[at] == '\\' && at + 1 < text.size() && escapable(text[at + 1])) ++at;
    url += text[at++];
  }
  if (at == text.size()) return false;
  ++at;
  return true;
}

Result<> take_pre(std::string_view text, std::size_t& at, Growing& growing) {
  const std::size_t begin = at;
  at += 3;
  std::size_t end = at;
  while (end < text.size() && text[end] != '\n' && text[end] != ' ' && text[end] != '`') ++end;
  std::string language;
  if (end < text.size() && text[end] == '\n') {
    language = text.substr(at, end - at);
    at = end + 1;
  }
  const std::int64_t offset = growing.units();
  if (!take_code(text, at, "```", growing)) return no_end(language.empty() ? "Pre" : "PreCode", begin);
  json::object* entity = growing.close("pre", offset);
  if (entity && !language.empty()) (*entity)["language"] = language;
  return {};
}

}  // namespace

Result<Formatted> parse_markdown_v2(std::string_view text) {
  Growing growing;
  std::vector<Open> stack;
  constexpr std::int64_t kNone = -1;
  std::int64_t quote = kNone;  // where a quotation began
  const auto line_start = [&](std::size_t at) { return at == 0 || text[at - 1] == '\n'; };
  for (std::size_t at = 0; at < text.size();) {
    if (line_start(at)) {
      if (text[at] == '>') {
        if (quote == kNone) quote = growing.units();
        ++at;
        continue;
      }
      if (quote != kNone) {
        growing.close("blockquote", quote);
        quote = kNone;
      }
    }
    const char c = text[at];
    if (c == '\\' && at + 1 < text.size() && escapable(text[at + 1])) {
      growing.put(text.substr(at + 1, 1));
      at += 2;
      continue;
    }
    if (kReserved.find(c) == kReserved.npos) {
      const std::size_t length = character(text, at);
      growing.put(text.substr(at, length));
      at += length;
      continue;
    }
    if (c == ']' && !stack.empty() && stack.back().mark == "[") {
      std::string url;
      const Open link = stack.back();
      ++at;
      if (at < text.size() && text[at] == '(') {
        ++at;
        if (!take_url(text, at, url)) return Error{fmt::format("Can't find end of a URL at byte offset {}", at)};
      } else {
        url = text.substr(link.byte + 1, at - link.byte - 2);
      }
      close_link(growing, link.offset, url);
      stack.pop_back();
      continue;
    }
    if (text.substr(at, 3) == "```") {
      if (auto taken = take_pre(text, at, growing); !taken) return taken.error();
      continue;
    }
    if (c == '`') {
      const std::size_t begin = at++;
      const std::int64_t offset = growing.units();
      if (!take_code(text, at, "`", growing)) return no_end("Code", begin);
      growing.close("code", offset);
      continue;
    }
    if (c == '[') {
      stack.push_back({"[", "text_link", "TextUrl", growing.units(), at++});
      continue;
    }
    const Mark* mark = nullptr;
    for (const Mark& each : kMarks) {
      if (!mark && text.substr(at, each.mark.size()) == each.mark) mark = &each;
    }
    if (!mark) {
      return Error{fmt::format("Character '{}' is reserved and must be escaped with the preceding '\\'", c)};
    }
    if (!stack.empty() && stack.back().mark == mark->mark) {
      growing.close(mark->type, stack.back().offset);
      stack.pop_back();
    } else {
      stack.push_back({mark->mark, mark->type, mark->name, growing.units(), at});
    }
    at += mark->mark.size();
  }
  if (!stack.empty()) return no_end(stack.back().name, stack.back().byte);
  if (quote != kNone) growing.close("blockquote", quote);
  return std::move(growing.out());
}

/// The older language: no nesting, and a backslash only before the four marks.
Result<Formatted> parse_markdown(std::string_view text) {
  Growing growing;
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == '\\' && at + 1 < text.size() && std::string_view("_*`[").find(text[at + 1]) != std::string_view::npos) {
      growing.put(text.substr(at + 1, 1));
      at += 2;
      continue;
    }
    if (text.substr(at, 3) == "```") {
      const std::size_t begin = at;
      if (!take_pre(text, at, growing)) {
        return Error{fmt::format("Can't find end of the entity starting at byte offset {}", begin)};
      }
      continue;
    }
    const std::string_view marks = "_*`[";
    if (marks.find(c) == marks.npos) {
      const std::size_t length = character(text, at);
      growing.put(text.substr(at, length));
      at += length;
      continue;
    }
    const std::size_t end = text.find(c == '[' ? ']' : c, at + 1);
    if (end == text.npos) return Error{fmt::format("Can't find end of the entity starting at byte offset {}", at)};
    const std::int64_t offset = growing.units();
    growing.put(text.substr(at + 1, end - at - 1));
    at = end + 1;
    if (c == '[') {
      std::string url;
      if (at < text.size() && text[at] == '(' && !take_url(text, ++at, url)) {
        return Error{fmt::format("Can't find end of the entity starting at byte offset {}", at)};
      }
      close_link(growing, offset, url);
    } else {
      growing.close(c == '*' ? "bold" : c == '_' ? "italic" : "code", offset);
    }
  }
  return std::move(growing.out());
}

}  // namespace detent::sandbox
