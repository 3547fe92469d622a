#include "sandbox/telegram_api.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"
#include "sandbox/telegram_answers.h"

namespace detent::sandbox {

namespace {
using Out = http::Outgoing;
constexpr std::size_t kMaxText = 4096, kMaxCaption = 1024, kMaxFile = 50 << 20;
constexpr Millis kLongestPoll = std::chrono::seconds(50);
constexpr Millis kDeletable = std::chrono::hours(48);
constexpr std::string_view kNotModified =
    "message is not modified: specified new message content and reply markup are exactly the same as a current "
    "content and reply markup of the message";

Out bad(std::string_view what, json::object parameters = {}) {
  return telegram_refusal(400, fmt::format("Bad Request: {}", what), std::move(parameters));
}

Out faulty(const Fault& fault) {
  switch (fault.status) {
    case 401:
      return telegram_refusal(401, "Unauthorized");
    case 403:
      return telegram_refusal(403, "Forbidden: bot was blocked by the user");
    case 404:
      return telegram_refusal(404, "Not Found");
    case 429:
      return telegram_flood(fault.retry_after);
    case 500:
      return telegram_refusal(500, "Internal Server Error");
    default:
      return telegram_refusal(fault.status, fault.status == 502 ? "Bad Gateway" : "Service Unavailable");
  }
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? char(c + 32) : c;
  return out;
}
}  // namespace

struct TelegramApi::Method {
  std::string_view name;  // in lower case
  Out (TelegramApi::*act)(TelegramCall&, Now);
};

const TelegramApi::Method TelegramApi::kMethods[] = {
    {"getme", &TelegramApi::get_me},
    {"sendmessage", &TelegramApi::send_message},
    {"senddocument", &TelegramApi::send_document},
    {"editmessagetext", &TelegramApi::edit_text},
    {"editmessagereplymarkup", &TelegramApi::edit_markup},
    {"deletemessage", &TelegramApi::delete_message},
    {"answercallbackquery", &TelegramApi::answer_callback},
    {"setwebhook", &TelegramApi::set_webhook},
    {"deletewebhook", &TelegramApi::delete_webhook},
    {"getwebhookinfo", &TelegramApi::webhook_info},
    {"setmycommands", &TelegramApi::set_commands},
    {"getmycommands", &TelegramApi::get_commands},
    {"setmessagereaction", &TelegramApi::set_reaction},
    {"pinchatmessage", &TelegramApi::pin},
    {"unpinchatmessage", &TelegramApi::pin},
    {"sendchataction", &TelegramApi::chat_action},
    {"getchat", &TelegramApi::get_chat},
    {"getfile", &TelegramApi::get_file},
};

std::optional<Out> TelegramApi::answer(TelegramCall& call, const Fault* fault, Now now) {
  if (call.token.find("bad") != call.token.npos) return telegram_refusal(401, "Unauthorized");
  if (call.token.empty()) return telegram_refusal(404, "Not Found");
  if (fault) return faulty(*fault);
  if (call.malformed) return bad("can't parse JSON object");
  const std::string name = lower(call.method);
  if (name == "getupdates") return updates(call, waits(call) == Millis(0));
  for (const Method& method : kMethods) {
    if (method.name == name) return (this->*method.act)(call, now);
  }
  return telegram_refusal(404, "Not Found: method not found");
}

Millis TelegramApi::waits(const TelegramCall& call) {
  const Millis asked =
      std::chrono::seconds(std::clamp<std::int64_t>(whole_of(call.fields, "timeout").value_or(0), 0, 50));
  return std::min(asked, kLongestPoll);
}

Out TelegramApi::conflict() {
  return telegram_refusal(
      409, "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running");
}

std::optional<Out> TelegramApi::updates(const TelegramCall& call, bool last_chance) {
  Telegram::Bot& bot = telegram_.bot(call.token);
  if (!bot.webhook.empty()) {
    return telegram_refusal(409,
                            "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to "
                            "delete the webhook first");
  }
  if (auto allowed = json_field(call.fields, "allowed_updates"); allowed && *allowed) bot.allowed_updates = **allowed;
  const std::int64_t offset = whole_of(call.fields, "offset").value_or(0);
  const auto limit = std::size_t(std::clamp<std::int64_t>(whole_of(call.fields, "limit").value_or(100), 1, 100));
  if (offset > 0) {
    while (!bot.updates.empty() && *whole_of(bot.updates.front(), "update_id") < offset) bot.updates.pop_front();
  } else if (offset < 0) {
    while (bot.updates.size() > std::size_t(-offset)) bot.updates.pop_front();
  }
  if (bot.updates.empty() && !last_chance) return std::nullopt;
  json::array page;
  for (std::size_t i = 0; i < std::min(limit, bot.updates.size()); ++i) page.push_back(bot.updates[i]);
  return telegram_ok(std::move(page));
}

/// The chat, and the message where one is named; or what to answer in their place.
struct TelegramApi::Target {
  Telegram::Chat* chat = nullptr;
  Telegram::Message* message = nullptr;
  std::optional<Out> refused;
};

TelegramApi::Target TelegramApi::target(TelegramCall& call, bool sends, bool with_message, Now now) {
  if (call.chat.empty()) return {.refused = bad("chat_id is empty")};
  const auto id = parse_whole(call.chat);
  if (!id || *id == 0) return {.refused = bad("chat not found")};
  Target found{.chat = &telegram_.chat(*id)};
  if (found.chat->migrated_to) {
    return {.refused =
                bad("group chat was upgraded to a supergroup chat", {{"migrate_to_chat_id", found.chat->migrated_to}})};
  }
  if (sends) {
    const Standing standing = chats_.take(call.chat, now);
    if (!standing.allowed) return {.refused = telegram_flood(double(standing.reset_after.count()) / 1000)};
  }
  if (with_message) {
    const auto number = whole_of(call.fields, "message_id");
    if (!number) return {.refused = bad("message identifier is not specified")};
    found.message = telegram_.find(*found.chat, *number);
  }
  return found;
}

Out TelegramApi::get_me(TelegramCall& call, Now) {
  json::object me = telegram_.user(call.token);
  for (const std::string_view key : {"can_join_groups", "supports_inline_queries", "can_connect_to_business",
                                     "has_main_web_app", "can_read_all_group_messages"}) {
    me[key] = false;
  }
  return telegram_ok(std::move(me));
}

namespace {
/// Adds what sending methods share: the message replied to, the topic, the buttons. An Error's text follows "Bad
/// Request: ".
Result<> add_common(const TelegramCall& call, Telegram& telegram, Telegram::Chat& chat, json::object& content) {
  auto markup = markup_field(call.fields);
  if (!markup) return markup.error();
  if (!markup->is_null()) content["reply_markup"] = *markup;
  if (const auto topic = whole_of(call.fields, "message_thread_id")) content["message_thread_id"] = *topic;
  auto reply = json_field(call.fields, "reply_parameters");
  if (!reply) return reply.error();
  json::object parameters;
  if (*reply && (*reply)->is_object()) parameters = (*reply)->get_object();
  if (const auto older = whole_of(call.fields, "reply_to_message_id")) parameters["message_id"] = *older;
  const auto number = whole_of(parameters, "message_id");
  if (!number) return {};
  const Telegram::Message* answered = telegram.find(chat, *number);
  if (answered) {
    json::object quoted = answered->object;
    quoted.erase("reply_to_message");
    content["reply_to_message"] = std::move(quoted);
  } else if (!flag_of(parameters, "allow_sending_without_reply") &&
             !flag_of(call.fields, "allow_sending_without_reply")) {
    return Error{"message to be replied not found"};
  }
  return {};
}
}  // namespace

Out TelegramApi::send_message(TelegramCall& call, Now now) {
  Target to = target(call, true, false, now);
  if (to.refused) return *to.refused;
  if (text_of(call.fields, "text").empty()) return bad("message text is empty");
  auto formatted = text_field(call.fields, "text", "entities");
  if (!formatted) return bad(formatted.error().what);
  if (formatted->text.empty()) return bad("text must be non-empty");
  if (code_points(formatted->text) > kMaxText) return bad("message is too long");
  json::object content{{"text", formatted->text}};
  if (!formatted->entities.empty()) content["entities"] = formatted->entities;
  if (auto preview = json_field(call.fields, "link_preview_options"); preview && *preview) {
    content["link_preview_options"] = **preview;
  }
  if (auto added = add_common(call, telegram_, *to.chat, content); !added) return bad(added.error().what);
  return telegram_ok(
      telegram_.post(*to.chat, call.token, std::move(content), flag_of(call.fields, "disable_notification"), now)
          .object);
}

Out TelegramApi::send_document(TelegramCall& call, Now now) {
  Target to = target(call, true, false, now);
  if (to.refused) return *to.refused;
  std::string field = "document", id;
  if (const std::string named = text_of(call.fields, "document"); named.starts_with("attach://")) {
    field = named.substr(9);
  } else {
    id = named;
  }
  const auto uploaded = call.files.find(field);
  if (uploaded != call.files.end()) {
    if (uploaded->second.body.size() > kMaxFile) return telegram_refusal(413, "Request Entity Too Large");
    if (uploaded->second.body.empty()) return bad("file must be non-empty");
  } else if (id.empty()) {
    return bad("there is no document in the request");
  } else if (!telegram_.file(id)) {
    return bad("wrong file identifier/HTTP URL specified");
  }
  auto caption = text_field(call.fields, "caption", "caption_entities");
  if (!caption) return bad(caption.error().what);
  if (code_points(caption->text) > kMaxCaption) return bad("message caption is too long");
  json::object content;
  if (auto added = add_common(call, telegram_, *to.chat, content); !added) return bad(added.error().what);
  if (uploaded != call.files.end()) id = telegram_.keep_file(std::move(uploaded->second));
  const Attachment& file = *telegram_.file(id);
  json::object document{{"file_id", id},
                        {"file_unique_id", "unique-" + id},
                        {"file_name", file.filename},
                        {"file_size", file.body.size()}};
  if (!file.content_type.empty()) document["mime_type"] = file.content_type;
  content["document"] = std::move(document);
  if (!caption->text.empty()) content["caption"] = caption->text;
  if (!caption->entities.empty()) content["caption_entities"] = caption->entities;
  return telegram_ok(
      telegram_.post(*to.chat, call.token, std::move(content), flag_of(call.fields, "disable_notification"), now)
          .object);
}

namespace {
/// Whether this bot may edit the message, and if not, what to say.
std::optional<Out> refuse_edit(const Telegram::Message* message, const std::string& token) {
  if (!message) return bad("message to edit not found");
  if (message->bot != token) return bad("message can't be edited");
  return std::nullopt;
}

void set_or_erase(json::object& object, std::string_view key, json::value value) {
  const bool none = value.is_null() || (value.is_array() && value.get_array().empty());
  none ? object.erase(key), void() : void(object[key] = std::move(value));
}
}  // namespace

Out TelegramApi::edited(const Target& at, json::object after, Now now) {
  if (after == at.message->object) return bad(kNotModified);
  after["edit_date"] = now.wall.count() / 1000;
  at.message->object = std::move(after);
  telegram_.changed(*at.chat, *at.message);
  return telegram_ok(at.message->object);
}

Out TelegramApi::edit_text(TelegramCall& call, Now now) {
  Target at = target(call, true, true, now);
  if (at.refused) return *at.refused;
  if (text_of(call.fields, "text").empty()) return bad("message text is empty");
  auto formatted = text_field(call.fields, "text", "entities");
  if (!formatted) return bad(formatted.error().what);
  if (formatted->text.empty()) return bad("text must be non-empty");
  if (code_points(formatted->text) > kMaxText) return bad("message is too long");
  auto markup = markup_field(call.fields);
  if (!markup) return bad(markup.error().what);
  if (auto refused = refuse_edit(at.message, call.token)) return *refused;
  if (!at.message->object.contains("text")) return bad("there is no text in the message to edit");
  json::object after = at.message->object;
  after["text"] = formatted->text;
  set_or_erase(after, "entities", formatted->entities);
  set_or_erase(after, "reply_markup", *markup);
  return edited(at, std::move(after), now);
}

Out TelegramApi::edit_markup(TelegramCall& call, Now now) {
  Target at = target(call, true, true, now);
  if (at.refused) return *at.refused;
  auto markup = markup_field(call.fields);
  if (!markup) return bad(markup.error().what);
  if (auto refused = refuse_edit(at.message, call.token)) return *refused;
  json::object after = at.message->object;
  set_or_erase(after, "reply_markup", *markup);
  return edited(at, std::move(after), now);
}

Out TelegramApi::delete_message(TelegramCall& call, Now now) {
  Target at = target(call, false, true, now);
  if (at.refused) return *at.refused;
  if (!at.message) return bad("message to delete not found");
  if (now.wall - at.message->made >= kDeletable) return bad("message can't be deleted for everyone");
  telegram_.remove(*at.chat, *whole_of(call.fields, "message_id"));
  return telegram_ok(true);
}

Out TelegramApi::answer_callback(TelegramCall& call, Now) {
  const std::string text = text_of(call.fields, "text");
  if (code_points(text) > 200) return bad("MESSAGE_TOO_LONG");
  if (!telegram_.answer_query(call.token, text_of(call.fields, "callback_query_id"), text,
                              flag_of(call.fields, "show_alert"))) {
    return bad("query is too old and response timeout expired or query ID is invalid");
  }
  return telegram_ok(true);
}

Out TelegramApi::set_reaction(TelegramCall& call, Now now) {
  static constexpr std::string_view kAllowed[] = {
      "👍",           "👎", "❤",          "🔥",          "🥰", "👏",          "😁",    "🤔", "🤯", "😱",    "🤬",
      "😢",           "🎉", "🤩",       "🤮",       "💩",    "🙏",          "👌",    "🕊", "🤡", "🥱", "🥴",
      "😍",           "🐳", "❤‍🔥", "🌚",          "🌭", "💯",          "🤣", "⚡",    "🍌",    "🏆",    "💔",
      "🤨",        "😐", "🍓",          "🍾",       "💋",    "🖕",       "😈",    "😴",    "😭",    "🤓", "👻",
      "👨‍💻", "👀", "🎃",          "🙈",          "😇",    "😨",          "🤝", "✍",    "🤗", "🫡", "🎅",
      "🎄",           "☃", "💅",          "🤪",       "🗿",    "🆒",          "💘",    "🙉",    "🦄", "😘",    "💊",
      "🙊",           "😎", "👾",          "🤷‍♂", "🤷", "🤷‍♀", "😡"};
  Target at = target(call, false, true, now);
  if (at.refused) return *at.refused;
  if (!at.message) return bad("message to react not found");
  auto wanted = json_field(call.fields, "reaction");
  if (!wanted) return bad("can't parse reaction types JSON object");
  std::string emoji;
  if (*wanted) {
    if (!(*wanted)->is_array()) return bad("can't parse reaction types: expected an Array");
    const json::array& list = (*wanted)->get_array();
    if (list.size() > 1) return bad("REACTIONS_TOO_MANY");
    if (!list.empty()) {
      if (!list[0].is_object()) return bad("can't parse reaction types: expected an Object");
      emoji = text_of(list[0].get_object(), "emoji");
      if (std::find(std::begin(kAllowed), std::end(kAllowed), emoji) == std::end(kAllowed))
        return bad("REACTION_INVALID");
    }
  }
  at.message->reaction = emoji;
  telegram_.changed(*at.chat, *at.message);
  return telegram_ok(true);
}

Out TelegramApi::pin(TelegramCall& call, Now now) {
  Target at = target(call, false, true, now);
  if (at.refused) return *at.refused;
  const bool pinned = lower(call.method) == "pinchatmessage";
  if (!at.message) return bad(pinned ? "message to pin not found" : "message to unpin not found");
  at.message->pinned = pinned;
  telegram_.changed(*at.chat, *at.message);
  return telegram_ok(true);
}

Out TelegramApi::chat_action(TelegramCall& call, Now now) {
  static constexpr std::string_view kActions[] = {
      "typing",          "upload_photo",   "record_video",  "upload_video",      "record_voice",     "upload_voice",
      "upload_document", "choose_sticker", "find_location", "record_video_note", "upload_video_note"};
  Target at = target(call, false, false, now);
  if (at.refused) return *at.refused;
  const std::string action = text_of(call.fields, "action");
  if (std::find(std::begin(kActions), std::end(kActions), action) == std::end(kActions)) {
    return bad("wrong parameter action in request");
  }
  return telegram_ok(true);
}

Out TelegramApi::get_chat(TelegramCall& call, Now now) {
  Target at = target(call, false, false, now);
  if (at.refused) return *at.refused;
  json::object chat = Telegram::describe(at.chat->id);
  chat["accent_color_id"] = 0;
  chat["max_reaction_count"] = 11;
  for (auto message = at.chat->messages.rbegin(); message != at.chat->messages.rend(); ++message) {
    if (!message->second.pinned) continue;
    chat["pinned_message"] = message->second.object;
    break;
  }
  return telegram_ok(std::move(chat));
}

}  // namespace detent::sandbox
