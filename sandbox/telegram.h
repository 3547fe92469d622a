// Telegram in memory: chats, the bots in them, and the operator's phone. No I/O and no clock.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "sandbox/discord.h"
#include "sandbox/json.h"

namespace detent::sandbox {

class Telegram {
 public:
  /// A Message object in the API's form, and what only the phone shows.
  struct Message {
    json::object object;
    std::string bot;  // the token of the bot that sent it; empty: the operator did
    bool silent = false;
    bool pinned = false;
    std::string reaction;
    Millis made{0};
  };
  struct Chat {
    std::int64_t id = 0;
    std::map<std::int64_t, Message> messages;
    std::set<std::string> bots;  // tokens that have written here
    std::int64_t migrated_to = 0;
  };
  struct Bot {
    std::int64_t id = 0;
    std::deque<json::object> updates;  // unconfirmed, oldest first
    std::int64_t next_update = 0;
    std::string webhook;
    json::value allowed_updates;  // as last given
    json::array commands;
    std::map<std::string, std::int64_t> queries;  // callback queries not answered yet, and their chats
  };

  /// `told` hears of changes for the page; `updated` that a bot has a further update.
  using Told = std::function<void(json::object)>;
  using Updated = std::function<void(const std::string& token)>;
  Telegram(Told told, Updated updated) : told_(std::move(told)), updated_(std::move(updated)) {}

  static constexpr std::int64_t kOperator = 123'456'789;

  Bot& bot(const std::string& token);
  json::object user(const std::string& token);
  Chat& chat(std::int64_t id);
  const std::map<std::int64_t, Chat>& chats() const { return chats_; }
  static json::object describe(std::int64_t chat);

  /// `content` are the members that make the message what it is: text and entities, or document and caption, …
  Message& post(Chat& chat, const std::string& token, json::object content, bool silent, Now now);
  Message* find(Chat& chat, std::int64_t message);
  /// The message changed: tells the page.
  void changed(const Chat& chat, const Message& message) const;
  void remove(Chat& chat, std::int64_t message);
  std::string keep_file(Attachment file);
  const Attachment* file(const std::string& id) const;

  // The operator's hand.
  json::object operator_sends(std::int64_t chat, std::string text, std::int64_t reply_to, Now now);
  /// A button pressed, whether the message has one with this data or not; the query's id, or why it cannot be.
  Result<std::string> operator_presses(std::int64_t chat, std::int64_t message, const std::string& data, Now now);
  /// The bot's answer to a press; false where nobody waits for it.
  bool answer_query(const std::string& token, const std::string& query, const std::string& text, bool alert);
  /// The chat that the operator's phone shows: the newest one, or the one of the example configuration.
  std::int64_t front_chat() const;

  void migrate(std::int64_t from, std::int64_t to) { chat(from).migrated_to = to; }
  json::array messages(std::optional<std::int64_t> chat) const;
  json::object snapshot() const;
  void clear();

 private:
  void deliver(const Chat& chat, std::string_view kind, json::object update);
  void push(const std::string& token, std::string_view kind, const json::object& update);
  static json::object person(std::int64_t chat);
  json::object shown(const Chat& chat, const Message& message) const;

  Told told_;
  Updated updated_;
  std::map<std::int64_t, Chat> chats_;
  std::map<std::string, Bot> bots_;
  std::map<std::string, Attachment> files_;
  std::deque<std::pair<std::string, json::object>> unclaimed_;  // updates from before the first bot
  std::int64_t next_message_ = 1;
  std::int64_t next_query_ = 1;
  std::int64_t next_file_ = 1;
  std::int64_t front_ = kOperator;
};

}  // namespace detent::sandbox
