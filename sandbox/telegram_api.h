// Telegram's Bot API over the chats in memory: methods, authentication, error bodies, pace.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "http/server.h"
#include "sandbox/faults.h"
#include "sandbox/pace.h"
#include "sandbox/telegram.h"
#include "sandbox/telegram_text.h"

namespace detent::sandbox {

/// One request: its method's name, and the fields of query, form, JSON and multipart together.
struct TelegramCall {
  std::string token;
  std::string method;
  json::object fields;
  std::map<std::string, Attachment> files;
  bool malformed = false;
  std::string chat;  // chat_id as text, or ""
};

TelegramCall parse_telegram_call(const http::Incoming& in, std::string token, std::string method);

class TelegramApi {
 public:
  TelegramApi(Telegram& telegram, Pace per_chat) : telegram_(telegram), chats_(per_chat) {}

  /// Answers, or answers with the fault, which is of Kind::Status. Nothing: a getUpdates that has to wait; it is asked
  /// again with `updates` when an update has come, until `waits(call)` is over.
  std::optional<http::Outgoing> answer(TelegramCall& call, const Fault* fault, Now now);
  std::optional<http::Outgoing> updates(const TelegramCall& call, bool last_chance);
  static Millis waits(const TelegramCall& call);
  /// What the poll in flight gets when a second one begins.
  static http::Outgoing conflict();
  void clear() { chats_.clear(); }

 private:
  struct Method;
  static const Method kMethods[];
  using Out = http::Outgoing;

  Out get_me(TelegramCall&, Now);
  Out send_message(TelegramCall&, Now);
  Out send_document(TelegramCall&, Now);
  Out edit_text(TelegramCall&, Now);
  Out edit_markup(TelegramCall&, Now);
  Out delete_message(TelegramCall&, Now);
  Out answer_callback(TelegramCall&, Now);
  Out set_webhook(TelegramCall&, Now);
  Out delete_webhook(TelegramCall&, Now);
  Out webhook_info(TelegramCall&, Now);
  Out set_commands(TelegramCall&, Now);
  Out get_commands(TelegramCall&, Now);
  Out set_reaction(TelegramCall&, Now);
  Out pin(TelegramCall&, Now);
  Out chat_action(TelegramCall&, Now);
  Out get_chat(TelegramCall&, Now);
  Out get_file(TelegramCall&, Now);

  struct Target;
  Target target(TelegramCall&, bool sends, bool with_message, Now);
  /// What an edit that makes `after` of the message answers: it takes effect, unless it changes nothing.
  Out edited(const Target& at, json::object after, Now now);

  Telegram& telegram_;
  Paces chats_;
};

}  // namespace detent::sandbox
