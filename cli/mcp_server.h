// The Model Context Protocol over a pair of streams: JSON-RPC 2.0, one message a line. It serves tools and nothing
// else.
#pragma once

#include <boost/json/fwd.hpp>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/mcp_tools.h"

namespace detent {

class McpServer {
 public:
  explicit McpServer(std::vector<McpTool> tools) : tools_(std::move(tools)) {}

  /// Answers what `in` asks, in its order, until `in` ends or `out` takes no more.
  void serve(std::istream& in, std::ostream& out);
  /// The answer to one line, without its newline; nothing where it wants none.
  std::optional<std::string> answer(std::string_view line);

 private:
  boost::json::object result_of(std::string_view method, const boost::json::object& params);
  boost::json::object list() const;
  boost::json::object call(const boost::json::object& params);

  /// What is to follow once the last answer was written.
  void follow();

  std::vector<McpTool> tools_;
  std::function<void()> once_written_;
};

}  // namespace detent
