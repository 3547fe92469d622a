#include "consumers/telegram/html.h"

#include <algorithm>

#include "consumers/text.h"

namespace detent::telegram {
namespace {

using consumers::Block;
using consumers::Run;

struct Drawn {
  std::string html;
  std::string shown;  // what is left when the tags are taken away
};

void put(Drawn& out, std::string_view text) {
  out.html += escaped(text);
  out.shown += text;
}

void put_run(Drawn& out, const Run& run) {
  const std::string_view tags[] = {run.strong ? "b" : "", run.emphasis ? "i" : "", run.strike ? "s" : "",
                                   run.code ? "code" : ""};
  if (!run.url.empty()) out.html += "<a href=\"" + escaped(run.url) + "\">";
  for (const std::string_view tag : tags) {
    if (!tag.empty()) out.html.append("<").append(tag).append(">");
  }
  put(out, run.text);
  for (auto tag = std::rbegin(tags); tag != std::rend(tags); ++tag) {
    if (!tag->empty()) out.html.append("</").append(*tag).append(">");
  }
  if (!run.url.empty()) out.html += "</a>";
}

Drawn draw(const Block& block) {
  Drawn out;
  if (block.quoted) out.html += "<blockquote>";
  std::string lead(block.indent > 1 ? 2 * std::min(block.indent - 1, 4) : 0, ' ');
  lead += block.marker == "- " ? "• " : block.marker;
  switch (block.kind) {
    case Block::Kind::Rule:
      put(out, "———");
      break;
    case Block::Kind::Code:
      if (!block.marker.empty()) put(out, lead + "\n");
      out.html += block.info.empty() ? "<pre>" : "<pre><code class=\"language-" + escaped(block.info) + "\">";
      put(out, block.code);
      out.html += block.info.empty() ? "</pre>" : "</code></pre>";
      break;
    case Block::Kind::Heading:
    case Block::Kind::Text:
      put(out, lead);
      for (Run run : block.runs) {
        run.strong |= block.kind == Block::Kind::Heading;
        put_run(out, run);
      }
      break;
  }
  if (block.quoted) out.html += "</blockquote>";
  return out;
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char byte : text) {
    switch (byte) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      default:
        out += byte;
    }
  }
  return out;
}

std::string html(const std::vector<Block>& blocks) {
  std::string out;
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (i > 0) out += blocks[i].close ? "\n" : "\n\n";
    out += draw(blocks[i]).html;
  }
  return out;
}

size_t measure(const Block& block) {
  const Drawn drawn = draw(block);
  return std::max(
      {consumers::units(drawn.shown), consumers::units(consumers::plain({block})), drawn.html.size() / 8 + 1});
}

}  // namespace detent::telegram
