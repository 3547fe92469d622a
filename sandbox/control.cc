#include "sandbox/control.h"

#include <fmt/format.h>

namespace detent::sandbox {

namespace {
http::Outgoing with(const json::value& body, int status = 200) {
  return {.status = status, .body = json::serialize(body)};
}
http::Outgoing wrong(std::string_view what) { return with(json::object{{"error", what}}, 400); }
http::Outgoing done() { return with(json::object{{"ok", true}}); }
}  // namespace

http::Outgoing Control::answer(const http::Incoming& in, std::string_view path, Now now) {
  if (in.method == "GET") {
    if (path == "messages") return messages(in);
    if (path == "faults") return with(faults.list());
    if (path == "digitalocean") return ocean.advance(now), with(ocean.snapshot());
    if (path == "state") {
      return with(json::object{{"discord", discord.snapshot()}, {"telegram", telegram.snapshot()}});
    }
  }
  if (in.method == "DELETE" && path == "faults") return faults.clear(), done();
  if (in.method != "POST") return with(json::object{{"error", "no such control"}}, 404);
  json::object body;
  if (!in.body.empty()) {
    boost::system::error_code failed;
    json::value parsed = json::parse(in.body, failed);
    if (failed || !parsed.is_object()) return wrong("the body is not a JSON object");
    body = std::move(parsed.get_object());
  }
  if (path == "faults") {
    const auto ordered = faults.order(body);
    return ordered ? done() : wrong(ordered.error().what);
  }
  if (path == "telegram/send") return send(body, now);
  if (path == "telegram/press") return press(body, now);
  if (path == "digitalocean") {
    const auto changed = ocean.settings.change(body);
    return changed ? done() : wrong(changed.error().what);
  }
  if (path == "migrate") return migrate(body);
  if (path == "permissions") return permissions(body);
  if (path == "name") return name(body);
  if (path == "nonces/forget") return discord_api.forget_nonces(), done();
  return with(json::object{{"error", "no such control"}}, 404);
}

http::Outgoing Control::messages(const http::Incoming& in) const {
  const std::string* service = in.parameter("service");
  const std::string* channel = in.parameter("channel");
  if (service && *service == "discord") {
    const auto id = channel ? parse_id(*channel) : std::nullopt;
    if (channel && !id) return wrong("channel: a channel id");
    return with(discord.messages(id));
  }
  if (service && *service == "telegram") {
    const auto id = channel ? parse_whole(*channel) : std::nullopt;
    if (channel && !id) return wrong("channel: a chat id");
    return with(telegram.messages(id));
  }
  return wrong("service: discord or telegram");
}

http::Outgoing Control::send(const json::object& body, Now now) {
  const std::string text = text_of(body, "text");
  if (text.empty()) return wrong("text: what the operator writes");
  const std::int64_t chat = whole_of(body, "chat_id").value_or(telegram.front_chat());
  if (chat == 0) return wrong("chat_id: not 0");
  return with(telegram.operator_sends(chat, text, whole_of(body, "reply_to").value_or(0), now));
}

http::Outgoing Control::press(const json::object& body, Now now) {
  const auto message = whole_of(body, "message_id");
  const json::value* data = member(body, "data");
  if (!message || !data || !data->is_string()) return wrong("message_id and data: which button is pressed");
  auto chat = whole_of(body, "chat_id");
  for (const auto& [id, each] : telegram.chats()) {
    if (!chat && each.messages.contains(*message)) chat = id;
  }
  const auto query =
      telegram.operator_presses(chat.value_or(telegram.front_chat()), *message, text_of(body, "data"), now);
  if (!query) return wrong(query.error().what);
  return with(json::object{{"ok", true}, {"callback_query_id", *query}});
}

http::Outgoing Control::migrate(const json::object& body) {
  const auto chat = whole_of(body, "chat"), to = whole_of(body, "to");
  if (!chat || !to || *chat == 0 || *to == 0) return wrong("chat and to: chat ids");
  telegram.migrate(*chat, *to);
  return done();
}

http::Outgoing Control::permissions(const json::object& body) {
  const auto channel = parse_id(text_of(body, "channel"));
  const json::value* deny = member(body, "deny");
  if (!channel || !deny || !deny->is_array()) return wrong("channel: an id; deny: a list of permission names");
  static const std::set<std::string> kKnown = {
      "VIEW_CHANNEL", "SEND_MESSAGES", "SEND_MESSAGES_IN_THREADS", "CREATE_PUBLIC_THREADS", "CREATE_PRIVATE_THREADS",
      "EMBED_LINKS",  "ATTACH_FILES",  "READ_MESSAGE_HISTORY",     "PIN_MESSAGES",          "MANAGE_MESSAGES"};
  std::set<std::string> denied;
  for (const json::value& each : deny->get_array()) {
    const std::string permission = each.is_string() ? std::string(each.get_string()) : std::string{};
    if (!kKnown.contains(permission)) return wrong("deny: unknown permission " + json::serialize(each));
    denied.insert(permission);
  }
  discord.deny(*channel, std::move(denied));
  return done();
}

http::Outgoing Control::name(const json::object& body) {
  const auto channel = parse_id(text_of(body, "channel"));
  const std::string name = text_of(body, "name");
  if (!channel || *channel == 0 || name.empty()) return wrong("channel: an id; name: how the page shows it");
  discord.rename(*channel, name);
  return done();
}

}  // namespace detent::sandbox
