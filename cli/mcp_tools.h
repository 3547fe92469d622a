// What an agent may do through `detent mcp`: each tool with what it says of itself and what it does.
#pragma once

#include <boost/json/fwd.hpp>
#include <functional>
#include <string>
#include <vector>

#include "cli/command.h"

namespace detent {

struct McpTool {
  std::string name;
  std::string title;        // for people
  std::string description;  // for the model
  std::string schema;       // of its arguments: a JSON Schema
  bool reads_only = false;
  /// The answer for the model. Throws Usage where an argument is not a good one, anything else where it cannot be done.
  std::function<std::string(const boost::json::object& arguments)> call;
};

/// Asks one command and gives the answer; throws Failure with the reason.
using AskJson = std::function<boost::json::value(const boost::json::object& command)>;

/// Publishing tools; `source` says who speaks. Those that ask the dispatcher are there where `ask_dispatcher` is. What
/// is given outlives them.
std::vector<McpTool> mcp_tools(Invocation& invocation, const std::string& source, const AskJson& ask_dispatcher);

}  // namespace detent
