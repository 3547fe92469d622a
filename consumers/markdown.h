// Markdown (GitHub's dialect) as a flat list of blocks of styled text, which any platform can draw and which can be cut
// anywhere without leaving a construct open: each run of text carries its own style. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace detent::consumers {

/// A stretch of text in one style. May hold line ends.
struct Run {
  std::string text;
  bool strong = false;
  bool emphasis = false;
  bool strike = false;
  bool code = false;
  std::string url;  // where it leads: http, https or mailto, percent-encoded, at most 512 characters

  bool same_style(const Run& other) const {
    return strong == other.strong && emphasis == other.emphasis && strike == other.strike && code == other.code &&
           url == other.url;
  }
};

struct Block {
  enum class Kind { Text, Heading, Code, Rule };
  Kind kind = Kind::Text;
  int level = 0;          // of a heading, 1 to 6
  std::string info;       // of code: its language
  std::string code;       // of code: the text, without a line end at the end
  std::vector<Run> runs;  // of text and headings
  std::string marker;     // of the first block of a list item: "- ", "3. ", "☐ ", "☑ "
  int indent = 0;         // how many lists it stands in
  bool quoted = false;
  bool close = false;  // follows the one before without an empty line (a tight list)
};

/// Any text gives blocks; whatever is not Markdown is text. Tables become aligned code, images links, HTML text.
/// What is beyond the first `most` bytes is left out.
std::vector<Block> parse_markdown(std::string_view text, size_t most = 96 * 1024);

/// `url` percent-encoded as it may stand in any markup, or "" where it is no http, https or mailto address, or longer
/// than `most`.
std::string safe_url(std::string_view url, size_t most = 512);

Block code_block(std::string code, std::string info = "");

/// Without any markup: for a person to read where markup cannot be shown.
std::string plain(const std::vector<Block>& blocks);

/// How many units `block` takes where it is shown, alone. Grows with the text.
using Measure = size_t (*)(const Block& block);

/// Cuts `blocks` into pages of at most `limit` units each (at least 700), counting 2 for what separates blocks. Cuts
/// between blocks where it can, else in a block at a line, else at a word, else between characters. A heading goes to
/// the page of what follows it.
std::vector<std::vector<Block>> paginate(std::vector<Block> blocks, size_t limit, Measure measure);

}  // namespace detent::consumers
