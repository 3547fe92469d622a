#include "sandbox/discord.h"

#include <fmt/format.h>

#include <algorithm>

#include "http/url.h"

namespace detent::sandbox {

namespace {
constexpr std::int64_t kEpoch = 1'420'070'400'000;
constexpr int kSystemThread = 18, kSystemPin = 6;
constexpr std::int64_t kHasThread = 1 << 5;
constexpr std::size_t kSnapshot = 200;  // messages of a channel that the page gets at its start
}  // namespace

std::string discord_time(Millis wall) {
  std::string text = utc_millis(wall);
  text.pop_back();
  return text + "000+00:00";
}

std::uint64_t Discord::next_id(Now now) {
  const auto stamp = std::uint64_t(std::max<std::int64_t>(now.wall.count() - kEpoch, 1)) << 22;
  last_id_ = std::max(last_id_ + 1, stamp);
  return last_id_;
}

Discord::Channel* Discord::channel(std::uint64_t id) {
  if (const auto found = channels_.find(id); found != channels_.end()) return &found->second;
  if (id == 0 || places_.contains(id)) return nullptr;
  Channel& fresh = channels_[id];
  fresh.id = std::to_string(id);
  told_({{"type", "discord.channel"}, {"channel", describe(fresh)}});
  return &fresh;
}

json::object Discord::describe(const Channel& channel) const {
  json::object object{{"id", channel.id},     {"type", channel.thread() ? 11 : 0},
                      {"guild_id", kGuild},   {"name", channel.name.empty() ? channel.id : channel.name},
                      {"parent_id", nullptr}, {"last_message_id", nullptr}};
  if (!channel.messages.empty()) object["last_message_id"] = std::to_string(channel.messages.rbegin()->first);
  if (channel.thread()) {
    object["parent_id"] = channel.parent;
    for (const auto& entry : channel.details) object[entry.key()] = entry.value();
    object["message_count"] = channel.messages.size();
    object["total_message_sent"] = channel.messages.size();
  } else {
    object["topic"] = nullptr;
    object["nsfw"] = false;
    object["position"] = 0;
    object["rate_limit_per_user"] = 0;
    object["permission_overwrites"] = json::array{};
  }
  return object;
}

void Discord::rename(std::uint64_t id, std::string name) {
  Channel* named = channel(id);
  if (!named) return;
  named->name = std::move(name);
  told_({{"type", "discord.channel"}, {"channel", describe(*named)}});
}

void Discord::tell(std::string_view type, const Channel& channel, const json::object& message) const {
  told_({{"type", type}, {"channel_id", channel.id}, {"message", message}});
}

json::array Discord::store(Channel& channel, std::vector<Attachment> files, Now now) {
  json::array described;
  for (Attachment& file : files) {
    const std::uint64_t id = next_id(now);
    const std::string url =
        fmt::format("{}/discord/attachments/{}/{}/{}", base, channel.id, id, http::percent_encode(file.filename));
    json::object object{{"id", std::to_string(id)},
                        {"filename", file.filename},
                        {"size", file.body.size()},
                        {"url", url},
                        {"proxy_url", url}};
    if (!file.content_type.empty()) object["content_type"] = file.content_type;
    if (!file.description.empty()) object["description"] = file.description;
    described.push_back(std::move(object));
    attachments_[id] = std::move(file);
  }
  return described;
}

json::object& Discord::add(Channel& channel, json::object message) {
  const std::uint64_t id = *parse_id(text_of(message, "id"));
  places_[id] = *parse_id(channel.id);
  return channel.messages[id] = std::move(message);
}

json::object& Discord::post(Channel& channel, Draft draft, Now now) {
  const std::uint64_t id = next_id(now);
  const auto array = [&](std::string_view key) {
    const json::value* value = member(draft.body, key);
    return value && value->is_array() ? value->get_array() : json::array{};
  };
  json::object message{{"id", std::to_string(id)},
                       {"type", 0},
                       {"channel_id", channel.id},
                       {"content", text_of(draft.body, "content")},
                       {"author", draft.author},
                       {"embeds", array("embeds")},
                       {"components", array("components")},
                       {"pinned", false},
                       {"tts", flag_of(draft.body, "tts")},
                       {"timestamp", discord_time(now.wall)},
                       {"edited_timestamp", nullptr},
                       {"flags", whole_of(draft.body, "flags").value_or(0)}};
  if (!draft.webhook.empty()) message["webhook_id"] = draft.webhook;
  if (channel.thread()) message["position"] = channel.messages.size();
  if (const json::value* reference = member(draft.body, "message_reference"); reference && reference->is_object()) {
    json::object points = reference->get_object();
    points.erase("fail_if_not_exists");
    points.emplace("channel_id", channel.id);
    points.emplace("guild_id", kGuild);
    points.emplace("type", 0);
    message["type"] = 19;
    message["message_reference"] = std::move(points);
  }
  compute_mentions(message, draft.body.if_contains("allowed_mentions"), !draft.webhook.empty());
  message["attachments"] = store(channel, std::move(draft.files), now);
  json::object& added = add(channel, std::move(message));
  tell("discord.message", channel, added);
  return added;
}

json::object* Discord::find(Channel& channel, std::uint64_t message) {
  const auto found = channel.messages.find(message);
  return found == channel.messages.end() ? nullptr : &found->second;
}

void Discord::edit(Channel& channel, json::object& message, const json::object& body, std::vector<Attachment> files,
                   Now now) {
  if (body.contains("content")) message["content"] = text_of(body, "content");
  for (const std::string_view key : {"embeds", "components"}) {
    const json::value* value = body.if_contains(key);
    if (value) message[key] = value->is_array() ? *value : json::value(json::array{});
  }
  if (body.contains("flags")) {
    const auto keep = whole_of(message, "flags").value_or(0) & ~std::int64_t{1 << 2};
    message["flags"] = keep | whole_of(body, "flags").value_or(0);
  }
  // A list of attachments says which of the old ones stay; without it all stay.
  json::array kept = message["attachments"].as_array();
  if (const json::value* listed = member(body, "attachments"); listed && listed->is_array()) {
    json::array chosen;
    for (const json::value& old : kept) {
      const bool named = std::any_of(
          listed->get_array().begin(), listed->get_array().end(),
          [&](const json::value& one) { return text_of(one.as_object(), "id") == text_of(old.as_object(), "id"); });
      if (named) chosen.push_back(old);
    }
    kept = std::move(chosen);
  }
  for (json::value& fresh : store(channel, std::move(files), now)) kept.push_back(std::move(fresh));
  message["attachments"] = std::move(kept);
  compute_mentions(message, body.if_contains("allowed_mentions"), message.contains("webhook_id"));
  message["edited_timestamp"] = discord_time(now.wall);
  tell("discord.message", channel, message);
}

bool Discord::remove(Channel& channel, std::uint64_t id) {
  const auto found = channel.messages.find(id);
  if (found == channel.messages.end()) return false;
  for (const json::value& file : found->second["attachments"].as_array()) {
    attachments_.erase(*parse_id(text_of(file.as_object(), "id")));
  }
  std::erase_if(channel.pins, [&](const auto& pin) { return pin.first == id; });
  channel.messages.erase(found);
  told_({{"type", "discord.delete"}, {"channel_id", channel.id}, {"message_id", std::to_string(id)}});
  return true;
}

Discord::Channel& Discord::start_thread(Channel& parent, const json::object& body, json::object* message,
                                        const json::object& owner, Now now) {
  const std::uint64_t id = message ? *parse_id(text_of(*message, "id")) : next_id(now);
  Channel& thread = channels_[id];
  thread.id = std::to_string(id);
  thread.name = text_of(body, "name");
  thread.parent = parent.id;
  const std::string stamp = discord_time(now.wall);
  thread.details = {{"owner_id", text_of(owner, "id")},
                    {"rate_limit_per_user", whole_of(body, "rate_limit_per_user").value_or(0)},
                    {"member_count", 1},
                    {"thread_metadata",
                     {{"archived", false},
                      {"archive_timestamp", stamp},
                      {"auto_archive_duration", whole_of(body, "auto_archive_duration").value_or(4320)},
                      {"locked", false},
                      {"create_timestamp", stamp}}}};
  // Made without a message, a thread is private unless its type says otherwise.
  const std::int64_t type = message ? 11 : whole_of(body, "type").value_or(12);
  thread.details["type"] = type;
  told_({{"type", "discord.channel"}, {"channel", describe(thread)}});
  if (message) {
    (*message)["flags"] = whole_of(*message, "flags").value_or(0) | kHasThread;
    (*message)["thread"] = describe(thread);
    tell("discord.message", parent, *message);
  } else if (type == 11) {
    json::object& notice = post(parent, {.body = {{"content", thread.name}}, .author = owner}, now);
    notice["type"] = kSystemThread;
    notice["message_reference"] = {{"type", 0}, {"channel_id", thread.id}, {"guild_id", kGuild}};
    tell("discord.message", parent, notice);
  }
  return thread;
}

void Discord::pin(Channel& channel, json::object& message, bool pinned, const json::object& who, Now now) {
  const std::uint64_t id = *parse_id(text_of(message, "id"));
  if (message["pinned"] == pinned) return;
  message["pinned"] = pinned;
  std::erase_if(channel.pins, [&](const auto& pin) { return pin.first == id; });
  tell("discord.message", channel, message);
  if (!pinned) return;
  channel.pins.emplace_back(id, discord_time(now.wall));
  json::object& notice = post(channel, {.body = {}, .author = who}, now);
  notice["type"] = kSystemPin;
  notice["message_reference"] = {
      {"type", 0}, {"message_id", std::to_string(id)}, {"channel_id", channel.id}, {"guild_id", kGuild}};
  tell("discord.message", channel, notice);
}

const Attachment* Discord::attachment(std::uint64_t id) const {
  const auto found = attachments_.find(id);
  return found == attachments_.end() ? nullptr : &found->second;
}

bool Discord::denied(const Channel& channel, const std::string& permission) const {
  const auto found = denied_.find(*parse_id(channel.thread() ? channel.parent : channel.id));
  return found != denied_.end() && found->second.contains(permission);
}

json::array Discord::messages(std::optional<std::uint64_t> wanted) const {
  std::map<std::uint64_t, const json::object*> found;
  for (const auto& [id, channel] : channels_) {
    if (wanted && id != *wanted && channel.parent != std::to_string(*wanted)) continue;
    for (const auto& [number, message] : channel.messages) found[number] = &message;
  }
  json::array all;
  for (const auto& [number, message] : found) all.push_back(*message);
  return all;
}

json::object Discord::snapshot() const {
  json::array channels, messages;
  for (const auto& [id, channel] : channels_) {
    channels.push_back(describe(channel));
    auto at = channel.messages.begin();
    if (channel.messages.size() > kSnapshot) std::advance(at, channel.messages.size() - kSnapshot);
    for (; at != channel.messages.end(); ++at) messages.push_back(at->second);
  }
  return {{"channels", std::move(channels)}, {"messages", std::move(messages)}};
}

void Discord::clear() {
  std::map<std::uint64_t, std::string> names;
  for (auto& [id, channel] : channels_) {
    if (!channel.name.empty() && !channel.thread()) names[id] = channel.name;
  }
  channels_.clear();
  places_.clear();
  attachments_.clear();
  denied_.clear();
  for (auto& [id, name] : names) {
    channels_[id].id = std::to_string(id);
    channels_[id].name = name;
  }
}

}  // namespace detent::sandbox
