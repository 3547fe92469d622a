// Discord's error answers, shared by its routes.
#pragma once

#include <string_view>

#include "http/server.h"
#include "sandbox/discord_form.h"
#include "sandbox/json.h"

namespace detent::sandbox {

inline http::Outgoing answer_with(int status, const json::value& body) {
  return {.status = status, .body = json::serialize(body)};
}

inline http::Outgoing refusal(int status, int code, std::string_view message) {
  return answer_with(status, json::object{{"message", message}, {"code", code}});
}

inline http::Outgoing invalid_form(const FormErrors& errors) {
  return answer_with(400, json::object{{"message", "Invalid Form Body"}, {"code", 50035}, {"errors", errors.tree()}});
}

inline http::Outgoing no_content() { return {.status = 204, .body = {}, .content_type = {}}; }

}  // namespace detent::sandbox
