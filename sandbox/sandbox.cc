#include "sandbox/sandbox.h"

#include <spdlog/spdlog.h>

#include <cmath>
#include <map>
#include <utility>

#include "http/browser.h"
#include "http/server.h"
#include "sandbox/control.h"
#include "sandbox/digitalocean_api.h"
#include "sandbox/page.h"
#include "sandbox/record.h"
#include "sandbox/telegram_api.h"

namespace detent::sandbox {

namespace {
constexpr std::size_t kMaxBody = 52 << 20;  // a document of Telegram's largest size, and its multipart

http::ServerOptions server_options(const std::string& listen) {
  return {.listen = listen, .max_body = kMaxBody, .max_connections = 1024};
}

/// The rest of `path` behind `prefix`, or nothing.
std::optional<std::string_view> behind(std::string_view path, std::string_view prefix) {
  return path.starts_with(prefix) ? std::optional(path.substr(prefix.size())) : std::nullopt;
}

http::Outgoing download(const Attachment* file) {
  if (!file) return {.status = 404, .body = "no such file\n", .content_type = "text/plain"};
  return {.status = 200,
          .body = file->body,
          .content_type = "application/octet-stream",
          .headers = {{"Content-Disposition", "attachment"}, {"X-Content-Type-Options", "nosniff"}}};
}

/// The path with a webhook's token replaced, for the record.
std::string without_token(const DiscordCall& call) {
  std::string path = call.path;
  if (call.segments.size() > 2 && call.segments[0] == "webhooks") {
    path = "/webhooks/" + call.segments[1] + "/TOKEN";
    for (std::size_t i = 3; i < call.segments.size(); ++i) path += "/" + call.segments[i];
  }
  return path;
}

std::string query_of(const std::string& target) {
  const std::size_t mark = target.find('?');
  return mark == target.npos ? std::string{} : target.substr(mark);
}
}  // namespace

class Sandbox::Town {
 public:
  explicit Town(SandboxOptions options)
      : record_(options.record),
        discord_api_(discord_, options.discord),
        telegram_api_(telegram_, options.telegram),
        server_(server_options(options.listen),
                [this](http::Incoming in, http::Reply reply) { serve(std::move(in), std::move(reply)); }) {}

  std::string url() const { return server_.url(); }

 private:
  void serve(http::Incoming in, http::Reply reply);
  void serve_discord(http::Incoming in, std::string_view path, http::Reply reply);
  void serve_telegram(http::Incoming in, std::string_view rest, http::Reply reply);
  void serve_digitalocean(http::Incoming in, std::string_view path, http::Reply reply);
  void serve_control(const http::Incoming& in, std::string_view path, http::Reply reply);
  void listen_to_events(http::Reply reply);
  void wait_for_updates(TelegramCall call, http::Reply reply);
  void wake(const std::string& token);
  void tell(const json::object& change);
  void finish(http::Outgoing out, const std::optional<Fault>& fault, http::Reply reply);

  /// A fault before the service does anything: true where it was met.
  static bool refused_at_the_door(const std::optional<Fault>& fault, const http::Reply& reply) {
    if (!fault) return false;
    if (fault->kind == Fault::Kind::Reset) return reply.reset(), true;
    if (fault->kind == Fault::Kind::Timeout) return reply.hold(), true;
    return false;
  }

  struct Poll {
    http::Reply reply;
    TelegramCall call;
    std::uint64_t number;
  };

