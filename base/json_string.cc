#include "base/json_string.h"

#include <boost/json/serializer.hpp>

#include "base/utf8.h"

namespace detent {

void append_json_string(std::string& out, std::string_view text) {
  std::string mended;
  if (!is_utf8(text)) text = mended = to_utf8(text);
  boost::json::serializer serializer;
  serializer.reset(boost::json::string_view(text.data(), text.size()));
  char buffer[1024];
  while (!serializer.done()) {
    const auto piece = serializer.read(buffer, sizeof buffer);
    out.append(piece.data(), piece.size());
  }
}

}  // namespace detent
