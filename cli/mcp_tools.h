// What an agent may do through `detent mcp`: each tool with what it says of itself and what it does.
#pragma once

#include <boost/json/fwd.hpp>
#include <functional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/inbox.h"

namespace detent {

/// What a tool answers.
struct McpAnswer {
  std::string text;                      // for the model
  std::function<void()> once_written{};  // what is to follow once it was handed over; may throw
};

struct McpTool {
  std::string name;
  std::string title;        // for people
  std::string description;  // for the model
  std::string schema;       // of its arguments: a JSON Schema
  bool reads_only = false;
  /// Throws Usage where an argument is not a good one, anything else where it cannot be done.
  std::function<McpAnswer(const boost::json::object& arguments)> call;
};

/// `source` says who speaks, `dispatcher` answers for the dispatcher. `invocation` outlives them.
std::vector<McpTool> mcp_tools(Invocation& invocation, const std::string& source, const AskJson& dispatcher);

}  // namespace detent
