#include "sandbox/telegram_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"
#include "http/headers.h"
#include "sandbox/telegram_markup.h"
#include "sandbox/text.h"

namespace detent::sandbox {

namespace {
std::int64_t whole(const json::value& entity, std::string_view key) { return entity.as_object().at(key).as_int64(); }

/// Bytes of leading and trailing white space go, and entities shrink and move with them.
void trim(Formatted& formatted) {
  const std::string_view kept = trimmed(formatted.text);
  const auto lead = kept.empty() ? 0 : std::int64_t(kept.data() - formatted.text.data());  // white space: one unit each
  const auto end = std::int64_t(utf16_units(kept));
  json::array entities;
  for (json::value& entity : formatted.entities) {
    const std::int64_t from = std::clamp<std::int64_t>(whole(entity, "offset") - lead, 0, end);
    const std::int64_t to = std::clamp<std::int64_t>(whole(entity, "offset") - lead + whole(entity, "length"), 0, end);
    if (to <= from) continue;
    entity.as_object()["offset"] = from;
    entity.as_object()["length"] = to - from;
    entities.push_back(std::move(entity));
  }
  formatted.text = std::string(kept);
  formatted.entities = std::move(entities);
}

bool word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

/// Links and commands that the service finds by itself, where no entity covers them.
void find_plain_entities(Formatted& formatted) {
  const std::string_view text = formatted.text;
  const auto add = [&](std::string_view type, std::size_t from, std::size_t to) {
    const auto offset = std::int64_t(utf16_units(text.substr(0, from)));
    const auto length = std::int64_t(utf16_units(text.substr(from, to - from)));
    for (const json::value& entity : formatted.entities) {
      const auto type_there = text_of(entity.as_object(), "type");
      const bool solid = type_there == "code" || type_there == "pre" || type_there == "text_link";
      if (solid && whole(entity, "offset") < offset + length &&
          offset < whole(entity, "offset") + whole(entity, "length"))
        return;
    }
    formatted.entities.push_back({{"type", type}, {"offset", offset}, {"length", length}});
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool starts = i == 0 || !word(text[i - 1]);
    if (!starts) continue;
    if (text.substr(i, 7) == "http://" || text.substr(i, 8) == "https://") {
      std::size_t end = std::min(text.find_first_of(" \t\r\n\"<>", i), text.size());
      while (end > i && std::string_view(".,;:!?)'").find(text[end - 1]) != std::string_view::npos) --end;
      if (end > text.find("//", i) + 2) add("url", i, end);
      i = end;
    } else if (text[i] == '/' && (i == 0 || text[i - 1] != '/')) {
      std::size_t end = i + 1;
      while (end < text.size() && (word(text[end]) || text[end] == '@') && static_cast<unsigned char>(text[end]) < 0x80)
        ++end;
      if (end > i + 1 && end - i <= 33 && (end == text.size() || text[end] != '/')) add("bot_command", i, end);
      i = end - 1;
    }
  }
}

void order(json::array& entities) {
  std::stable_sort(entities.begin(), entities.end(), [](const json::value& a, const json::value& b) {
    const auto from = whole(a, "offset"), other = whole(b, "offset");
    return from != other ? from < other : whole(a, "length") > whole(b, "length");
  });
}

Formatted finished(Formatted formatted) {
  trim(formatted);
  find_plain_entities(formatted);
  order(formatted.entities);
  return formatted;
}
}  // namespace

Result<Formatted> parse_formatted(std::string_view text, std::string_view mode) {
  if (!is_utf8(text)) return Error{"strings must be encoded in UTF-8"};
  Result<Formatted> parsed = Formatted{std::string(text), {}};
  if (http::same_name(mode, "HTML")) {
    parsed = parse_html(text);
  } else if (http::same_name(mode, "MarkdownV2")) {
    parsed = parse_markdown_v2(text);
  } else if (http::same_name(mode, "Markdown")) {
    parsed = parse_markdown(text);
  } else if (!mode.empty()) {
    return Error{"unsupported parse_mode"};
  }
  if (!parsed) return Error{"can't parse entities: " + parsed.error().what};
  return finished(std::move(*parsed));
}

Result<Formatted> with_entities(std::string_view text, const json::array& entities) {
  if (!is_utf8(text)) return Error{"strings must be encoded in UTF-8"};
  Formatted formatted{std::string(text), {}};
  const auto units = std::int64_t(utf16_units(text));
  for (const json::value& entity : entities) {
    if (!entity.is_object()) return Error{"can't parse entities: expected an Object"};
    json::object object = entity.get_object();
    const auto offset = whole_of(object, "offset"), length = whole_of(object, "length");
    if (!offset || !length || text_of(object, "type").empty())
      return Error{"can't parse entities: Entity is incomplete"};
    if (*offset < 0 || *length <= 0 || *offset + *length > units) {
      return Error{"entity beyond the end of the text"};
    }
    object["offset"] = *offset;
    object["length"] = *length;
    formatted.entities.push_back(std::move(object));
  }
  return finished(std::move(formatted));
}

}  // namespace detent::sandbox
