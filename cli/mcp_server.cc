#include "cli/mcp_server.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <istream>
#include <ostream>
#include <stdexcept>
#include <utility>

#include "base/version.h"

namespace detent {

namespace json = boost::json;

namespace {

constexpr size_t kMaxLine = 8 << 20;  // a body has at most 4 MiB; as JSON it may have twice that
constexpr std::array<std::string_view, 4> kVersions{"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"};

/// An error of JSON-RPC: its code as the specification has it.
struct RpcError : std::runtime_error {
  RpcError(int number, const std::string& what) : std::runtime_error(what), code(number) {}
  int code;
};
enum RpcCode { kParseError = -32700, kInvalidRequest = -32600, kMethodNotFound = -32601, kInvalidParams = -32602 };

std::string error_answer(const json::value& id, int code, std::string_view text) {
  return json::serialize(
      json::object{{"jsonrpc", "2.0"},
                   {"id", id},
                   {"error", {{"code", code}, {"message", json::string_view(text.data(), text.size())}}}});
}

std::string_view text_in(const json::object& object, std::string_view key) {
  const auto* member = object.if_contains(json::string_view(key.data(), key.size()));
  return member && member->is_string() ? std::string_view(member->get_string()) : std::string_view();
}

enum class Line { Whole, TooLong, End };

/// The next line. What of one that is too long does not fit is read and forgotten.
Line read_line(std::istream& in, std::string& line) {
  line.clear();
  bool fits = true;
  constexpr auto kEnd = std::char_traits<char>::eof();
  for (int byte = in.get(); byte != kEnd; byte = in.get()) {
    if (byte == '\n') return fits ? Line::Whole : Line::TooLong;
    fits = fits && line.size() < kMaxLine;
    if (fits) line += static_cast<char>(byte);
  }
  if (!fits) return Line::TooLong;
  return line.empty() ? Line::End : Line::Whole;
}

/// What the model reads. An error of the tool is no error of the protocol: the model may do better.
json::object told(const std::string& text, bool is_error) {
  return {{"content", json::array{{{"type", "text"}, {"text", text}}}}, {"isError", is_error}};
}

}  // namespace

void McpServer::serve(std::istream& in, std::ostream& out) {
  std::string line;
  for (Line read = read_line(in, line); read != Line::End && out; read = read_line(in, line)) {
    const auto said = read == Line::TooLong
                          ? error_answer(nullptr, kInvalidRequest, fmt::format("a message of over {} bytes", kMaxLine))
                          : answer(line);
    if (said && out << *said << '\n' << std::flush) follow();
  }
}

void McpServer::follow() {
  const auto follows = std::exchange(once_written_, nullptr);
  if (!follows) return;
  try {
    follows();
  } catch (const std::exception& error) {
    spdlog::warn("mcp: results were shown and could not be marked as read: {}", error.what());
  }
}

std::optional<std::string> McpServer::answer(std::string_view line) {
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) return std::nullopt;
  boost::system::error_code code;
  const json::value message = json::parse(json::string_view(line.data(), line.size()), code);
  if (code) return error_answer(nullptr, kParseError, "not JSON: " + code.message());
  if (!message.is_object()) return error_answer(nullptr, kInvalidRequest, "a message is one JSON object");
  const json::object& request = message.get_object();
  const json::value* id = request.if_contains("id");
  if (id && !id->is_string() && !id->is_number())
    return error_answer(nullptr, kInvalidRequest, "\"id\" must be a string or a number");
  if (text_in(request, "jsonrpc") != "2.0")
    return error_answer(id ? *id : nullptr, kInvalidRequest, "\"jsonrpc\" must be \"2.0\"");
  const std::string_view method = text_in(request, "method");
  if (method.empty()) {
    if (request.contains("result") || request.contains("error")) return std::nullopt;  // we asked nothing
    return error_answer(id ? *id : nullptr, kInvalidRequest, "\"method\" is missing");
  }
  if (!id) return std::nullopt;  // a notification
  try {
    const json::value* params = request.if_contains("params");
    if (params && !params->is_object()) throw RpcError(kInvalidParams, "\"params\" must be an object");
    return json::serialize(json::object{{"jsonrpc", "2.0"},
                                        {"id", *id},
                                        {"result", result_of(method, params ? params->get_object() : json::object{})}});
  } catch (const RpcError& error) {
    return error_answer(*id, error.code, error.what());
  }
}

json::object McpServer::result_of(std::string_view method, const json::object& params) {
  if (method == "initialize") {
    const std::string_view asked = text_in(params, "protocolVersion");
    if (asked.empty()) throw RpcError(kInvalidParams, "\"protocolVersion\" is missing");
    const bool known = std::find(kVersions.begin(), kVersions.end(), asked) != kVersions.end();
    const std::string_view spoken = known ? asked : kVersions.front();
    return {{"protocolVersion", json::string_view(spoken.data(), spoken.size())},
            {"capabilities", {{"tools", json::object{}}}},
            {"serverInfo", {{"name", "detent"}, {"version", kVersion}}}};
  }
  if (method == "ping") return {};
  if (method == "tools/list") return list();
  if (method == "tools/call") return call(params);
  throw RpcError(kMethodNotFound, fmt::format("there is no method \"{}\"", method));
}

json::object McpServer::list() const {
  json::array all;
  for (const McpTool& tool : tools_) {
    // Signals add to what is there: nothing is changed or taken away, and a call that is repeated is another signal.
    all.push_back({{"name", tool.name},
                   {"title", tool.title},
                   {"description", tool.description},
                   {"inputSchema", json::parse(tool.schema)},
                   {"annotations",
                    {{"title", tool.title},
                     {"readOnlyHint", tool.reads_only},
                     {"destructiveHint", false},
                     {"idempotentHint", tool.reads_only},
                     {"openWorldHint", false}}}});
  }
  return {{"tools", std::move(all)}};
}

json::object McpServer::call(const json::object& params) {
  const std::string_view name = text_in(params, "name");
  const auto tool = std::find_if(tools_.begin(), tools_.end(), [&](const McpTool& one) { return one.name == name; });
  if (tool == tools_.end()) throw RpcError(kInvalidParams, fmt::format("there is no tool \"{}\"", name));
  const json::value* given = params.if_contains("arguments");
  if (given && !given->is_object()) throw RpcError(kInvalidParams, "\"arguments\" must be an object");
  try {
    McpAnswer answer = tool->call(given ? given->get_object() : json::object{});
    once_written_ = std::move(answer.once_written);
    return told(answer.text, false);
  } catch (const std::exception& error) {
    spdlog::warn("mcp: {}: {}", tool->name, error.what());
    return told(error.what(), true);
  }
}

}  // namespace detent
