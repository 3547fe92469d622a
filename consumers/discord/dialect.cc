#include "consumers/discord/dialect.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>

#include "consumers/text.h"

namespace detent::discord {
namespace {

using consumers::Block;
using consumers::Run;

constexpr std::string_view kNothing = "\u200b";  // zero-width space: parts what would else be read together

bool digit(char byte) { return byte >= '0' && byte <= '9'; }

constexpr auto kSpecial = [] {
  std::array<bool, 256> special{};
  for (const char byte : std::string_view("\\*_~`|[]<")) special[static_cast<unsigned char>(byte)] = true;
  return special;
}();

/// Escapes `text`; `line_start`: whether it begins a line, where a few characters mean more.
void escape(std::string& out, std::string_view text, bool line_start) {
  for (size_t i = 0; i < text.size(); ++i) {
    const char byte = text[i];
    bool special = kSpecial[static_cast<unsigned char>(byte)];
    if (line_start && (byte == '#' || byte == '-' || byte == '>' || byte == '+')) special = true;
    if (byte == ':' && text.substr(i, 3) == "://") special = true;
    if (byte == '.' && i > 0 && digit(text[i - 1])) {
      size_t begin = i;
      while (begin > 0 && digit(text[begin - 1])) --begin;
      if ((begin == 0 || text[begin - 1] == '\n') && i + 1 < text.size() && text[i + 1] == ' ') special = true;
    }
    if (special) out += '\\';
    out += byte;
    if (byte == '\n') {
      line_start = true;
    } else if (byte != ' ' && byte != '\t') {
      line_start = false;
    }
  }
}

/// Puts nothing visible between neighbouring backticks, and between one and the fence.
std::string parted_backticks(std::string_view text, bool at_edges) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '`' && ((i > 0 && text[i - 1] == '`') || (at_edges && i == 0))) out += kNothing;
    out += text[i];
  }
  if (at_edges && text.ends_with('`')) out += kNothing;
  return out;
}

void put_run(std::string& out, const Run& run) {
  std::string_view text = run.text;
  const auto blank = [](char byte) { return byte == ' ' || byte == '\n' || byte == '\t'; };
  const bool styled = run.strong || run.emphasis || run.strike || run.code || !run.url.empty();
  const bool line_start = out.empty() || out.back() == '\n';
  if (!styled) return escape(out, text, line_start);
  // Markers stand next to what they mark, not next to blanks.
  while (!text.empty() && blank(text.front())) {
    out += text.front();
    text.remove_prefix(1);
  }
  std::string_view tail = text;
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  tail.remove_prefix(text.size());
  if (!text.empty()) {
    std::string marks;
    if (run.strike) marks += "~~";
    if (run.strong) marks += "**";
    if (run.emphasis) marks += "*";
    if (!out.empty() && std::strchr("*~`_", out.back())) out += kNothing;
    out += marks;
    const bool bare = run.url == text || run.url == std::string("mailto:").append(text);
    if (!run.url.empty() && !bare) out += '[';
    if (run.code) {
      std::string code(text);
      std::replace(code.begin(), code.end(), '\n', ' ');
      const bool ticks = code.find('`') != std::string::npos;
      out += ticks ? "``" + parted_backticks(code, true) + "``" : "`" + code + "`";
    } else if (bare && run.url == text) {
      out += text;
    } else {
      escape(out, text, false);
    }
    if (!run.url.empty() && !bare) out += "](" + run.url + ")";
    out.append(marks.rbegin(), marks.rend());
  }
  out += tail;
}

std::string render(const Block& block) {
  std::string out;
  const std::string indent(block.indent > 1 ? 2 * std::min(block.indent - 1, 4) : 0, ' ');
  switch (block.kind) {
    case Block::Kind::Rule:
      out = "———";
      break;
    case Block::Kind::Code:
      if (!block.marker.empty()) out += indent + block.marker + "\n";
      out += "```" + block.info + "\n" + parted_backticks(block.code, false);
      if (block.code.ends_with('`')) out += kNothing;
      out += "\n```";
      break;
    case Block::Kind::Heading: {
      std::string text;
      for (const Run& run : block.runs) {
        Run plain = run;
        plain.strong = block.level > 2;
        std::replace(plain.text.begin(), plain.text.end(), '\n', ' ');
        put_run(text, plain);
      }
      out += indent + block.marker + (block.level == 1 ? "## " : block.level == 2 ? "### " : "") + text;
      break;
    }
    case Block::Kind::Text: {
      for (const Run& run : block.runs) put_run(out, run);
      out = indent + block.marker + out;
      break;
    }
  }
  if (!block.quoted) return out;
  std::string quoted = "> ";
  for (const char byte : out) {
    quoted += byte;
    if (byte == '\n') quoted += "> ";
  }
  return quoted;
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  escape(out, text, true);
  return out;
}

std::string markdown(const std::vector<Block>& blocks) {
  std::string out;
  for (size_t i = 0; i < blocks.size(); ++i) {
    // Code needs no empty line around it: its frame is one.
    const bool close =
        i > 0 && (blocks[i].close || blocks[i].kind == Block::Kind::Code || blocks[i - 1].kind == Block::Kind::Code);
    if (i > 0) out += close ? "\n" : "\n\n";
    out += render(blocks[i]);
  }
  return out;
}

size_t measure(const Block& block) { return consumers::units(render(block)); }

}  // namespace detent::discord
