// Cutting blocks into pages.
#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/result.h"
#include "base/utf8.h"
#include "consumers/markdown.h"
#include "consumers/text.h"

namespace detent::consumers {
namespace {

size_t size_of(const Block& block) {
  if (block.kind == Block::Kind::Code) return block.code.size();
  size_t size = 0;
  for (const Run& run : block.runs) size += run.text.size();
  return size;
}

std::string text_of(const Block& block) {
  if (block.kind == Block::Kind::Code) return block.code;
  std::string text;
  for (const Run& run : block.runs) text += run.text;
  return text;
}

/// The part of `block` between two byte positions of its text.
Block piece(const Block& block, size_t from, size_t to) {
  Block out = block;
  if (from > 0) {
    out.marker.clear();
    out.close = false;
  }
  if (block.kind == Block::Kind::Code) {
    out.code = block.code.substr(from, to - from);
    return out;
  }
  out.runs.clear();
  size_t at = 0;
  for (const Run& run : block.runs) {
    const size_t begin = std::max(from, at), end = std::min(to, at + run.text.size());
    if (begin < end) {
      out.runs.push_back(run);
      out.runs.back().text = run.text.substr(begin - at, end - begin);
    }
    at += run.text.size();
  }
  return out;
}

/// Where to cut `text` at or before `most`: after a line, else after a word, else between characters.
size_t good_cut(std::string_view text, size_t most) {
  for (const char end : {'\n', ' '}) {
    const size_t at = text.rfind(end, most - 1);
    if (at != std::string_view::npos && at + 1 > most / 2) return at + 1;
  }
  const size_t at = whole(text, most);
  return at > 0 ? at : most;
}

/// Cuts from `block` a head that takes at most `limit`, and leaves the rest in it. Nothing where not one character
/// fits.
std::optional<Block> cut_head(Block& block, size_t limit, Measure measure) {
  const std::string text = text_of(block);
  size_t low = 0, high = std::min(text.size(), limit * 4);
  while (low < high) {
    const size_t middle = low + (high - low + 1) / 2;
    if (measure(piece(block, 0, middle)) <= limit) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  low = character_start(text, low);
  if (low == 0) return std::nullopt;
  size_t cut = good_cut(text, low);
  Block head = piece(block, 0, cut);
  if (block.kind == Block::Kind::Code) {
    while (head.code.ends_with('\n')) head.code.pop_back();
  } else {
    while (cut < text.size() && (text[cut] == ' ' || text[cut] == '\n')) ++cut;
  }
  block = piece(block, cut, text.size());
  return head;
}

}  // namespace

std::vector<std::vector<Block>> paginate(std::vector<Block> blocks, size_t limit, Measure measure) {
  std::vector<std::vector<Block>> pages(1);
  size_t used = 0;
  const auto turn = [&] {
    std::vector<Block> next;
    auto& page = pages.back();
    while (page.size() > 1 && page.back().kind == Block::Kind::Heading) {
      next.insert(next.begin(), std::move(page.back()));
      page.pop_back();
    }
    used = 0;
    for (const Block& block : next) used += measure(block) + 2;
    pages.push_back(std::move(next));
  };
  for (Block& block : blocks) {
    while (block.kind == Block::Kind::Rule || size_of(block) > 0) {
      const size_t size = measure(block);
      if (used + size <= limit) {
        used += size + 2;
        pages.back().push_back(std::move(block));
        break;
      }
      // A block that fills a page by itself is cut; a smaller one goes whole to the next page where the rest of this is
      // small.
      const size_t room = used < limit ? limit - used : 0;
      if (size <= limit && (room < limit / 2 || size <= limit / 4)) {
        turn();
        if (used + size > limit) {
          used = 0;
          pages.emplace_back();
        }
        continue;
      }
      std::optional<Block> head = room < 300 ? std::nullopt : cut_head(block, room, measure);
      if (head) {
        pages.back().push_back(std::move(*head));
      } else {
        CHECK(used > 0, "a page too small for one character");
      }
      turn();
      if (used > limit / 2) {
        used = 0;
        pages.emplace_back();
      }
    }
  }
  if (pages.back().empty()) pages.pop_back();
  return pages;
}

}  // namespace detent::consumers
