#include "sandbox/telegram.h"

#include <fmt/format.h>

#include "sandbox/telegram_text.h"

namespace detent::sandbox {

namespace {
constexpr std::size_t kSnapshot = 300;
constexpr std::size_t kMaxUpdates = 10'000;
constexpr std::int64_t kFirstUpdate = 100'000'001;

std::int64_t unix_time(Now now) { return now.wall.count() / 1000; }
}  // namespace

Telegram::Bot& Telegram::bot(const std::string& token) {
  const auto [at, fresh] = bots_.try_emplace(token);
  Bot& bot = at->second;
  if (!fresh) return bot;
  const auto id = parse_whole(token.substr(0, token.find(':')));
  bot.id = id ? *id : 7'000'000'000 + std::int64_t(std::hash<std::string>{}(token) % 1'000'000'000);
  bot.next_update = kFirstUpdate;
  if (bots_.size() == 1) {
    for (auto& [kind, update] : unclaimed_) push(token, kind, update);
    unclaimed_.clear();
  }
  return bot;
}

json::object Telegram::user(const std::string& token) {
  const std::int64_t id = bot(token).id;
  return {{"id", id}, {"is_bot", true}, {"first_name", "Detent"}, {"username", fmt::format("sandbox_{}_bot", id)}};
}

Telegram::Chat& Telegram::chat(std::int64_t id) {
  const auto [at, fresh] = chats_.try_emplace(id);
  if (fresh) {
    at->second.id = id;
    told_({{"type", "telegram.chat"}, {"chat", describe(id)}});
  }
  return at->second;
}

json::object Telegram::describe(std::int64_t id) {
  if (id > 0) return {{"id", id}, {"type", "private"}, {"first_name", "Operator"}, {"username", "operator"}};
  const bool super = id <= -1'000'000'000'000;
  return {{"id", id}, {"type", super ? "supergroup" : "group"}, {"title", fmt::format("Group {}", id)}};
}

json::object Telegram::person(std::int64_t chat) {
  return {{"id", chat > 0 ? chat : kOperator},
          {"is_bot", false},
          {"first_name", "Operator"},
          {"username", "operator"},
          {"language_code", "en"}};
}

json::object Telegram::shown(const Chat& chat, const Message& message) const {
  json::object object = message.object;
  object["sandbox"] = {{"chat_id", chat.id},
                       {"from_operator", message.bot.empty()},
                       {"silent", message.silent},
                       {"pinned", message.pinned},
                       {"reaction", message.reaction}};
  return object;
}

void Telegram::changed(const Chat& chat, const Message& message) const {
  told_({{"type", "telegram.message"}, {"message", shown(chat, message)}});
}

Telegram::Message& Telegram::post(Chat& chat, const std::string& token, json::object content, bool silent, Now now) {
  const std::int64_t id = next_message_++;
  Message& message = chat.messages[id];
  message.object = {{"message_id", id},
                    {"from", token.empty() ? person(chat.id) : user(token)},
                    {"chat", describe(chat.id)},
                    {"date", unix_time(now)}};
  for (auto& entry : content) message.object[entry.key()] = std::move(entry.value());
  message.bot = token;
  message.silent = silent;
  message.made = now.wall;
  if (!token.empty()) chat.bots.insert(token);
  front_ = chat.id;
  changed(chat, message);
  return message;
}

Telegram::Message* Telegram::find(Chat& chat, std::int64_t message) {
  const auto found = chat.messages.find(message);
  return found == chat.messages.end() ? nullptr : &found->second;
}

void Telegram::remove(Chat& chat, std::int64_t message) {
  if (chat.messages.erase(message)) {
    told_({{"type", "telegram.delete"}, {"chat_id", chat.id}, {"message_id", message}});
  }
}

std::string Telegram::keep_file(Attachment file) {
  const std::string id = fmt::format("sandbox-file-{}", next_file_++);
  files_[id] = std::move(file);
  return id;
}

const Attachment* Telegram::file(const std::string& id) const {
  const auto found = files_.find(id);
  return found == files_.end() ? nullptr : &found->second;
}

