// Blocks in the Markdown that Discord's clients read. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "consumers/markdown.h"

namespace detent::discord {

/// `text` such that it is shown as it is: no markup, no mention, no emoji, no link made of it.
std::string escaped(std::string_view text);

/// Never longer than the sum of `measure` of each and 2 for each gap.
std::string markdown(const std::vector<consumers::Block>& blocks);

size_t measure(const consumers::Block& block);

}  // namespace detent::discord
