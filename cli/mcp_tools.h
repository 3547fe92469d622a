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

/// Who answers for the dispatcher. A tool is there where what it asks is.
struct McpDispatcher {
  AskJson task_status{}, inbox{};
};

/// `source` says who speaks. `invocation` outlives them.
std::vector<McpTool> mcp_tools(Invocation& invocation, const std::string& source, const McpDispatcher& dispatcher);

}  // namespace detent
