#include "sandbox/discord_form.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <set>

#include "base/utf8.h"
#include "sandbox/text.h"

namespace detent::sandbox {

void FormErrors::add(std::string_view path, std::string_view code, std::string_view message) {
  json::object* at = &root_;
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    json::value& next = (*at)[path.substr(0, slash)];
    if (!next.is_object()) next.emplace_object();
    at = &next.get_object();
    path = slash == path.npos ? std::string_view{} : path.substr(slash + 1);
  }
  json::value& list = (*at)["_errors"];
  if (!list.is_array()) list.emplace_array();
  list.get_array().push_back({{"code", code}, {"message", message}});
}

namespace {

using Keys = std::initializer_list<std::string_view>;

/// One body under check: where it stands, and the errors found.
struct Form {
  json::object& object;
  std::string path;  // "" or "embeds/0/"
  FormErrors& errors;

  void fault(std::string_view key, std::string_view code, std::string_view message) {
    errors.add(path + std::string(key), code, message);
  }

  void only(Keys known) {
    for (const auto& entry : object) {
      if (std::find(known.begin(), known.end(), std::string_view(entry.key())) == known.end()) {
        fault(entry.key(), "UNKNOWN_KEY", "This key is not part of the API");
      }
    }
  }

  /// A string of `least` to `most` characters after trimming, which is done in place. False where there is none.
  bool text(std::string_view key, std::size_t least, std::size_t most, bool required = false) {
    json::value* value = object.if_contains(key);
    if (!value || value->is_null()) {
      if (required) fault(key, "BASE_TYPE_REQUIRED", "This field is required");
      return false;
    }
    if (!value->is_string()) {
      fault(key, "STRING_TYPE_CONVERT", fmt::format("Could not interpret \"{}\" as string.", json::serialize(*value)));
      return false;
    }
    const std::string kept(trimmed(std::string_view(value->get_string())));
    const std::size_t length = code_points(kept);
    if (required && length == 0) {
      fault(key, "BASE_TYPE_REQUIRED", "This field is required");
    } else if (length > most && least == 0) {
      fault(key, "BASE_TYPE_MAX_LENGTH", fmt::format("Must be {} or fewer in length.", most));
    } else if (length < least || length > most) {
      fault(key, "BASE_TYPE_BAD_LENGTH", fmt::format("Must be between {} and {} in length.", least, most));
    }
    *value = kept;
    return true;
  }

  void url(std::string_view key, bool attachments = false) {
    if (!text(key, 0, 2048)) return;
    const std::string value = text_of(object, key);
    const std::size_t colon = value.find("://");
    const std::string scheme = value.substr(0, colon == value.npos ? 0 : colon);
    if (colon == value.npos || colon + 3 == value.size() || value.find(' ') != value.npos) {
      fault(key, "URL_TYPE_INVALID_URL", "Not a well formed URL.");
    } else if (scheme != "http" && scheme != "https" && !(attachments && scheme == "attachment")) {
      fault(key, "URL_TYPE_INVALID_SCHEME", fmt::format("Scheme \"{}\" must be one of ('http', 'https').", scheme));
    }
  }

  std::optional<std::int64_t> number(std::string_view key, std::int64_t least, std::int64_t most) {
    const json::value* value = member(object, key);
    if (!value) return std::nullopt;
    const auto number = whole_of(object, key);
    if (!number) {
      fault(key, "NUMBER_TYPE_COERCE", fmt::format("Value \"{}\" is not int.", json::serialize(*value)));
    } else if (*number < least) {
      fault(key, "NUMBER_TYPE_MIN", fmt::format("int value should be greater than or equal to {}.", least));
    } else if (*number > most) {
      fault(key, "NUMBER_TYPE_MAX", fmt::format("int value should be less than or equal to {}.", most));
    } else {
      return number;
    }
    return std::nullopt;
  }

  void flag(std::string_view key) {
    const json::value* value = member(object, key);
    if (value && !value->is_bool()) fault(key, "BOOLEAN_TYPE_CONVERT", "Must be either true or false.");
  }

