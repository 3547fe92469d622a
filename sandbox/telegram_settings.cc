#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"
#include "sandbox/telegram_answers.h"

// What a bot keeps at the service: its webhook, its commands, its files.
namespace detent::sandbox {

namespace {
http::Outgoing bad(std::string_view what) { return telegram_refusal(400, fmt::format("Bad Request: {}", what)); }

bool command_name(std::string_view name) {
  return !name.empty() && name.size() <= 32 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}
}  // namespace

http::Outgoing TelegramApi::set_webhook(TelegramCall& call, Now) {
  const std::string url = text_of(call.fields, "url");
  if (!url.empty() && !url.starts_with("https://"))
    return bad("bad webhook: An HTTPS URL must be provided for webhook");
  const std::string secret = text_of(call.fields, "secret_token");
  const bool clean = std::all_of(secret.begin(), secret.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  if (!clean) return bad("secret token contains unallowed characters");
  if (secret.size() > 256) return bad("secret token is too long");
  Telegram::Bot& bot = telegram_.bot(call.token);
  bot.webhook = url;
  if (flag_of(call.fields, "drop_pending_updates")) bot.updates.clear();
  http::Outgoing out = telegram_ok(true);
  out.body = json::serialize(json::object{
      {"ok", true}, {"result", true}, {"description", url.empty() ? "Webhook is already deleted" : "Webhook was set"}});
  return out;
}

http::Outgoing TelegramApi::delete_webhook(TelegramCall& call, Now) {
  Telegram::Bot& bot = telegram_.bot(call.token);
  const bool was = !bot.webhook.empty();
  bot.webhook.clear();
  if (flag_of(call.fields, "drop_pending_updates")) bot.updates.clear();
  http::Outgoing out = telegram_ok(true);
  out.body = json::serialize(json::object{
      {"ok", true}, {"result", true}, {"description", was ? "Webhook was deleted" : "Webhook is already deleted"}});
  return out;
}

http::Outgoing TelegramApi::webhook_info(TelegramCall& call, Now) {
  const Telegram::Bot& bot = telegram_.bot(call.token);
  return telegram_ok(json::object{
      {"url", bot.webhook}, {"has_custom_certificate", false}, {"pending_update_count", bot.updates.size()}});
}

http::Outgoing TelegramApi::set_commands(TelegramCall& call, Now) {
  auto given = json_field(call.fields, "commands");
  if (!given || !*given || !(*given)->is_array()) return bad("can't parse commands JSON object");
  const json::array& commands = (*given)->get_array();
  if (commands.size() > 100) return bad("BOT_COMMANDS_TOO_MUCH");
  for (const json::value& each : commands) {
    if (!each.is_object()) return bad("can't parse BotCommand: expected an Object");
    const std::size_t length = code_points(text_of(each.get_object(), "description"));
    if (!command_name(text_of(each.get_object(), "command"))) return bad("BOT_COMMAND_INVALID");
    if (length < 1 || length > 256) return bad("BOT_COMMAND_DESCRIPTION_INVALID");
  }
  telegram_.bot(call.token).commands = commands;
  return telegram_ok(true);
}

http::Outgoing TelegramApi::get_commands(TelegramCall& call, Now) {
  return telegram_ok(telegram_.bot(call.token).commands);
}

http::Outgoing TelegramApi::get_file(TelegramCall& call, Now) {
  const std::string id = text_of(call.fields, "file_id");
  const Attachment* file = telegram_.file(id);
  if (!file) return bad("invalid file_id");
  return telegram_ok(json::object{{"file_id", id},
                                  {"file_unique_id", "unique-" + id},
                                  {"file_size", file->body.size()},
                                  {"file_path", "documents/" + id}});
}

}  // namespace detent::sandbox
