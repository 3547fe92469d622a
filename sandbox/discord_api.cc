#include "sandbox/discord_api.h"

#include <fmt/format.h>

#include <cmath>

#include "base/base64.h"
#include "sandbox/discord_errors.h"
#include "sandbox/discord_form.h"
#include "sandbox/text.h"

namespace detent::sandbox {

namespace {
constexpr std::size_t kMaxRequest = 25 << 20, kMaxFile = 10 << 20;

std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return hash;
}

std::string seconds(Millis span) { return fmt::format("{:.3f}", double(span.count()) / 1000); }

http::Outgoing too_many(double retry_after, std::string_view scope, int code = 0) {
  const bool global = scope == "global";
  json::object body{
      {"message", scope == "shared" ? "The resource is being rate limited." : "You are being rate limited."},
      {"retry_after", retry_after},
      {"global", global}};
  if (code) body["code"] = code;
  http::Outgoing out{.status = 429, .body = json::serialize(body)};
  out.headers.emplace_back("Retry-After", std::to_string(std::int64_t(std::ceil(retry_after))));
  if (global) out.headers.emplace_back("X-RateLimit-Global", "true");
  out.headers.emplace_back("X-RateLimit-Scope", scope.empty() ? "user" : std::string(scope));
  return out;
}

/// The state of the request's bucket, as every answer tells it.
void tell_bucket(http::Outgoing& out, const Standing& standing, const std::string& bucket, Now now) {
  if (standing.limit == 0) return;
  out.headers.emplace_back("X-RateLimit-Limit", std::to_string(standing.limit));
  out.headers.emplace_back("X-RateLimit-Remaining", std::to_string(standing.remaining));
  out.headers.emplace_back("X-RateLimit-Reset", seconds(now.wall + standing.reset_after));
  out.headers.emplace_back("X-RateLimit-Reset-After", seconds(standing.reset_after));
  out.headers.emplace_back("X-RateLimit-Bucket", bucket);
}

/// A fault's answer; the bucket as the fault's scope wants it seen.
http::Outgoing faulty(const Fault& fault, Standing& standing) {
  switch (fault.status) {
    case 401:
      return refusal(401, 0, "401: Unauthorized");
    case 403:
      return refusal(403, 50013, "Missing Permissions");
    case 404:
      return refusal(404, 10003, "Unknown Channel");
    case 429: {
      const bool sublimit = fault.scope == "sublimit";
      standing.limit = std::max<std::int64_t>(standing.limit, 5);
      standing.remaining = sublimit ? std::max<std::int64_t>(standing.remaining, 1) : 0;
      if (!sublimit) standing.reset_after = Millis(std::llround(fault.retry_after * 1000));
      return too_many(fault.retry_after, sublimit ? "user" : fault.scope);
    }
    default:
      return refusal(fault.status, 0, fmt::format("{}: Internal Server Error", fault.status));
  }
}
}  // namespace

struct DiscordApi::Route {
  std::string_view method;
  std::string_view path;  // * stands for one segment
  Out (DiscordApi::*act)(DiscordCall&, Now);
  bool open = false;  // without a bot's token
};

const DiscordApi::Route DiscordApi::kRoutes[] = {
    {"POST", "channels/*/messages", &DiscordApi::create_message},
    {"GET", "channels/*/messages", &DiscordApi::list_messages},
    {"GET", "channels/*/messages/pins", &DiscordApi::list_pins},
    {"PUT", "channels/*/messages/pins/*", &DiscordApi::set_pin},
    {"DELETE", "channels/*/messages/pins/*", &DiscordApi::set_pin},
    {"GET", "channels/*/pins", &DiscordApi::list_pins},
    {"PUT", "channels/*/pins/*", &DiscordApi::set_pin},
    {"DELETE", "channels/*/pins/*", &DiscordApi::set_pin},
    {"GET", "channels/*/messages/*", &DiscordApi::get_message},
    {"PATCH", "channels/*/messages/*", &DiscordApi::edit_message},
    {"DELETE", "channels/*/messages/*", &DiscordApi::delete_message},
    {"POST", "channels/*/messages/*/threads", &DiscordApi::thread_on_message},
    {"POST", "channels/*/threads", &DiscordApi::thread_alone},
    {"GET", "channels/*", &DiscordApi::get_channel},
    {"POST", "channels/*/typing", &DiscordApi::typing},
    {"GET", "users/@me", &DiscordApi::me},
    {"GET", "guilds/*", &DiscordApi::guild},
    {"GET", "guilds/*/channels", &DiscordApi::guild_channels},
    {"GET", "webhooks/*/*", &DiscordApi::get_webhook, true},
    {"POST", "webhooks/*/*", &DiscordApi::execute_webhook, true},
    {"GET", "webhooks/*/*/messages/*", &DiscordApi::webhook_message, true},
    {"PATCH", "webhooks/*/*/messages/*", &DiscordApi::webhook_message, true},
    {"DELETE", "webhooks/*/*/messages/*", &DiscordApi::webhook_message, true},
};

