// Blocks in the HTML that Telegram's Bot API reads: only its tags, each closed in the block it was opened in. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "consumers/markdown.h"

namespace detent::telegram {

/// `text` with the three characters escaped that HTML reads.
std::string escaped(std::string_view text);

std::string html(const std::vector<consumers::Block>& blocks);

/// The most of: what is shown, what is shown without markup, and an eighth of the bytes: a limit of 4096 by this keeps
/// the raw text below the 32768 bytes that the server takes.
size_t measure(const consumers::Block& block);

}  // namespace detent::telegram
