#include "sandbox/telegram_answers.h"

#include <fmt/format.h>

#include <cmath>

#include "http/multipart.h"
#include "http/url.h"
#include "sandbox/text.h"

namespace detent::sandbox {

TelegramCall parse_telegram_call(const http::Incoming& in, std::string token, std::string method) {
  TelegramCall call{.token = std::move(token), .method = std::move(method)};
  for (const auto& [key, value] : in.query) call.fields[key] = value;
  const std::string_view type = in.header("Content-Type");
  if (type.starts_with("application/json") && !in.body.empty()) {
    boost::system::error_code failed;
    json::value body = json::parse(in.body, failed);
    if (failed || !body.is_object()) {
      call.malformed = true;
    } else {
      for (auto& entry : body.get_object()) call.fields[entry.key()] = std::move(entry.value());
    }
  } else if (type.starts_with("multipart/form-data")) {
    auto parts = http::parse_multipart(type, in.body);
    call.malformed = !parts;
    for (std::size_t i = 0; parts && i < parts->size(); ++i) {
      http::Part& part = (*parts)[i];
      if (part.filename.empty()) {
        call.fields[part.name] = part.body;
      } else {
        call.files[part.name] = {
            .filename = part.filename, .content_type = part.content_type, .body = std::move(part.body)};
      }
    }
  } else {
    for (const auto& [key, value] : http::parse_query(in.body)) call.fields[key] = value;
  }
  call.chat = text_of(call.fields, "chat_id");
  return call;
}

http::Outgoing telegram_ok(json::value result) {
  return {.status = 200, .body = json::serialize(json::object{{"ok", true}, {"result", std::move(result)}})};
}

http::Outgoing telegram_refusal(int status, std::string_view description, json::object parameters) {
  json::object body{{"ok", false}, {"error_code", status}, {"description", description}};
  if (!parameters.empty()) body["parameters"] = std::move(parameters);
  return {.status = status, .body = json::serialize(body)};
}

http::Outgoing telegram_flood(double retry_after) {
  const auto seconds = std::max<std::int64_t>(1, std::int64_t(std::ceil(retry_after)));
  http::Outgoing out =
      telegram_refusal(429, fmt::format("Too Many Requests: retry after {}", seconds), {{"retry_after", seconds}});
  out.headers.emplace_back("Retry-After", std::to_string(seconds));
  return out;
}

Result<std::optional<json::value>> json_field(const json::object& fields, std::string_view key) {
  const json::value* value = member(fields, key);
  if (!value || (value->is_string() && value->get_string().empty())) return std::optional<json::value>();
  if (!value->is_string()) return std::optional(*value);
  boost::system::error_code failed;
  json::value parsed = json::parse(std::string_view(value->get_string()), failed);
  if (failed) return Error{fmt::format("can't parse {} JSON object", key)};
  return std::optional(std::move(parsed));
}

Result<Formatted> text_field(const json::object& fields, std::string_view key, std::string_view entities_key) {
  const std::string text = text_of(fields, key);
  if (text.size() > 32'768) return Error{"text is too long"};
  const std::string mode = text_of(fields, "parse_mode");
  if (mode.empty()) {
    const auto entities = json_field(fields, entities_key);
    if (!entities) return Error{"can't parse entities: " + entities.error().what};
    if (*entities) {
      if (!(*entities)->is_array()) return Error{"can't parse entities: expected an Array"};
      return with_entities(text, (*entities)->get_array());
    }
  }
  return parse_formatted(text, mode);
}

namespace {
Result<> check_button(const json::value& button) {
  if (!button.is_object()) return Error{"can't parse inline keyboard button: InlineKeyboardButton must be an Object"};
  const json::object& object = button.get_object();
  if (text_of(object, "text").empty())
    return Error{"can't parse inline keyboard button: text buttons are unallowed in the inline keyboard"};
  if (member(object, "callback_data")) {
    const std::size_t size = text_of(object, "callback_data").size();
    if (size < 1 || size > 64) return Error{"BUTTON_DATA_INVALID"};
    return {};
  }
  if (member(object, "url")) {
    const std::string url = text_of(object, "url");
    const bool fits = url.starts_with("http://") || url.starts_with("https://") || url.starts_with("tg://") ||
                      (url.find("://") == url.npos && url.find('.') != url.npos);
    if (!fits) return Error{fmt::format("inline keyboard button URL '{}' is invalid: Wrong HTTP URL", url)};
    return {};
  }
  for (const std::string_view key : {"web_app", "login_url", "switch_inline_query", "switch_inline_query_current_chat",
                                     "switch_inline_query_chosen_chat", "copy_text", "callback_game", "pay"}) {
    if (object.contains(key)) return {};
  }
  return Error{"can't parse inline keyboard button: text buttons are unallowed in the inline keyboard"};
}
}  // namespace

Result<json::value> markup_field(const json::object& fields) {
  auto markup = json_field(fields, "reply_markup");
  if (!markup) return Error{"can't parse reply keyboard markup JSON object"};
  if (!*markup) return json::value();
  if (!(*markup)->is_object()) return Error{"object expected as reply markup"};
  const json::object& object = (*markup)->get_object();
  const json::value* keyboard = member(object, "inline_keyboard");
  if (!keyboard) return json::value();
  if (!keyboard->is_array()) return Error{"field \"inline_keyboard\" of the InlineKeyboardMarkup must be an Array"};
  json::array rows;
  std::size_t buttons = 0;
  for (const json::value& row : keyboard->get_array()) {
    if (!row.is_array())
      return Error{"field \"inline_keyboard\" of the InlineKeyboardMarkup must be an Array of Arrays"};
    for (const json::value& button : row.get_array()) {
      if (auto fits = check_button(button); !fits) return fits.error();
      ++buttons;
    }
    if (!row.get_array().empty()) rows.push_back(row);
  }
  if (buttons > 100) return Error{"reply markup is too long"};
  if (rows.empty()) return json::value();
  return json::value(json::object{{"inline_keyboard", std::move(rows)}});
}

}  // namespace detent::sandbox
