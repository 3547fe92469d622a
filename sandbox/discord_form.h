// What Discord says of a request body it does not like, and the checks of a message body that lead to it.
#pragma once

#include <string>
#include <string_view>

#include "sandbox/json.h"

namespace detent::sandbox {

/// The `errors` of an "Invalid Form Body" answer: a tree by key and index, with lists of faults at its leaves.
class FormErrors {
 public:
  /// `path` is slash-separated: "embeds/0/title".
  void add(std::string_view path, std::string_view code, std::string_view message);
  bool none() const { return root_.empty(); }
  const json::object& tree() const { return root_; }

 private:
  json::object root_;
};

enum class MessageForm { Create, Edit, Webhook };

/// Checks a message's body and puts it into the form it is stored in (white space trimmed, embeds typed). `files` is
/// how many files came along. Sources of the limits: Discord's documentation of messages, embeds and components; a key
/// that no message body has is refused here, which the service itself lets pass.
void check_message(json::object& body, MessageForm form, std::size_t files, FormErrors& errors);

/// Checks a thread's name, times and type.
void check_thread(const json::object& body, bool on_message, FormErrors& errors);

/// Whether a created message would hold nothing at all (error 50006).
bool is_empty_message(const json::object& body, std::size_t files);

}  // namespace detent::sandbox
