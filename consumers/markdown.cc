#include "consumers/markdown.h"

#include <cmark-gfm-core-extensions.h>
#include <cmark-gfm-extension_api.h>
#include <cmark-gfm.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <utility>

#include "consumers/text.h"

namespace detent::consumers {
namespace {

/// Text that a reader would take for an address: it must not lead elsewhere.
bool looks_like_url(std::string_view text) {
  return text.find("://") != std::string_view::npos || text.substr(0, 4) == "www." ||
         (text.find('.') != std::string_view::npos && text.find(' ') == std::string_view::npos &&
          text.find('/') != std::string_view::npos);
}

std::string aligned_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], std::min<size_t>(units(row[i]), 60));
  }
  std::string out;
  for (size_t r = 0; r < rows.size(); ++r) {
    if (r > 0) out += '\n';
    for (size_t i = 0; i < rows[r].size(); ++i) {
      out += rows[r][i];
      const size_t have = units(rows[r][i]);
      if (i + 1 < rows[r].size()) out += std::string(have < widths[i] ? widths[i] - have : 0, ' ') + " | ";
    }
    while (!out.empty() && out.back() == ' ') out.pop_back();
    if (r == 0 && rows.size() > 1) {
      out += '\n';
      for (size_t i = 0; i < widths.size(); ++i)
        out += std::string(widths[i], '-') + (i + 1 < widths.size() ? "-+-" : "");
    }
  }
  return out;
}

/// Walks the tree by cmark's iterator, not by recursion, for a tree may be as deep as the text is long.
class Flattener {
 public:
  std::vector<Block> run(cmark_node* root) {
    const std::unique_ptr<cmark_iter, void (*)(cmark_iter*)> iter(cmark_iter_new(root), cmark_iter_free);
    for (cmark_event_type event; (event = cmark_iter_next(iter.get())) != CMARK_EVENT_DONE;) {
      visit(cmark_iter_get_node(iter.get()), event == CMARK_EVENT_ENTER);
    }
    end_block();
    return std::move(blocks_);
  }

 private:
  struct List {
    bool ordered;
    int next;
    bool tight;
  };

  void visit(cmark_node* node, bool enter) {
    switch (const cmark_node_type type = cmark_node_get_type(node)) {
      case CMARK_NODE_BLOCK_QUOTE:
        return enter ? begin_quote() : end_quote();
      case CMARK_NODE_LIST:
        end_block();
        if (enter) {
          lists_.push_back({cmark_node_get_list_type(node) == CMARK_ORDERED_LIST, cmark_node_get_list_start(node),
                            cmark_node_get_list_tight(node) != 0});
        } else {
          lists_.pop_back();
        }
        return;
      case CMARK_NODE_ITEM:
        return item(node, enter);
      case CMARK_NODE_PARAGRAPH:
        if (in_table_) return;
        return enter ? begin_block(Block::Kind::Text) : end_block();
      case CMARK_NODE_HEADING:
        if (!enter) return end_block();
        begin_block(Block::Kind::Heading);
        open_.level = cmark_node_get_heading_level(node);
        return;
      case CMARK_NODE_CODE_BLOCK:
        return code(node);
      case CMARK_NODE_HTML_BLOCK:
        begin_block(Block::Kind::Text);
        add(literal(node));
        while (!open_.runs.empty() && open_.runs.back().text.ends_with('\n')) open_.runs.back().text.pop_back();
        return end_block();
      case CMARK_NODE_THEMATIC_BREAK:
        begin_block(Block::Kind::Rule);
        return end_block();
      case CMARK_NODE_TEXT:
      case CMARK_NODE_HTML_INLINE:
        return add(literal(node));
      case CMARK_NODE_SOFTBREAK:
      case CMARK_NODE_LINEBREAK:
        return add("\n");
      case CMARK_NODE_CODE:
        style_.code = true;
        add(literal(node));
        style_.code = false;
        return;
      case CMARK_NODE_STRONG:
        return depth(strong_, enter, style_.strong);
      case CMARK_NODE_EMPH:
        return depth(emphasis_, enter, style_.emphasis);
      case CMARK_NODE_LINK:
      case CMARK_NODE_IMAGE:
        return link(node, enter, type == CMARK_NODE_IMAGE);
      default:
        return extension(cmark_node_get_type_string(node), enter);
    }
  }