void Telegram::push(const std::string& token, std::string_view kind, const json::object& update) {
  Bot& to = bots_.at(token);
  if (to.allowed_updates.is_array() && !to.allowed_updates.get_array().empty()) {
    bool wanted = false;
    for (const json::value& each : to.allowed_updates.get_array())
      wanted |= each.is_string() && each.get_string() == kind;
    if (!wanted) return;
  }
  to.updates.push_back({{"update_id", to.next_update++}, {kind, update}});
  if (to.updates.size() > kMaxUpdates) to.updates.pop_front();
  updated_(token);
}

/// To the bots that have written in the chat; to all there are where none has; to the first to come where there is
/// none.
void Telegram::deliver(const Chat& chat, std::string_view kind, json::object update) {
  if (bots_.empty()) {
    unclaimed_.emplace_back(kind, std::move(update));
    if (unclaimed_.size() > kMaxUpdates) unclaimed_.pop_front();
    return;
  }
  for (const auto& [token, bot] : bots_) {
    if (chat.bots.empty() || chat.bots.contains(token)) push(token, kind, update);
  }
}

json::object Telegram::operator_sends(std::int64_t id, std::string text, std::int64_t reply_to, Now now) {
  Chat& to = chat(id);
  const auto formatted = parse_formatted(text, "");
  json::object content{{"text", formatted ? formatted->text : text}};
  if (formatted && !formatted->entities.empty()) content["entities"] = formatted->entities;
  if (const Message* answered = reply_to ? find(to, reply_to) : nullptr) {
    json::object quoted = answered->object;
    quoted.erase("reply_to_message");
    content["reply_to_message"] = std::move(quoted);
  }
  const json::object sent = post(to, "", std::move(content), false, now).object;
  deliver(to, "message", sent);
  return sent;
}

Result<std::string> Telegram::operator_presses(std::int64_t id, std::int64_t number, const std::string& data, Now) {
  Chat& in = chat(id);
  const Message* message = find(in, number);
  if (!message) return Error{fmt::format("no message {} in chat {}", number, id)};
  if (message->bot.empty()) return Error{fmt::format("message {} is the operator's own", number)};
  const std::string query = fmt::format("{}{:012}", 4'000'000, next_query_++);
  Bot& to = bot(message->bot);
  to.queries[query] = id;
  push(message->bot, "callback_query",
       {{"id", query},
        {"from", person(id)},
        {"message", message->object},
        {"chat_instance", std::to_string(id)},
        {"data", data}});
  return {boost::system::in_place_value, query};
}

bool Telegram::answer_query(const std::string& token, const std::string& query, const std::string& text, bool alert) {
  Bot& by = bot(token);
  const auto found = by.queries.find(query);
  if (found == by.queries.end()) return false;
  told_({{"type", "telegram.answer"}, {"chat_id", found->second}, {"query", query}, {"text", text}, {"alert", alert}});
  by.queries.erase(found);
  return true;
}

std::int64_t Telegram::front_chat() const { return front_; }

json::array Telegram::messages(std::optional<std::int64_t> wanted) const {
  std::map<std::int64_t, json::object> found;
  for (const auto& [id, chat] : chats_) {
    if (wanted && id != *wanted) continue;
    for (const auto& [number, message] : chat.messages) found[number] = shown(chat, message);
  }
  json::array all;
  for (auto& [number, object] : found) all.push_back(std::move(object));
  return all;
}

json::object Telegram::snapshot() const {
  json::array chats;
  for (const auto& [id, chat] : chats_) chats.push_back(describe(id));
  json::array newest = messages(std::nullopt);
  if (newest.size() > kSnapshot) newest.erase(newest.begin(), newest.end() - kSnapshot);
  return {{"chats", std::move(chats)}, {"messages", std::move(newest)}, {"front", front_}};
}

/// The bots stay known, so that their next getUpdates goes on where it was.
void Telegram::clear() {
  chats_.clear();
  files_.clear();
  unclaimed_.clear();
  front_ = kOperator;
  for (auto& [token, bot] : bots_) {
    bot.updates.clear();
    bot.queries.clear();
  }
}

}  // namespace detent::sandbox