  Record record_;
  Faults faults_;
  std::map<std::uint64_t, http::Reply> listeners_;
  std::map<std::string, Poll> polls_;
  std::uint64_t next_ = 1;
  Discord discord_{[this](json::object change) { tell(change); }};
  Telegram telegram_{[this](json::object change) { tell(change); },
                     [this](const std::string& token) { server_.post([this, token] { wake(token); }); }};
  DiscordApi discord_api_;
  TelegramApi telegram_api_;
  DigitalOcean ocean_;
  DigitalOceanApi ocean_api_{ocean_};
  http::Server server_;  // last: it stops before what it serves goes
};

void Sandbox::Town::serve(http::Incoming in, http::Reply reply) {
  const std::string path = in.path;
  // On loopback it may be reached through the operator's browser; in a network of containers it has names that only
  // that network knows.
  const auto own_name = in.loopback ? std::optional<std::string_view>("") : std::nullopt;
  if (const auto why = http::from_foreign_page(in, own_name); why && path != "/") {
    return reply.send({.status = 403, .body = *why + "\n", .content_type = "text/plain"});
  }
  for (const std::string_view base : {"/discord/api/v10", "/discord/api/v9"}) {
    if (const auto rest = behind(path, base); rest && rest->starts_with("/")) {
      return serve_discord(std::move(in), *rest, std::move(reply));
    }
  }
  if (const auto rest = behind(path, "/telegram/bot")) return serve_telegram(std::move(in), *rest, std::move(reply));
  if (const auto rest = behind(path, "/digitalocean"); rest && rest->starts_with("/v2/")) {
    return serve_digitalocean(std::move(in), *rest, std::move(reply));
  }
  if (const auto rest = behind(path, "/control/")) return serve_control(in, *rest, std::move(reply));
  if (behind(path, "/discord/attachments/")) {
    const std::size_t name = path.rfind('/'), id = path.rfind('/', name - 1);
    return reply.send(download(discord_.attachment(parse_id(path.substr(id + 1, name - id - 1)).value_or(0))));
  }
  if (behind(path, "/telegram/file/bot")) {
    return reply.send(download(telegram_.file(path.substr(path.rfind('/') + 1))));
  }
  if (path == "/") {
    return reply.send({.status = 200,
                       .body = std::string(page()),
                       .content_type = "text/html; charset=utf-8",
                       .headers = {{"Cache-Control", "no-store"}, {"X-Content-Type-Options", "nosniff"}}});
  }
  if (path == "/healthz") return reply.send({.body = "ok\n", .content_type = "text/plain"});
  reply.send(
      {.status = 404, .body = "nothing is served here; see / and sandbox/README.md\n", .content_type = "text/plain"});
}

void Sandbox::Town::serve_discord(http::Incoming in, std::string_view path, http::Reply reply) {
  const Now now = system_now();
  if (const std::string_view host = in.header("Host"); !host.empty()) discord_.base = "http://" + std::string(host);
  DiscordCall call = parse_discord_call(in, path);
  std::string parent;
  if (const auto id = parse_id(call.channel)) {
    const auto known = discord_.channels().find(*id);
    if (known != discord_.channels().end()) parent = known->second.parent;
  }
  const std::optional<Fault> fault = faults_.meet("discord", call.channel, parent, call.method);
  Recorded asked{.service = "discord",
                 .method = call.method,
                 .path = without_token(call) + query_of(in.target),
                 .headers = std::move(in.headers),
                 .body = call.has_body && !call.malformed ? json::value(call.body) : json::value(),
                 .fault = fault ? fault->name : ""};
  if (refused_at_the_door(fault, reply)) return record_.add(asked, now);
  http::Outgoing out = discord_api_.answer(call, fault && fault->kind == Fault::Kind::Status ? &*fault : nullptr, now);
  asked.status = out.status;
  record_.add(asked, now);
  finish(std::move(out), fault, std::move(reply));
}

void Sandbox::Town::serve_telegram(http::Incoming in, std::string_view rest, http::Reply reply) {
  const Now now = system_now();
  const std::size_t slash = rest.find('/');
  if (slash == rest.npos)
    return reply.send({.status = 404, .body = R"({"ok":false,"error_code":404,"description":"Not Found"})"});
  std::string_view method = rest.substr(slash + 1);
  if (const auto test = behind(method, "test/")) method = *test;
  TelegramCall call = parse_telegram_call(in, std::string(rest.substr(0, slash)), std::string(method));
  const std::optional<Fault> fault = faults_.meet("telegram", call.chat, "", call.method);
  json::value fields;
  if (!call.fields.empty() || !call.files.empty()) {
    fields = call.fields;
    for (const auto& [name, file] : call.files) fields.as_object()[name] = "attach://" + file.filename;
  }
  Recorded asked{.service = "telegram",
                 .method = in.method,
                 .path = "/" + call.method,
                 .headers = std::move(in.headers),
                 .body = std::move(fields),
                 .fault = fault ? fault->name : ""};
  if (refused_at_the_door(fault, reply)) return record_.add(asked, now);
  const bool polls = http::same_name(call.method, "getUpdates");
  if (polls) {
    if (const auto before = polls_.find(call.token); before != polls_.end()) {
      before->second.reply.send(TelegramApi::conflict());
      polls_.erase(before);
    }
  }
  auto out = telegram_api_.answer(call, fault && fault->kind == Fault::Kind::Status ? &*fault : nullptr, now);
  asked.status = out ? out->status : 200;
  record_.add(asked, now);
  if (out) return finish(std::move(*out), fault, std::move(reply));
  wait_for_updates(std::move(call), std::move(reply));
}

void Sandbox::Town::serve_digitalocean(http::Incoming in, std::string_view path, http::Reply reply) {
  const Now now = system_now();
  const DigitalOceanCall call = parse_digitalocean_call(in, path);
  const std::string_view about = call.segments.empty() ? std::string_view() : std::string_view(call.segments[0]);
  const std::optional<Fault> fault = faults_.meet("digitalocean", about, "", call.method);
  Recorded asked{.service = "digitalocean",
                 .method = call.method,
                 .path = call.path + query_of(in.target),
                 .headers = std::move(in.headers),
                 .body = call.malformed ? json::value() : call.body,
                 .fault = fault ? fault->name : ""};
  if (refused_at_the_door(fault, reply)) return record_.add(asked, now);
  http::Outgoing out = ocean_api_.answer(call, fault && fault->kind == Fault::Kind::Status ? &*fault : nullptr, now);
  asked.status = out.status;
  record_.add(asked, now);
  finish(std::move(out), fault, std::move(reply));
}

void Sandbox::Town::wait_for_updates(TelegramCall call, http::Reply reply) {
  const std::uint64_t number = next_++;
  const std::string token = call.token;
  const Millis longest = TelegramApi::waits(call);
  const auto take = [this, token, number]() -> std::optional<Poll> {
    const auto found = polls_.find(token);
    if (found == polls_.end() || found->second.number != number) return std::nullopt;
    Poll poll = std::move(found->second);
    polls_.erase(found);
    return poll;
  };
  reply.on_gone([take] { take(); });
  polls_[token] = {std::move(reply), std::move(call), number};
  server_.after(longest, [this, take] {
    if (auto poll = take()) poll->reply.send(*telegram_api_.updates(poll->call, true));
  });
}

void Sandbox::Town::wake(const std::string& token) {
  const auto found = polls_.find(token);
  if (found == polls_.end()) return;
  auto out = telegram_api_.updates(found->second.call, false);
  if (!out) return;
  const http::Reply reply = found->second.reply;
  polls_.erase(found);
  reply.send(std::move(*out));
}

void Sandbox::Town::finish(http::Outgoing out, const std::optional<Fault>& fault, http::Reply reply) {
  if (fault && fault->kind == Fault::Kind::AcceptThenReset) return reply.reset();
  if (fault && fault->kind == Fault::Kind::AcceptThenTimeout) return reply.hold();
  if (fault && fault->kind == Fault::Kind::Slow) {
    server_.after(Millis(std::llround(fault->seconds * 1000)),
                  [reply, out = std::move(out)]() mutable { reply.send(std::move(out)); });
    return;
  }
  reply.send(std::move(out));
}

void Sandbox::Town::serve_control(const http::Incoming& in, std::string_view path, http::Reply reply) {
  if (path == "events" && in.method == "GET") return listen_to_events(std::move(reply));
  if (path == "reset" && in.method == "POST") {
    discord_.clear();
    telegram_.clear();
    discord_api_.clear();
    telegram_api_.clear();
    ocean_.clear();
    ocean_api_.clear();
    faults_.clear();
    tell({{"type", "reset"}});
    return reply.send({.body = R"({"ok":true})"});
  }
  Control control{discord_, discord_api_, telegram_, ocean_, faults_};
  reply.send(control.answer(in, path, system_now()));
}

/// Server-sent events, each a change as JSON.
void Sandbox::Town::listen_to_events(http::Reply reply) {
  const std::uint64_t number = next_++;
  reply.begin({.status = 200,
               .body = "retry: 1000\n\n",
               .content_type = "text/event-stream",
               .headers = {{"Cache-Control", "no-store"}}});
  reply.on_gone([this, number] { listeners_.erase(number); });
  listeners_[number] = std::move(reply);
}

void Sandbox::Town::tell(const json::object& change) {
  if (listeners_.empty()) return;
  const std::string event = "data: " + json::serialize(change) + "\n\n";
  std::erase_if(listeners_, [&](const auto& listener) { return !listener.second.write(event); });
}

Sandbox::Sandbox(SandboxOptions options) : town_(std::make_unique<Town>(std::move(options))) {}
Sandbox::~Sandbox() = default;
std::string Sandbox::url() const { return town_->url(); }

}  // namespace detent::sandbox
