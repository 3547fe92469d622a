#include "http/multipart.h"
#include "http/url.h"
#include "sandbox/discord_api.h"

namespace detent::sandbox {

namespace {
bool read_object(std::string_view text, json::object& into) {
  boost::system::error_code failed;
  json::value parsed = json::parse(text, failed);
  if (failed || !parsed.is_object()) return false;
  into = std::move(parsed.get_object());
  return true;
}

/// The description that payload_json gives for files[n].
std::string description_of(const json::object& body, std::string_view field) {
  const json::value* listed = member(body, "attachments");
  if (!listed || !listed->is_array()) return {};
  for (const json::value& entry : listed->get_array()) {
    if (!entry.is_object()) continue;
    if ("files[" + text_of(entry.get_object(), "id") + "]" == field) return text_of(entry.get_object(), "description");
  }
  return {};
}
}  // namespace

DiscordCall parse_discord_call(const http::Incoming& in, std::string_view path) {
  DiscordCall call{.method = in.method, .path = std::string(path), .query = in.query};
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t from = path[at] == '/' ? at + 1 : at;
    const std::size_t end = std::min(path.find('/', from), path.size());
    if (end > from) call.segments.push_back(http::percent_decode(path.substr(from, end - from)));
    at = std::max(end, at + 1);
  }
  if (call.segments.size() > 1 && (call.segments[0] == "channels" || call.segments[0] == "webhooks")) {
    call.channel = call.segments[1];
  }
  const std::string_view authorization = in.header("Authorization");
  if (authorization.starts_with("Bot ")) call.token = authorization.substr(4);
  call.agent = !in.header("User-Agent").empty();
  if (in.body.empty()) return call;

  call.has_body = true;
  const std::string_view type = in.header("Content-Type");
  if (!type.starts_with("multipart/form-data")) {
    call.malformed = !read_object(in.body, call.body);
    return call;
  }
  auto parts = http::parse_multipart(type, in.body);
  if (!parts) {
    call.malformed = true;
    return call;
  }
  for (http::Part& part : *parts) {
    if (part.name == "payload_json") {
      call.malformed |= !read_object(part.body, call.body);
    } else if (!part.filename.empty()) {
      call.files.push_back(
          {part.name, {.filename = part.filename, .content_type = part.content_type, .body = std::move(part.body)}});
    } else {
      call.body[part.name] = part.body;
    }
  }
  for (auto& [name, file] : call.files) file.description = description_of(call.body, name);
  return call;
}

}  // namespace detent::sandbox