  void extension(std::string_view type, bool enter) {
    if (type == "strikethrough") return depth(strike_, enter, style_.strike);
    if (type == "table") {
      if (enter) {
        begin_block(Block::Kind::Code);
        rows_.clear();
      } else {
        open_.code = aligned_table(rows_);
        in_table_ = false;
        return end_block();
      }
      in_table_ = true;
    } else if ((type == "table_row" || type == "table_header") && enter) {
      rows_.emplace_back();
    } else if (type == "table_cell" && enter && !rows_.empty()) {
      rows_.back().emplace_back();
    }
  }

  void begin_quote() {
    end_block();
    ++quotes_;
  }
  void end_quote() {
    end_block();
    --quotes_;
  }

  void item(cmark_node* node, bool enter) {
    end_block();
    if (!enter || lists_.empty()) return;
    List& list = lists_.back();
    if (std::string_view(cmark_node_get_type_string(node)) == "tasklist") {
      marker_ = cmark_gfm_extensions_get_tasklist_item_checked(node) ? "☑ " : "☐ ";
    } else {
      marker_ = list.ordered ? std::to_string(list.next) + ". " : "- ";
    }
    ++list.next;
  }

  void code(cmark_node* node) {
    begin_block(Block::Kind::Code);
    open_.code = literal(node);
    while (open_.code.ends_with('\n')) open_.code.pop_back();
    const char* info = cmark_node_get_fence_info(node);
    for (; info && *info && open_.info.size() < 24; ++info) {
      if (!std::isalnum(static_cast<unsigned char>(*info)) && !std::strchr("+#.-_", *info)) break;
      open_.info += *info;
    }
    end_block();
  }

  void depth(int& count, bool enter, bool& style) {
    count += enter ? 1 : -1;
    style = count > 0;
  }

  void link(cmark_node* node, bool enter, bool image) {
    if (enter) {
      if (links_++ > 0) return;
      link_start_ = open_.runs.size();
      // Adjacent text must not be joined with the link's, or its start would not be known.
      link_first_ = true;
      const char* url = cmark_node_get_url(node);
      raw_url_ = url ? harmless(url) : "";
      style_.url = safe_url(raw_url_);
      if (image) add("🖼 ");
      return;
    }
    if (--links_ > 0) return;
    const std::string url = std::exchange(style_.url, "");
    link_first_ = true;
    if (in_table_) return;
    std::string shown;
    for (size_t i = std::min(link_start_, open_.runs.size()); i < open_.runs.size(); ++i) shown += open_.runs[i].text;
    const bool itself = shown == raw_url_ || "mailto:" + shown == raw_url_ || "http://" + shown == raw_url_;
    if (url.empty() || (looks_like_url(shown) && !itself)) {
      for (size_t i = std::min(link_start_, open_.runs.size()); i < open_.runs.size(); ++i) open_.runs[i].url.clear();
      if (!itself && !raw_url_.empty()) {
        add(" (");
        style_.url = url;
        add(url.empty() ? raw_url_ : url);
        style_.url.clear();
        add(")");
      }
    } else if (shown.empty()) {
      style_.url = url;
      add(url);
      style_.url.clear();
    }
  }

  std::string literal(cmark_node* node) {
    const char* text = cmark_node_get_literal(node);
    // Again, for an entity may name what the source could not contain.
    return text ? harmless(text) : "";
  }

  void add(std::string text) {
    if (text.empty()) return;
    if (in_table_) {
      if (!rows_.empty() && !rows_.back().empty()) rows_.back().back() += one_line_keeping_ends(std::move(text));
      return;
    }
    if (!is_open_) begin_block(Block::Kind::Text);
    if (!link_first_ && !open_.runs.empty() && open_.runs.back().same_style(style_)) {
      open_.runs.back().text += text;
    } else {
      open_.runs.push_back(style_);
      open_.runs.back().text = std::move(text);
    }
    link_first_ = false;
  }

