#include "consumers/telegram/render.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "base/clock.h"
#include "consumers/telegram/html.h"
#include "consumers/text.h"

namespace detent::telegram {
namespace {

namespace json = boost::json;
using consumers::Block;
using consumers::shorten;
using consumers::Story;

// https://core.telegram.org/bots/api#sendmessage and #senddocument, after the entities are parsed
constexpr size_t kText = 4096, kCaption = 1024;
constexpr size_t kMarks = 90;  // what a headline may have beside its title

/// A text in both forms.
struct Text {
  std::string html;
  std::string plain;

  void add(const Text& other, std::string_view gap) {
    if (other.html.empty()) return;
    if (!html.empty()) {
      html += gap;
      plain += gap;
    }
    html += other.html;
    plain += other.plain;
  }
};

Text headline(const Story& story, const Style& style, size_t most) {
  const std::string title = shorten(story.title, most);
  std::string tail;
  if (!story.late.empty()) tail += " · " + story.late;
  if (style.repeat) tail += " (repeat)";
  if (!style.repeat && story.repeat_unproven) tail += " (repeat?)";
  const std::string icon = (story.needs_response ? "❗ " : "") + story.icon + " ";
  return {icon + "<b>" + escaped(title) + "</b>" + tail, icon + title + tail};
}

Text footer(const Story& story, size_t part, size_t parts, size_t most) {
  std::string text = shorten(story.source, most);
  if (!story.type.empty()) text += (text.empty() ? "" : " · ") + story.type;
  if (parts > 1) text += fmt::format(" · {}/{}", part + 1, parts);
  return {text.empty() ? "" : "<i>" + escaped(text) + "</i>", text};
}

Text page_text(const std::vector<Block>& page) { return {html(page), consumers::plain(page)}; }

std::string payload(const char* field, const std::string& text, bool as_html, bool silent, bool link_preview_field) {
  json::object body{{field, text}};
  if (as_html) body["parse_mode"] = "HTML";
  if (silent) body["disable_notification"] = true;
  if (link_preview_field) body["link_preview_options"] = {{"is_disabled", true}};
  return json::serialize(body);
}

}  // namespace

std::vector<Message> render(const Story& story, const Style& style) {
  const bool silent = !story.asks() && story.severity < style.silent_below;
  const auto blocks = consumers::with_facts(story, false);
  auto pages = consumers::paginate(blocks, kText - 400 - 2 * kMarks - 220, measure);
  std::vector<Message> out;

  if (!story.file.empty() && (story.overlong || pages.size() > consumers::kMaxParts)) {
    pages = consumers::paginate(blocks, 700, measure);
    Text text = headline(story, style, 120);
    if (!pages.empty()) text.add(page_text(pages[0]), "\n");
    Message message{.part = 1, .method = "sendDocument", .file_name = story.file_name, .file = story.file};
    text.add(footer(story, 0, 1, 30), "\n");
    message.payload = payload("caption", text.html, true, silent, false);
    message.plain = payload("caption", shorten(text.plain, kCaption), false, silent, false);
    out.push_back(std::move(message));
    return out;
  }
  if (pages.empty()) pages.emplace_back();
  if (pages.size() > consumers::kMaxParts) pages.resize(consumers::kMaxParts);
  for (size_t i = 0; i < pages.size(); ++i) {
    Text text;
    if (i == 0) {
      text = headline(story, style, 400);
    } else if (style.repeat) {
      text = {"(repeat)", "(repeat)"};
    }
    text.add(page_text(pages[i]), "\n");
    text.add(footer(story, i, pages.size(), 128), "\n");
    Message message{.part = static_cast<uint32_t>(i) + 1, .method = "sendMessage"};
    // Only the first part makes a sound.
    message.payload = payload("text", text.html, true, silent || i > 0, true);
    message.plain = payload("text", shorten(text.plain, kText), false, silent || i > 0, true);
    out.push_back(std::move(message));
  }
  return out;
}

}  // namespace detent::telegram
