#include "consumers/discord/render.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "base/clock.h"
#include "consumers/discord/dialect.h"
#include "consumers/text.h"

namespace detent::discord {
namespace {

namespace json = boost::json;
using consumers::Fact;
using consumers::shorten;
using consumers::Story;
using consumers::units;

// https://discord.com/developers/docs/resources/message
constexpr size_t kContent = 2000, kTitle = 256, kFieldName = 256, kFieldValue = 1024, kThreadName = 100;
// 4096 is allowed; with title, facts and footer at their longest the sum stays below 6000.
constexpr size_t kDescription = 3500;
constexpr size_t kLineBesideBody = 500;
constexpr int kSuppressEmbeds = 1 << 2, kSuppressNotifications = 1 << 12;
constexpr uint32_t kWithoutEmbeds = 200, kWithoutFiles = 100;

std::string escaped_within(std::string_view text, size_t limit) {
  std::string out = escaped(text);
  for (size_t most = limit; units(out) > limit && most > 0; most = most * 9 / 10) out = escaped(shorten(text, most));
  return out;
}

std::string relative(int64_t ms) { return fmt::format("<t:{}:R>", ms / 1000); }

std::string value_of(const Fact& fact) {
  return fact.when_ms ? relative(fact.when_ms) : escaped_within(fact.value, kFieldValue);
}

int colour(Story::Tone tone) {
  switch (tone) {
    case Story::Tone::Blue:
      return 0x3498DB;
    case Story::Tone::Green:
      return 0x2ECC71;
    case Story::Tone::Yellow:
      return 0xF1C40F;
    case Story::Tone::Orange:
      return 0xE67E22;
    case Story::Tone::Red:
      return 0xE74C3C;
    default:
      return 0x95A5A6;
  }
}

/// The line that a lock screen shows.
std::string headline(const Story& story, size_t most, bool repeat = false) {
  std::string line = story.icon + " **" + escaped_within(story.title, most) + "**";
  if (story.needs_response) line += story.copy ? " · answer in Telegram" : " · needs your response";
  if (!story.late.empty()) line += " · " + story.late;
  if (repeat) {
    line += " (repeat)";
  } else if (story.repeat_unproven) {
    line += " (repeat?)";
  }
  return line;
}

/// What a headline of at most `most` may take, whatever is added to it on a later attempt.
size_t headline_room(const Story& story, size_t most) { return units(escaped_within(story.title, most)) + 90; }

std::string mark_of(const Story& story, size_t part, size_t parts) {
  return parts > 1 ? fmt::format("{} {}/{}", story.id, part + 1, parts) : story.id;
}

std::string footer(const Story& story, const std::string& mark) {
  std::string text;
  for (const std::string& word : {shorten(story.source, 60), story.type, mark}) {
    if (!word.empty()) text += (text.empty() ? "" : " · ") + word;
  }
  if (!story.thread.empty()) text += " · " + thread_mark(story.thread);
  return text;
}

json::object embed(const Story& story, const std::string& description, const std::string& mark, bool first) {
  json::object out;
  if (first) {
    out["title"] = escaped_within(story.title, kTitle);
    if (!story.url.empty()) out["url"] = story.url;
    if (story.created_ms > 0) out["timestamp"] = utc_millis(Millis(story.created_ms));
    json::array fields;
    for (const Fact& fact : story.facts) {
      fields.push_back(
          {{"name", escaped_within(fact.name, kFieldName)}, {"value", value_of(fact)}, {"inline", fact.brief}});
    }
    if (story.created_ms > 0)
      fields.push_back({{"name", "When"}, {"value", relative(story.created_ms)}, {"inline", true}});
    if (!fields.empty()) out["fields"] = std::move(fields);
  }
  if (!description.empty()) out["description"] = description;
  out["color"] = colour(story.tone);
  out["footer"] = {{"text", footer(story, mark)}};
  return out;
}

std::string size_of_file(size_t bytes) {
  return bytes < 10'000      ? fmt::format("{} bytes", bytes)
         : bytes < 1'000'000 ? fmt::format("{} KB", bytes / 1000)
                             : fmt::format("{:.1f} MB", bytes / 1e6);
}

/// What is said where a text goes on elsewhere.
std::string more_line(const Story& story, bool files) {
  return files ? "📎 the whole text (" + size_of_file(story.file.size()) + ") is attached"
               : "✂ cut: the whole text (" + size_of_file(story.file.size()) + ") is in the ledger, `detent trace " +
                     story.id + "`";
}

/// "💓 **robo-1** · load 0.42 · disk 63 % · 01J…"
std::string compact_line(const Story& story, size_t most, bool repeat) {
  std::string line = headline(story, 200, repeat);
  for (const Fact& fact : story.facts) {
    const std::string value =
        fact.when_ms ? relative(fact.when_ms) : escaped_within(consumers::one_line(fact.value), 60);
    const std::string next = " · " + escaped_within(fact.name, 40) + " " + value;
    if (units(line) + units(next) > most) break;
    line += next;
  }
  line += " · " + story.id;
  if (!story.thread.empty()) line += " · " + thread_mark(story.thread);
  return line;
}

void finish(Message& message, json::object body, const Story& story, const Style& style, bool later_part) {
  int flags = 0;
  // One buzz a signal, and always one where the operator is to answer.
  if (later_part || (style.silent && !story.asks())) flags |= kSuppressNotifications;
  // No preview of a link either: fetching it would tell its owner that this text was shown.
  if (!message.embeds) flags |= kSuppressEmbeds;
  if (flags) body["flags"] = flags;
  body["allowed_mentions"] = {{"parse", json::array()}};
  if (!style.webhook) {
    body["nonce"] = consumers::fingerprint(fmt::format("discord {} {} {}", story.id, style.channel, message.part));
    body["enforce_nonce"] = true;
  }
  if (!message.file_name.empty()) {
    body["attachments"] = json::array{json::object{{"id", "0"}, {"filename", message.file_name}}};
  }
  message.payload = json::serialize(body);
}

}  // namespace

std::vector<Message> render(const Story& story, const Style& style) {
  const bool card = story.look == Story::Look::Card && style.embeds;
  const std::string longest_footer = footer(story, mark_of(story, consumers::kMaxParts - 1, consumers::kMaxParts));
  const bool line = story.look == Story::Look::Line;
  const size_t title_room = card ? 600 : 300;
  const size_t head_room = line ? kLineBesideBody + 60 : headline_room(story, title_room);
  const size_t room = card ? kDescription : kContent - head_room - units(escaped(longest_footer)) - 160;
  auto pages = consumers::paginate(card || line ? story.body : consumers::with_facts(story, true), room, measure);
  if (pages.empty()) pages.emplace_back();

  const bool too_long = story.overlong || pages.size() > consumers::kMaxParts;
  const bool attach = too_long && style.files && !story.file.empty();
  if (attach) pages.resize(1);
  if (pages.size() > consumers::kMaxParts) pages.resize(consumers::kMaxParts);
  const uint32_t base = (story.look == Story::Look::Card && !style.embeds ? kWithoutEmbeds : 0) +
                        (too_long && !style.files ? kWithoutFiles : 0);

  std::vector<Message> out;
  for (size_t i = 0; i < pages.size(); ++i) {
    Message message{
        .part = base + static_cast<uint32_t>(i) + 1, .mark = mark_of(story, i, pages.size()), .embeds = card};
    const bool first = i == 0, last = i + 1 == pages.size();
    std::string text = markdown(pages[i]);
    if (too_long && last) text += (text.empty() ? "" : "\n") + more_line(story, attach);
    json::object body;
    if (card) {
      if (first) body["content"] = headline(story, title_room, style.repeat);
      if (!first && style.repeat) body["content"] = "(repeat)";
      body["embeds"] = json::array{embed(story, text, message.mark, first)};
    } else if (line && story.body.empty()) {
      body["content"] = compact_line(story, kContent - 100, style.repeat);
    } else {
      std::string head = !first ? (style.repeat ? "(repeat)" : "")
                         : line ? compact_line(story, kLineBesideBody, style.repeat)
                                : headline(story, title_room, style.repeat);
      const std::string foot = "-# " + escaped(footer(story, message.mark));
      for (const std::string& piece : {text, foot}) {
        if (!piece.empty()) head += (head.empty() ? "" : "\n") + piece;
      }
      body["content"] = head;
    }
    if (attach) {
      message.file_name = story.file_name;
      message.file = story.file;
    }
    finish(message, std::move(body), story, style, !first);
    out.push_back(std::move(message));
  }
  return out;
}

std::string thread_name(const Story& story) { return shorten(story.title, kThreadName); }

std::string thread_mark(std::string_view key) { return "#" + consumers::fingerprint(key, 7); }

bool part_without_embeds(uint32_t part) { return part >= kWithoutEmbeds; }
bool part_without_files(uint32_t part) { return part % kWithoutEmbeds >= kWithoutFiles; }

}  // namespace detent::discord
