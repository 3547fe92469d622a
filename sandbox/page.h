// The page that shows what a person would see: one self-contained HTML document, embedded at build time.
#pragma once

#include <string_view>

namespace detent::sandbox {

std::string_view page();

}  // namespace detent::sandbox
