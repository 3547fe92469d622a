// multipart/form-data (RFC 7578), built and read.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace detent::http {

struct Part {
  std::string name;
  std::string body;
  std::string filename = {};      // empty: a plain field
  std::string content_type = {};  // empty: none is sent
};

struct Multipart {
  std::string content_type;  // with the boundary
  std::string body;
};

/// The boundary is chosen so that it occurs in no part.
Multipart multipart(const std::vector<Part>& parts);

/// The parts of a body with that Content-Type, at most `max_parts`.
Result<std::vector<Part>> parse_multipart(std::string_view content_type, std::string_view body,
                                          std::size_t max_parts = 64);

}  // namespace detent::http