  static std::string one_line_keeping_ends(std::string text) {
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
  }

  void begin_block(Block::Kind kind) {
    end_block();
    open_ = Block{};
    is_open_ = true;
    open_.kind = kind;
    open_.indent = static_cast<int>(std::min<size_t>(lists_.size(), 6));
    open_.quoted = quotes_ > 0;
    open_.close = !lists_.empty() && lists_.back().tight && !(blocks_.empty() || blocks_.back().indent == 0);
    open_.marker = std::exchange(marker_, "");
  }

  void end_block() {
    if (!is_open_) return;
    is_open_ = false;
    link_first_ = false;
    const bool empty = (open_.kind == Block::Kind::Text || open_.kind == Block::Kind::Heading) && open_.runs.empty();
    if (!empty) blocks_.push_back(std::move(open_));
  }

  std::vector<Block> blocks_;
  Block open_;
  bool is_open_ = false;
  std::vector<List> lists_;
  std::string marker_;
  int quotes_ = 0, strong_ = 0, emphasis_ = 0, strike_ = 0, links_ = 0;
  Run style_;
  size_t link_start_ = 0;
  bool link_first_ = false;
  std::string raw_url_;
  bool in_table_ = false;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace

std::string safe_url(std::string_view url, size_t most) {
  const auto begins = [&](std::string_view scheme) {
    return url.size() > scheme.size() && std::equal(scheme.begin(), scheme.end(), url.begin(),
                                                    [](char a, char b) { return a == (b | 0x20) || a == b; });
  };
  if (!begins("http://") && !begins("https://") && !begins("mailto:")) return "";
  std::string out;
  for (const char byte : url) {
    if (byte > 0x20 && byte < 0x7F && !std::strchr("()<>[]\"'`\\|*~{}^", byte)) {
      out += byte;
    } else {
      constexpr char kHex[] = "0123456789ABCDEF";
      out += '%';
      out += kHex[static_cast<uint8_t>(byte) >> 4];
      out += kHex[static_cast<uint8_t>(byte) & 15];
    }
  }
  return out.size() <= most ? out : "";
}

std::vector<Block> parse_markdown(std::string_view text, size_t most) {
  static std::once_flag once;
  std::call_once(once, cmark_gfm_core_extensions_ensure_registered);
  if (text.size() > most) text = text.substr(0, whole(text, most));
  const std::string clean = harmless(text);
  const std::unique_ptr<cmark_parser, void (*)(cmark_parser*)> parser(
      cmark_parser_new(CMARK_OPT_VALIDATE_UTF8 | CMARK_OPT_STRIKETHROUGH_DOUBLE_TILDE), cmark_parser_free);
  for (const char* name : {"table", "strikethrough", "autolink", "tasklist"}) {
    if (cmark_syntax_extension* extension = cmark_find_syntax_extension(name)) {
      cmark_parser_attach_syntax_extension(parser.get(), extension);
    }
  }
  cmark_parser_feed(parser.get(), clean.data(), clean.size());
  const std::unique_ptr<cmark_node, void (*)(cmark_node*)> root(cmark_parser_finish(parser.get()), cmark_node_free);
  return Flattener().run(root.get());
}

Block code_block(std::string code, std::string info) {
  Block block{.kind = Block::Kind::Code, .info = std::move(info), .code = std::move(code)};
  while (block.code.ends_with('\n')) block.code.pop_back();
  return block;
}

std::string plain(const std::vector<Block>& blocks) {
  std::string out;
  for (const Block& block : blocks) {
    if (!out.empty()) out += block.close ? "\n" : "\n\n";
    if (block.kind == Block::Kind::Rule) {
      out += "———";
      continue;
    }
    out += std::string(block.indent > 1 ? 2 * (block.indent - 1) : 0, ' ') + block.marker;
    out += block.kind == Block::Kind::Code ? block.code : "";
    for (const Run& run : block.runs) {
      out += run.text;
      if (!run.url.empty() && !looks_like_url(run.text)) out += " (" + run.url + ")";
    }
  }
  return out;
}

}  // namespace detent::consumers