  /// The array, or nullptr where there is none or a wrong one.
  json::array* list(std::string_view key, std::size_t most) {
    json::value* value = object.if_contains(key);
    if (!value || value->is_null()) return nullptr;
    if (!value->is_array()) {
      fault(key, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType");
      return nullptr;
    }
    if (value->get_array().size() > most) {
      fault(key, "BASE_TYPE_MAX_LENGTH", fmt::format("Must be {} or fewer in length.", most));
      return nullptr;
    }
    return &value->get_array();
  }

  /// Calls `check` with a Form for the object under `key`, where there is one.
  template <class Check>
  void within(std::string_view key, Check check) {
    json::value* value = object.if_contains(key);
    if (!value || value->is_null()) return;
    if (!value->is_object()) return fault(key, "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType");
    check(Form{value->get_object(), path + std::string(key) + "/", errors});
  }

  template <class Check>
  void each(std::string_view key, std::size_t most, Check check) {
    json::array* all = list(key, most);
    if (!all) return;
    for (std::size_t i = 0; i < all->size(); ++i) {
      const std::string at = fmt::format("{}/{}", key, i);
      json::value& value = (*all)[i];
      if (!value.is_object()) {
        fault(at, "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType");
      } else {
        check(Form{value.get_object(), path + at + "/", errors});
      }
    }
  }
};

bool snowflake(const json::value& value) {
  if (value.is_int64()) return value.get_int64() >= 0;
  return value.is_uint64() || (value.is_string() && parse_id(std::string_view(value.get_string())));
}

void snowflakes(Form& form, std::string_view key, std::size_t most) {
  const json::array* all = form.list(key, most);
  for (std::size_t i = 0; all && i < all->size(); ++i) {
    if (!snowflake((*all)[i])) {
      form.fault(fmt::format("{}/{}", key, i), "NUMBER_TYPE_COERCE",
                 fmt::format("Value \"{}\" is not snowflake.", json::serialize((*all)[i])));
    }
  }
}

bool looks_like_a_time(std::string_view text) {
  // 2026-11-22T14:02:07 with an optional fraction and zone
  static constexpr std::string_view kShape = "dddd-dd-ddTdd:dd";
  if (text.size() < kShape.size()) return text.size() == 10 && text[4] == '-' && text[7] == '-';
  for (std::size_t i = 0; i < kShape.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (kShape[i] == 'd' ? !digit : text[i] != kShape[i] && !(kShape[i] == 'T' && text[i] == ' ')) return false;
  }
  return true;
}

std::size_t length_of(const json::object& object, std::string_view key) { return code_points(text_of(object, key)); }

std::size_t size_of_embed(const json::object& embed) {
  std::size_t total = length_of(embed, "title") + length_of(embed, "description");
  const auto inside = [&](std::string_view key, std::string_view name) {
    const json::value* value = member(embed, key);
    return value && value->is_object() ? length_of(value->get_object(), name) : 0;
  };
  total += inside("footer", "text") + inside("author", "name");
  if (const json::value* fields = member(embed, "fields"); fields && fields->is_array()) {
    for (const json::value& field : fields->get_array()) {
      if (field.is_object()) total += length_of(field.get_object(), "name") + length_of(field.get_object(), "value");
    }
  }
  return total;
}

void check_embed(Form form) {
  form.only({"title", "type", "description", "url", "timestamp", "color", "footer", "image", "thumbnail", "video",
             "provider", "author", "fields"});
  form.text("title", 0, 256);
  form.text("description", 0, 4096);
  form.url("url");
  form.number("color", 0, 16'777'215);
  if (form.text("timestamp", 0, 64) && !looks_like_a_time(text_of(form.object, "timestamp"))) {
    form.fault("timestamp", "DATE_TIME_TYPE_PARSE",
               fmt::format("Could not parse {}. Should be ISO8601.", text_of(form.object, "timestamp")));
  }
  form.within("footer", [](Form footer) {
    footer.only({"text", "icon_url", "proxy_icon_url"});
    footer.text("text", 0, 2048, true);
    footer.url("icon_url", true);
  });
  form.within("author", [](Form author) {
    author.only({"name", "url", "icon_url", "proxy_icon_url"});
    author.text("name", 0, 256, true);
    author.url("url");
    author.url("icon_url", true);
  });
  for (const std::string_view picture : {"image", "thumbnail"}) {
    form.within(picture, [](Form image) { image.url("url", true); });
  }
  form.each("fields", 25, [](Form field) {
    field.only({"name", "value", "inline"});
    field.text("name", 0, 256, true);
    field.text("value", 0, 1024, true);
    field.flag("inline");
  });
  form.object["type"] = "rich";
}

void check_custom_id(Form& form, std::set<std::string>& ids) {
  if (!form.text("custom_id", 1, 100, true)) return;
  if (!ids.insert(text_of(form.object, "custom_id")).second) {
    form.fault("custom_id", "COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id cannot be duplicated");
  }
}

void check_button(Form form, std::set<std::string>& ids) {
  form.only({"type", "id", "style", "label", "emoji", "custom_id", "sku_id", "url", "disabled"});
  const auto style = form.number("style", 1, 6);
  if (!style && !member(form.object, "style")) form.fault("style", "BASE_TYPE_REQUIRED", "This field is required");
  form.text("label", 0, 80);
  if (style == 5) {
    if (form.object.contains("custom_id")) {
      form.fault("custom_id", "BUTTON_COMPONENT_CUSTOM_ID_URL_MUTUALLY_EXCLUSIVE",
                 "A custom id and url cannot both be specified");
    }
    form.text("url", 1, 512, true);
    form.url("url");
  } else if (style && *style != 6) {
    check_custom_id(form, ids);
  }
}

void check_components(Form& message) {
  const bool layout = (whole_of(message.object, "flags").value_or(0) & (1 << 15)) != 0;
  if (layout) {
    message.list("components", 40);
    for (const std::string_view key : {"content", "embeds", "poll", "sticker_ids"}) {
      const json::value* value = member(message.object, key);
      if (value && !(value->is_array() && value->get_array().empty())) {
        message.fault(key, "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2",
                      fmt::format("The '{}' field cannot be used when using MessageFlags.IS_COMPONENTS_V2", key));
      }
    }
    return;
  }
  std::set<std::string> ids;
  message.each("components", 5, [&](Form row) {
    row.only({"type", "id", "components"});
    if (whole_of(row.object, "type") != 1) {
      return row.fault("type", "UNION_TYPE_CHOICES", "Value of field \"type\" must be one of (1,).");
    }
    const json::value* inside = member(row.object, "components");
    if (!inside || (inside->is_array() && inside->get_array().empty())) {
      return row.fault("components", "BASE_TYPE_REQUIRED", "This field is required");
    }
    row.each("components", 5, [&](Form item) {
      const auto type = whole_of(item.object, "type");
      if (type == 2) {
        check_button(item, ids);
      } else if (type && *type >= 3 && *type <= 8 && *type != 4) {
        check_custom_id(item, ids);
        item.list("options", 25);
      } else {
        item.fault("type", "UNION_TYPE_CHOICES", "Value of field \"type\" must be one of (2, 3, 5, 6, 7, 8).");
      }
    });
  });
}

void check_mentions(Form form) {
  form.only({"parse", "users", "roles", "replied_user"});
  snowflakes(form, "users", 100);
  snowflakes(form, "roles", 100);
  form.flag("replied_user");
  const json::array* parse = form.list("parse", 3);
  for (std::size_t i = 0; parse && i < parse->size(); ++i) {
    const json::value& kind = (*parse)[i];
    if (kind != "users" && kind != "roles" && kind != "everyone") {
      form.fault(fmt::format("parse/{}", i), "BASE_TYPE_CHOICES",
                 "Value must be one of ('users', 'roles', 'everyone').");
      continue;
    }
    const json::value* named = member(form.object, kind.get_string());
    if (named && named->is_array() && !named->get_array().empty()) {
      form.fault("", "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
                 fmt::format("parse:[\"{0}\"] and {0}: [ids...] are mutually exclusive.",
                             std::string_view(kind.get_string())));
    }
  }
}

}  // namespace

void check_message(json::object& body, MessageForm form, std::size_t files, FormErrors& errors) {
  Form message{body, "", errors};
  message.only({"content", "nonce", "enforce_nonce", "tts", "embeds", "allowed_mentions", "message_reference",
                "components", "sticker_ids", "attachments", "flags", "poll", "username", "avatar_url", "thread_name",
                "applied_tags"});
  message.text("content", 0, 2000);
  message.flag("tts");
  message.flag("enforce_nonce");
  message.text("username", 1, 80);
  message.text("thread_name", 1, 100);
  message.url("avatar_url");
  if (const json::value* nonce = member(body, "nonce")) {
    const bool right = nonce->is_int64() || nonce->is_uint64() || nonce->is_string();
    if (!right) {
      message.fault("nonce", "NONCE_TYPE_INVALID", "Nonce must be a string or an integer.");
    } else if (code_points(text_of(body, "nonce")) > 25) {
      message.fault("nonce", "NONCE_TYPE_TOO_LONG", "Nonce is too long; maximum is 25 characters.");
    }
  }
  message.each("embeds", 10, check_embed);
  if (const json::value* embeds = member(body, "embeds"); embeds && embeds->is_array()) {
    std::size_t total = 0;
    for (const json::value& embed : embeds->get_array()) {
      if (embed.is_object()) total += size_of_embed(embed.get_object());
    }
    if (total > 6000) {
      message.fault("embeds", "MAX_EMBED_SIZE_EXCEEDED", "Embed size exceeds maximum size of 6000");
    }
  }
  message.within("allowed_mentions", check_mentions);
  check_components(message);
  const std::int64_t settable = form == MessageForm::Edit ? (1 << 2 | 1 << 15) : (1 << 2 | 1 << 12 | 1 << 13 | 1 << 15);
  const auto flags = message.number("flags", 0, (std::int64_t{1} << 31) - 1);
  if (flags && (*flags & ~settable)) message.fault("flags", "MESSAGE_FLAGS_INVALID", "A flag that cannot be set here.");
  message.each("attachments", 10, [&](Form attachment) {
    attachment.only({"id", "filename", "title", "description", "content_type", "size", "url", "proxy_url", "height",
                     "width", "ephemeral", "duration_secs", "waveform", "flags", "is_remix"});
    attachment.text("description", 0, 1024);
    const json::value* id = member(attachment.object, "id");
    if (!id || !snowflake(*id)) {
      attachment.fault("id", "NUMBER_TYPE_COERCE", "Value is not snowflake.");
    } else if (form != MessageForm::Edit && *parse_id(text_of(attachment.object, "id")) >= files) {
      attachment.fault("id", "ATTACHMENT_NOT_FOUND", "There is no files[n] with this number.");
    }
  });
  if (files > 10) message.fault("attachments", "BASE_TYPE_MAX_LENGTH", "Must be 10 or fewer in length.");
}

void check_thread(const json::object& body, bool on_message, FormErrors& errors) {
  json::object copy = body;
  Form thread{copy, "", errors};
  thread.only({"name", "auto_archive_duration", "rate_limit_per_user", "type", "invitable"});
  thread.text("name", 1, 100, true);
  thread.number("rate_limit_per_user", 0, 21'600);
  if (const json::value* after = member(copy, "auto_archive_duration")) {
    const auto minutes = whole_of(copy, "auto_archive_duration");
    if (!minutes || (*minutes != 60 && *minutes != 1440 && *minutes != 4320 && *minutes != 10080)) {
      thread.fault("auto_archive_duration", "BASE_TYPE_CHOICES",
                   fmt::format("Value must be one of (60, 1440, 4320, 10080), not {}.", json::serialize(*after)));
    }
  }
  if (const auto type = thread.number("type", 0, 100);
      type && !on_message && *type != 10 && *type != 11 && *type != 12) {
    thread.fault("type", "BASE_TYPE_CHOICES", "Value must be one of (10, 11, 12).");
  }
}

bool is_empty_message(const json::object& body, std::size_t files) {
  const auto some = [&](std::string_view key) {
    const json::value* value = member(body, key);
    return value && !(value->is_string() && value->get_string().empty()) &&
           !(value->is_array() && value->get_array().empty());
  };
  bool any = files > 0 || some("content") || some("components") || some("sticker_ids") || some("poll");
  if (const json::value* embeds = member(body, "embeds"); embeds && embeds->is_array()) {
    for (const json::value& embed : embeds->get_array()) any |= embed.is_object() && embed.get_object().size() > 1;
  }
  return !any;
}

}  // namespace detent::sandbox