namespace {
bool matches(std::string_view pattern, const std::vector<std::string>& segments) {
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const std::size_t slash = pattern.find('/');
    const std::string_view want = pattern.substr(0, slash);
    if (pattern.empty() || (want != "*" && want != segments[i])) return false;
    pattern = slash == pattern.npos ? std::string_view{} : pattern.substr(slash + 1);
  }
  return pattern.empty() && !segments.empty();
}
}  // namespace

http::Outgoing DiscordApi::answer(DiscordCall& call, const Fault* fault, Now now) {
  if (!call.agent) return refusal(403, 40333, "internal network error");
  const Route* route = nullptr;
  bool known_path = false;
  for (const Route& each : kRoutes) {
    if (!matches(each.path, call.segments)) continue;
    known_path = true;
    if (each.method != call.method) continue;
    route = &each;
    break;
  }
  if (!route) {
    return known_path ? refusal(405, 0, "405: Method Not Allowed") : refusal(404, 0, "404: Not Found");
  }
  if (!route->open && (call.token.empty() || call.token.find("bad") != call.token.npos)) {
    return refusal(401, 0, "401: Unauthorized");
  }
  if (route->open && call.segments[2].find("bad") != std::string::npos) {
    return refusal(401, 50027, "Invalid Webhook Token");
  }

  const std::string bucket = fmt::format("{:016x}", hash_of(fmt::format("{} {}", route->method, route->path)));
  const std::string major = route->open ? call.segments[1] + "/" + call.segments[2] : call.channel;
  Standing standing;
  Out out;
  if (const Standing global = global_.take(route->open ? "webhooks" : call.token, now); !global.allowed) {
    return too_many(double(global.reset_after.count()) / 1000, "global");
  }
  standing = channel_.take(bucket + ":" + major, now);
  std::size_t size = 0;
  bool large = false;
  for (const auto& [name, file] : call.files) {
    size += file.body.size();
    large |= file.body.size() > kMaxFile;
  }
  if (!standing.allowed) {
    out = too_many(double(standing.reset_after.count()) / 1000, "user");
  } else if (fault) {
    out = faulty(*fault, standing);
  } else if (call.malformed) {
    out = refusal(400, 50109, "The request body contains invalid JSON.");
  } else if (large || size > kMaxRequest) {
    out = refusal(413, 40005, "Request entity too large");
  } else {
    out = (this->*route->act)(call, now);
  }
  tell_bucket(out, standing, bucket, now);
  return out;
}

json::object DiscordApi::author(const DiscordCall& call) const {
  // A bot's token begins with its id in base64; any other token makes an id of its own.
  std::string encoded = call.token.substr(0, call.token.find('.'));
  encoded.append((4 - encoded.size() % 4) % 4, '=');
  const auto named = parse_id(from_base64(encoded).value_or(""));
  const std::uint64_t id = named ? *named : 900'000'000'000'000'000u + hash_of(call.token) % 90'000'000'000'000'000u;
  return {{"id", std::to_string(id)}, {"username", "detent"}, {"discriminator", "0000"}, {"global_name", nullptr},
          {"avatar", nullptr},        {"bot", true},          {"public_flags", 0}};
}

void DiscordApi::clear() {
  nonces_.clear();
  channel_.clear();
  global_.clear();
  old_edits_.clear();
}

}  // namespace detent::sandbox
