// The Bot API's answers, and the reading of the fields that many methods share.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/server.h"
#include "sandbox/telegram_api.h"

namespace detent::sandbox {

http::Outgoing telegram_ok(json::value result);
/// `description` is given whole: "Bad Request: …".
http::Outgoing telegram_refusal(int status, std::string_view description, json::object parameters = {});
http::Outgoing telegram_flood(double retry_after);

/// A member that is JSON in itself: as it is, or parsed from text. Nothing where it is missing; Error where it is
/// broken.
Result<std::optional<json::value>> json_field(const json::object& fields, std::string_view key);

/// The text under `key`, parsed by parse_mode or with the entities given. An Error's text follows "Bad Request: ".
Result<Formatted> text_field(const json::object& fields, std::string_view key, std::string_view entities);

/// reply_markup, checked, as the message keeps it (inline keyboards only); null where there is none.
Result<json::value> markup_field(const json::object& fields);

}  // namespace detent::sandbox
