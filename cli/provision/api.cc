#include "cli/provision/api.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/version.h"
#include "cli/text.h"
#include "http/url.h"

namespace detent::provision {

namespace json = boost::json;

namespace {

constexpr int kPageSize = 200;
constexpr int kMaxPages = 50;

/// What the service says went wrong: "HTTP 422: droplet name is invalid".
Error refusal(const std::string& what, const http::Response& response) {
  boost::system::error_code failed;
  const json::value body = json::parse(response.body, failed);
  const auto* object = failed ? nullptr : body.if_object();
  const auto* message = object ? object->if_contains("message") : nullptr;
  std::string why = message && message->is_string() ? ": " + plain(message->get_string()) : "";
  if (response.status == 401) why += "; is the token valid? ([digitalocean] token_file, or DO_API_TOKEN)";
  if (response.status == 403) why += "; the token lacks a scope (droplet, ssh_key, tag, actions)";
  return {fmt::format("DigitalOcean refused {}: HTTP {}{}", what, response.status, why), response.status};
}

Error unreachable(const std::string& what, const http::SendFailure& failure) {
  return {fmt::format("DigitalOcean did not answer {}: {}", what, failure.error.what), failure.error.code};
}

std::int64_t seconds_in(std::string_view header) {
  std::int64_t seconds = -1;
  std::from_chars(header.data(), header.data() + header.size(), seconds);
  return seconds;
}

/// How long a 429 asks to wait: only the burst's says retry-after; the other names the time when its oldest request
/// counts no more.
Millis pause_after(const http::Response& response, Now now, Millis longest) {
  std::int64_t seconds = seconds_in(response.header("retry-after"));
  if (seconds < 0) {
    const std::int64_t reset = seconds_in(response.header("ratelimit-reset"));
    seconds = reset < 0 ? 10 : reset - now.wall.count() / 1000;
  }
  return std::clamp(Millis(std::chrono::seconds(std::clamp<std::int64_t>(seconds, 1, 86'400))), Millis(1'000), longest);
}

}  // namespace

std::string Api::path_of(std::string_view path) const {
  const std::size_t host = options_.base.find("//");
  const std::size_t slash = options_.base.rfind('/');
  return (slash != std::string::npos && slash > host + 1 ? options_.base.substr(slash) : "") + std::string(path);
}

http::Answer Api::send(const std::string& method, const std::string& path, const json::value& body) {
  if (options_.told) options_.told(method + " " + path_of(path));
  http::Request request{.method = method, .url = options_.base + path};
  request.headers = {{"Authorization", "Bearer " + options_.token},
                     {"Accept", "application/json"},
                     {"User-Agent", std::string("detent/") + kVersion}};
  if (!body.is_null()) {
    request.headers.emplace_back("Content-Type", "application/json");
    request.body = json::serialize(body);
  }
  request.deadline = std::chrono::seconds(30);
  return client_.send(request);
}

Result<json::value> Api::read(const std::string& path) {
  const std::string what = "GET " + path_of(path);
  Error last;
  for (int attempt = 1; attempt <= options_.attempts; ++attempt) {
    const http::Answer answer = send("GET", path, nullptr);
    Millis pause = std::min(Millis(1'000 << std::min(attempt - 1, 5)), options_.longest_pause);
    if (answer && answer->status == 200) {
      boost::system::error_code failed;
      json::value body = json::parse(answer->body, failed);
      if (!failed && body.is_object()) return body;
      last = {"DigitalOcean's answer to " + what + " is no JSON object"};
    } else if (answer) {
      last = refusal(what, *answer);
      if (answer->status == 429) pause = pause_after(*answer, time_.now(), options_.longest_pause);
      if (answer->status < 500 && answer->status != 429) return last;
    } else {
      last = unreachable(what, answer.error());
      if (answer.error().malformed) return last;
    }
    if (attempt < options_.attempts) time_.pass(pause);
  }
  return last;
}

Result<json::array> Api::read_all(const std::string& path, std::string_view list) {
  json::array all;
  const char mark = path.find('?') == std::string::npos ? '?' : '&';
  for (int page = 1; page <= kMaxPages; ++page) {
    auto body = read(fmt::format("{}{}per_page={}&page={}", path, mark, kPageSize, page));
    if (!body) return body.error();
    const json::array& items = list_of(*body, list);
    all.insert(all.end(), items.begin(), items.end());
    boost::system::error_code none;
    if (!body->find_pointer("/links/pages/next", none)) return all;
  }
  return Error{fmt::format("DigitalOcean has over {} of {}: too many to look through", kMaxPages * kPageSize, list)};
}

boost::system::result<json::value, Unconfirmed> Api::change(const std::string& method, const std::string& path,
                                                            const json::value& body) {
  const std::string what = method + " " + path_of(path);
  for (int attempt = 1;; ++attempt) {
    const http::Answer answer = send(method, path, body);
    if (!answer) return Unconfirmed{unreachable(what, answer.error()), answer.error().sent == http::Sent::Maybe};
    if (answer->status == 429 && attempt < options_.attempts) {
      time_.pass(pause_after(*answer, time_.now(), options_.longest_pause));
      continue;
    }
    if (answer->status >= 300) return Unconfirmed{refusal(what, *answer), answer->status >= 500};
    if (answer->body.empty()) return json::value();
    boost::system::error_code failed;
    json::value parsed = json::parse(answer->body, failed);
    if (failed) return Unconfirmed{{"DigitalOcean's answer to " + what + " is no JSON"}, true};
    return parsed;
  }
}

namespace {

/// Each of `items` as a value.
template <class Value>
Result<std::vector<Value>> all_of(const Result<json::array>& items, Result<Value> (*from)(const json::value&)) {
  if (!items) return items.error();
  std::vector<Value> out;
  for (const json::value& item : *items) {
    auto one = from(item);
    if (!one) return one.error();
    out.push_back(std::move(*one));
  }
  return out;
}

json::value member(const json::value& in, std::string_view key) {
  const auto* object = in.if_object();
  const auto* found = object ? object->if_contains(key) : nullptr;
  return found ? *found : json::value();
}

}  // namespace

Result<std::string> Api::account_status() {
  const auto body = read("/account");
  if (!body) return body.error();
  return text_of(member(*body, "account"), "status");
}

Result<std::vector<AccountKey>> Api::keys() { return all_of(read_all("/account/keys", "ssh_keys"), key_from); }

boost::system::result<AccountKey, Unconfirmed> Api::add_key(const std::string& name, const std::string& public_key) {
  const auto made = change("POST", "/account/keys", json::object{{"name", name}, {"public_key", public_key}});
  if (!made) return made.error();
  auto key = key_from(member(*made, "ssh_key"));
  if (!key) return Unconfirmed{key.error(), true};
  return *key;
}

Result<std::vector<Droplet>> Api::droplets_named(std::string_view name) {
  return all_of(read_all("/droplets?name=" + http::percent_encode(name), "droplets"), droplet_from);
}

Result<std::vector<Droplet>> Api::droplets_tagged(std::string_view tag) {
  return all_of(read_all("/droplets?tag_name=" + http::percent_encode(tag), "droplets"), droplet_from);
}

Result<Droplet> Api::droplet(std::int64_t id) {
  const auto body = read("/droplets/" + std::to_string(id));
  return body ? droplet_from(member(*body, "droplet")) : Result<Droplet>(body.error());
}

Result<Action> Api::action(std::int64_t id) {
  const auto body = read("/actions/" + std::to_string(id));
  return body ? action_from(member(*body, "action")) : Result<Action>(body.error());
}

boost::system::result<Created, Unconfirmed> Api::create(const json::object& body) {
  const auto made = change("POST", "/droplets", body);
  if (!made) return made.error();
  const auto droplet = droplet_from(member(*made, "droplet"));
  if (!droplet) return Unconfirmed{droplet.error(), true};
  Created created{.droplet = *droplet};
  const json::value links = member(*made, "links");
  for (const json::value& action : list_of(links, "actions")) {
    const json::value id = member(action, "id");
    if (text_of(action, "rel") == "create" && id.is_int64()) created.action = id.get_int64();
  }
  return created;
}

boost::system::result<Action, Unconfirmed> Api::snapshot(std::int64_t droplet, const std::string& name) {
  const auto made =
      change("POST", fmt::format("/droplets/{}/actions", droplet), json::object{{"type", "snapshot"}, {"name", name}});
  if (!made) return made.error();
  auto action = action_from(member(*made, "action"));
  if (!action) return Unconfirmed{action.error(), true};
  return *action;
}

boost::system::result<void, Unconfirmed> Api::destroy(std::int64_t droplet) {
  const auto gone = change("DELETE", "/droplets/" + std::to_string(droplet), nullptr);
  if (!gone && gone.error().error.code != 404) return gone.error();
  return {};
}

}  // namespace detent::provision
