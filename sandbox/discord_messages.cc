#include <fmt/format.h>

#include <algorithm>

#include "sandbox/discord_api.h"
#include "sandbox/discord_errors.h"
#include "sandbox/discord_form.h"

// Channels, messages, threads and pins.
namespace detent::sandbox {

namespace {
using Out = http::Outgoing;
constexpr Millis kNonceWindow = std::chrono::minutes(5);
constexpr Millis kEditLimitAge = std::chrono::hours(1);
constexpr std::size_t kMaxPins = 250;

Out unknown_channel() { return refusal(404, 10003, "Unknown Channel"); }
Out unknown_message() { return refusal(404, 10008, "Unknown Message"); }
Out missing_permissions() { return refusal(403, 50013, "Missing Permissions"); }

bool snowflake(const std::string& text) { return parse_id(text).has_value(); }

std::vector<Attachment> take_files(DiscordCall& call) {
  std::vector<Attachment> files;
  for (auto& [name, file] : call.files) files.push_back(std::move(file));
  return files;
}

/// The channel of the path and, where there is one, its message; or what to answer in their place.
struct Found {
  Discord::Channel* channel = nullptr;
  json::object* message = nullptr;
  std::optional<Out> refused;
};

Found look_up(Discord& server, const std::string& channel, const std::string* message) {
  if (!snowflake(channel)) return {.refused = unknown_channel()};
  Found found{.channel = server.channel(*parse_id(channel))};
  if (!found.channel) return {.refused = unknown_channel()};
  if (server.denied(*found.channel, "VIEW_CHANNEL")) return {.refused = refusal(403, 50001, "Missing Access")};
  if (!message) return found;
  if (!snowflake(*message)) {
    FormErrors errors;
    errors.add("message_id", "NUMBER_TYPE_COERCE", fmt::format("Value \"{}\" is not snowflake.", *message));
    return {.refused = invalid_form(errors)};
  }
  found.message = server.find(*found.channel, *parse_id(*message));
  if (!found.message) found.refused = unknown_message();
  return found;
}

const std::string* query_of(const DiscordCall& call, std::string_view key) {
  return http::find_header(call.query, key);
}
}  // namespace

std::optional<Out> DiscordApi::refuse_send(const Discord::Channel& channel, const DiscordCall& call) {
  const auto lacks = [&](const char* permission) { return server_.denied(channel, permission); };
  const bool embeds =
      member(call.body, "embeds") && call.body.at("embeds").is_array() && !call.body.at("embeds").get_array().empty();
  const bool barred = lacks(channel.thread() ? "SEND_MESSAGES_IN_THREADS" : "SEND_MESSAGES") ||
                      (embeds && lacks("EMBED_LINKS")) || (!call.files.empty() && lacks("ATTACH_FILES"));
  if (barred) return missing_permissions();
  return std::nullopt;
}

Out DiscordApi::create_message(DiscordCall& call, Now now) {
  Found found = look_up(server_, call.segments[1], nullptr);
  if (found.refused) return *found.refused;
  FormErrors errors;
  check_message(call.body, MessageForm::Create, call.files.size(), errors);
  if (!errors.none()) return invalid_form(errors);
  if (is_empty_message(call.body, call.files.size())) return refusal(400, 50006, "Cannot send an empty message");
  if (auto refused = refuse_send(*found.channel, call)) return *refused;

  const std::string nonce = text_of(call.body, "nonce");
  const bool enforced = !nonce.empty() && flag_of(call.body, "enforce_nonce");
  const std::string key = call.token + "\n" + nonce;
  const json::value echoed = nonce.empty() ? json::value() : call.body.at("nonce");
  std::erase_if(nonces_, [&](const auto& entry) { return entry.second.at + kNonceWindow <= now.mono; });
  if (const auto before = nonces_.find(key); enforced && before != nonces_.end()) {
    Discord::Channel* channel = server_.channel(before->second.channel);
    const json::object* same = channel ? server_.find(*channel, before->second.message) : nullptr;
    if (!same) return unknown_message();  // deleted meanwhile: it is not made again
    json::object repeated = *same;
    repeated["nonce"] = echoed;
    return answer_with(200, repeated);
  }
  json::object message =
      server_.post(*found.channel, {.body = call.body, .author = author(call), .files = take_files(call)}, now);
  if (!nonce.empty()) {
    nonces_[key] = {*parse_id(found.channel->id), *parse_id(text_of(message, "id")), now.mono};
    message["nonce"] = echoed;
  }
  return answer_with(200, message);
}

Out DiscordApi::list_messages(DiscordCall& call, Now) {
  Found found = look_up(server_, call.segments[1], nullptr);
  if (found.refused) return *found.refused;
  FormErrors errors;
  std::int64_t limit = 50;
  if (const std::string* given = query_of(call, "limit")) {
    const auto parsed = parse_whole(*given);
    if (!parsed) errors.add("limit", "NUMBER_TYPE_COERCE", fmt::format("Value \"{}\" is not int.", *given));
    if (parsed && *parsed < 1)
      errors.add("limit", "NUMBER_TYPE_MIN", "int value should be greater than or equal to 1.");
    if (parsed && *parsed > 100)
      errors.add("limit", "NUMBER_TYPE_MAX", "int value should be less than or equal to 100.");
    limit = parsed.value_or(50);
  }
  std::optional<std::uint64_t> before, after, around;
  const auto place = [&](const char* key, std::optional<std::uint64_t>& into) {
    const std::string* given = query_of(call, key);
    if (!given) return;
    into = parse_id(*given);
    if (!into) errors.add(key, "NUMBER_TYPE_COERCE", fmt::format("Value \"{}\" is not snowflake.", *given));
  };
  place("before", before);
  place("after", after);
  place("around", around);
  if (!errors.none()) return invalid_form(errors);
  json::array page;
  if (server_.denied(*found.channel, "READ_MESSAGE_HISTORY")) return answer_with(200, page);

  // Newest first, whichever end they are counted from.
  const auto& all = found.channel->messages;
  auto first = all.begin(), last = all.end();
  const auto step_back = [&](auto at, std::int64_t steps) {
    while (steps-- > 0 && at != all.begin()) --at;
    return at;
  };
  const auto step_on = [&](auto at, std::int64_t steps) {
    while (steps-- > 0 && at != all.end()) ++at;
    return at;
  };
  if (around) {
    const auto middle = all.lower_bound(*around);
    first = step_back(middle, limit / 2);
    last = step_on(first, limit);
  } else if (after) {
    first = all.upper_bound(*after);
    last = step_on(first, limit);
  } else {
    last = before ? all.lower_bound(*before) : all.end();
    first = step_back(last, limit);
  }
  while (last != first) page.push_back((--last)->second);
  return answer_with(200, page);
}

Out DiscordApi::get_message(DiscordCall& call, Now) {
  Found found = look_up(server_, call.segments[1], &call.segments[3]);
  if (found.refused) return *found.refused;
  if (server_.denied(*found.channel, "READ_MESSAGE_HISTORY")) return missing_permissions();
  return answer_with(200, *found.message);
}

std::optional<Out> DiscordApi::refuse_old_edit(const json::object& message, Now now) {
  const std::uint64_t id = *parse_id(text_of(message, "id"));
  const Millis made(std::int64_t(id >> 22) + 1'420'070'400'000);
  if (now.wall - made < kEditLimitAge) return std::nullopt;
  const Standing standing = old_edits_.take(text_of(message, "channel_id"), now);
  if (standing.allowed) return std::nullopt;
  Out out = answer_with(429, json::object{{"message",
                                           "Maximum number of edits to messages older than 1 hour reached. "
                                           "Try again later"},
                                          {"code", 30046},
                                          {"retry_after", double(standing.reset_after.count()) / 1000},
                                          {"global", false}});
  out.headers.emplace_back("Retry-After", std::to_string((standing.reset_after.count() + 999) / 1000));
  return out;
}

Out DiscordApi::apply_edit(DiscordCall& call, Discord::Channel& channel, json::object& message, Now now) {
  FormErrors errors;
  check_message(call.body, MessageForm::Edit, call.files.size(), errors);
  if (!errors.none()) return invalid_form(errors);
  json::object after = message;
  for (const auto& entry : call.body) after[entry.key()] = entry.value();
  const json::value* kept = member(after, "attachments");
  const bool files = !call.files.empty() || (kept && kept->is_array() && !kept->get_array().empty());
  if (is_empty_message(after, files)) return refusal(400, 50006, "Cannot send an empty message");
  if (auto refused = refuse_old_edit(message, now)) return *refused;
  server_.edit(channel, message, call.body, take_files(call), now);
  return answer_with(200, message);
}

Out DiscordApi::edit_message(DiscordCall& call, Now now) {
  Found found = look_up(server_, call.segments[1], &call.segments[3]);
  if (found.refused) return *found.refused;
  if (found.message->at("author").at("id") != author(call).at("id")) {
    return refusal(403, 50005, "Cannot edit a message authored by another user");
  }
  return apply_edit(call, *found.channel, *found.message, now);
}

Out DiscordApi::delete_message(DiscordCall& call, Now) {
  Found found = look_up(server_, call.segments[1], &call.segments[3]);
  if (found.refused) return *found.refused;
  const bool own = found.message->at("author").at("id") == author(call).at("id");
  if (!own && server_.denied(*found.channel, "MANAGE_MESSAGES")) return missing_permissions();
  server_.remove(*found.channel, *parse_id(call.segments[3]));
  return no_content();
}

Out DiscordApi::thread_on_message(DiscordCall& call, Now now) {
  Found found = look_up(server_, call.segments[1], &call.segments[3]);
  if (found.refused) return *found.refused;
  FormErrors errors;
  check_thread(call.body, true, errors);
  if (!errors.none()) return invalid_form(errors);
  if (found.channel->thread()) return refusal(400, 50024, "Cannot execute action on this channel type");
  if (server_.denied(*found.channel, "CREATE_PUBLIC_THREADS")) return missing_permissions();
  if (found.message->contains("thread")) {
    return refusal(400, 160004, "A thread has already been created for this message");
  }
  const Discord::Channel& thread = server_.start_thread(*found.channel, call.body, found.message, author(call), now);
  return answer_with(201, server_.describe(thread));
}

Out DiscordApi::thread_alone(DiscordCall& call, Now now) {
  Found found = look_up(server_, call.segments[1], nullptr);
  if (found.refused) return *found.refused;
  FormErrors errors;
  check_thread(call.body, false, errors);
  if (!errors.none()) return invalid_form(errors);
  if (found.channel->thread()) return refusal(400, 50024, "Cannot execute action on this channel type");
  const bool open = whole_of(call.body, "type").value_or(12) != 12;
  if (server_.denied(*found.channel, open ? "CREATE_PUBLIC_THREADS" : "CREATE_PRIVATE_THREADS")) {
    return missing_permissions();
  }
  const Discord::Channel& thread = server_.start_thread(*found.channel, call.body, nullptr, author(call), now);
  return answer_with(201, server_.describe(thread));
}

Out DiscordApi::get_channel(DiscordCall& call, Now) {
  Found found = look_up(server_, call.segments[1], nullptr);
  return found.refused ? *found.refused : answer_with(200, server_.describe(*found.channel));
}

Out DiscordApi::typing(DiscordCall& call, Now) {
  Found found = look_up(server_, call.segments[1], nullptr);
  return found.refused ? *found.refused : no_content();
}

Out DiscordApi::list_pins(DiscordCall& call, Now) {
  Found found = look_up(server_, call.segments[1], nullptr);
  if (found.refused) return *found.refused;
  const bool paged = call.segments.size() == 4;  // the older form is a bare array
  const std::string* before = query_of(call, "before");
  std::int64_t limit = 50;
  if (const std::string* given = query_of(call, "limit"); given && paged) limit = parse_whole(*given).value_or(0);
  if (limit < 1 || limit > 50) {
    FormErrors errors;
    errors.add("limit", "NUMBER_TYPE_RANGE", "int value should be between 1 and 50.");
    return invalid_form(errors);
  }
  json::array items;
  bool more = false;
  for (auto pin = found.channel->pins.rbegin(); pin != found.channel->pins.rend(); ++pin) {
    if (before && pin->second >= *before) continue;
    const json::object& message = found.channel->messages.at(pin->first);
    if (!paged) {
      items.push_back(message);
    } else if (std::int64_t(items.size()) == limit) {
      more = true;
      break;
    } else {
      items.push_back({{"pinned_at", pin->second}, {"message", message}});
    }
  }
  if (!paged) return answer_with(200, items);
  return answer_with(200, json::object{{"items", std::move(items)}, {"has_more", more}});
}

Out DiscordApi::set_pin(DiscordCall& call, Now now) {
  Found found = look_up(server_, call.segments[1], &call.segments.back());
  if (found.refused) return *found.refused;
  if (server_.denied(*found.channel, "PIN_MESSAGES")) return missing_permissions();
  const bool pinned = call.method == "PUT";
  if (pinned && found.channel->pins.size() >= kMaxPins) {
    return refusal(400, 30003, fmt::format("Maximum number of pins reached for the channel ({})", kMaxPins));
  }
  server_.pin(*found.channel, *found.message, pinned, author(call), now);
  return no_content();
}

Out DiscordApi::me(DiscordCall& call, Now) {
  json::object user = author(call);
  user["verified"] = true;
  user["mfa_enabled"] = false;
  user["flags"] = 0;
  user["locale"] = "en-US";
  user["email"] = nullptr;
  return answer_with(200, user);
}

Out DiscordApi::guild(DiscordCall& call, Now) {
  if (!snowflake(call.segments[1])) return refusal(404, 10004, "Unknown Guild");
  return answer_with(200, json::object{{"id", call.segments[1]},
                                       {"name", "Sandbox"},
                                       {"icon", nullptr},
                                       {"owner_id", "1"},
                                       {"roles", json::array{}},
                                       {"emojis", json::array{}},
                                       {"features", json::array{}},
                                       {"premium_tier", 0}});
}

Out DiscordApi::guild_channels(DiscordCall&, Now) {
  json::array all;
  for (const auto& [id, channel] : server_.channels()) {
    if (!channel.thread()) all.push_back(server_.describe(channel));
  }
  return answer_with(200, all);
}

Out DiscordApi::get_webhook(DiscordCall& call, Now) {
  if (!snowflake(call.segments[1])) return refusal(404, 10015, "Unknown Webhook");
  return answer_with(200, json::object{{"id", call.segments[1]},
                                       {"type", 1},
                                       {"guild_id", Discord::kGuild},
                                       {"channel_id", call.segments[1]},
                                       {"name", "Sandbox"},
                                       {"avatar", nullptr},
                                       {"application_id", nullptr},
                                       {"token", call.segments[2]}});
}

/// A webhook posts into the channel that has its own id, and there into `thread_id` where one is given.
Out DiscordApi::execute_webhook(DiscordCall& call, Now now) {
  if (!snowflake(call.segments[1])) return refusal(404, 10015, "Unknown Webhook");
  const std::string* thread = query_of(call, "thread_id");
  Found found = look_up(server_, thread ? *thread : call.segments[1], nullptr);
  if (found.refused) return *found.refused;
  if (thread && found.channel->parent != call.segments[1]) return unknown_channel();
  FormErrors errors;
  check_message(call.body, MessageForm::Webhook, call.files.size(), errors);
  if (!errors.none()) return invalid_form(errors);
  if (is_empty_message(call.body, call.files.size())) return refusal(400, 50006, "Cannot send an empty message");
  const std::string username = text_of(call.body, "username");
  json::object author{{"id", call.segments[1]},  {"username", username.empty() ? "Sandbox" : username},
                      {"discriminator", "0000"}, {"avatar", nullptr},
                      {"global_name", nullptr},  {"bot", true}};
  const json::object message = server_.post(
      *found.channel,
      {.body = call.body, .author = std::move(author), .webhook = call.segments[1], .files = take_files(call)}, now);
  const std::string* wait = query_of(call, "wait");
  const bool waits = wait && (*wait == "true" || *wait == "True" || *wait == "1");
  return waits ? answer_with(200, message) : no_content();
}

Out DiscordApi::webhook_message(DiscordCall& call, Now now) {
  const std::string* thread = query_of(call, "thread_id");
  Found found = look_up(server_, thread ? *thread : call.segments[1], &call.segments[4]);
  if (found.refused) return *found.refused;
  const json::value* owner = found.message->if_contains("webhook_id");
  if (!owner || owner->as_string() != call.segments[1]) return unknown_message();
  if (call.method == "PATCH") return apply_edit(call, *found.channel, *found.message, now);
  if (call.method == "GET") return answer_with(200, *found.message);
  server_.remove(*found.channel, *parse_id(call.segments[4]));
  return no_content();
}

}  // namespace detent::sandbox
