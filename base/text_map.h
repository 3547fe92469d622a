// A hash table by text that is asked with a view, without a copy. What is put in moves what is there.
#pragma once

#include <xxhash.h>

#include <boost/unordered/unordered_flat_map.hpp>
#include <functional>
#include <string>
#include <string_view>

namespace detent {

struct TextHash {
  using is_transparent = void;
  using is_avalanching = void;  // each bit of it is as good as any other: the table need not mix them again
  size_t operator()(std::string_view text) const { return XXH3_64bits(text.data(), text.size()); }
};

template <class Value>
using TextMap = boost::unordered_flat_map<std::string, Value, TextHash, std::equal_to<>>;

}  // namespace detent
