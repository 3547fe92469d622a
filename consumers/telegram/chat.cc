#include "consumers/telegram/chat.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "consumers/response.h"
#include "consumers/text.h"
#include "http/multipart.h"

namespace detent::telegram {
namespace {

namespace json = boost::json;
using consumers::object_of;
using consumers::PartState;
using consumers::Step;
using consumers::text_at;
using consumers::Verdict;

const json::object& inside(const json::object& object, std::string_view key) {
  static const json::object kEmpty;
  const auto* value = object.if_contains(key);
  return value && value->is_object() ? value->get_object() : kEmpty;
}

int64_t number_at(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value && value->is_int64() ? value->get_int64() : 0;
}

/// Messages of supergroups and channels have a link, those of private chats have none.
std::string link_of(const json::object& message) {
  const json::object& chat = inside(message, "chat");
  const int64_t id = number_at(message, "message_id");
  if (const std::string_view name = text_at(chat, "username"); !name.empty() && text_at(chat, "type") != "private") {
    return fmt::format("https://t.me/{}/{}", name, id);
  }
  const std::string chat_id = std::to_string(number_at(chat, "id"));
  return chat_id.starts_with("-100") ? fmt::format("https://t.me/c/{}/{}", chat_id.substr(4), id) : "";
}

}  // namespace

class Chat::Job : public consumers::Job {
 public:
  Job(Chat& chat, const consumers::Story& story, std::vector<PartState> known) : chat_(chat) {
    parts = std::move(known);
    repeatable = story.needs_response;
    messages_ = render(story, {.silent_below = chat.place_.silent_below});
    repeats_ = render(story, {.silent_below = chat.place_.silent_below, .repeat = true});
    size = messages_.size();
  }

  Step next(Now) override {
    for (; at_ < messages_.size(); ++at_) {
      PartState& state = part(messages_[at_].part);
      if (state.done || left(state.part)) continue;
      if (!state.perhaps()) return send(messages_[at_], true);
      if (repeatable) return send(repeats_[at_], false);
      leave(state.part);
    }
    return {.kind = Step::Done};
  }

  Millis wait(Now now) const override { return chat_.pace_.wait(now.mono); }
  void sent(Now now) override { chat_.pace_.sent(now.mono); }

  Verdict answered(const http::Answer& answer, Now now) override {
    if (answer.has_error()) {
      return consumers::unanswered(
          "telegram", answer.error(), false,
          fmt::format("put a valid bot token, and nothing else, into {}, or correct [telegram] api",
                      chat_.secret_.origin()));
    }
    const http::Response& response = *answer;
    const json::object object = object_of(response.body);
    const std::string description = consumers::shorten(consumers::one_line(text_at(object, "description")), 300);
    const std::string why = fmt::format("telegram {}: {}", response.status, description);
    if (response.status == 200) return arrived(inside(object, "result"));
    if (response.status == 429) {
      const int64_t asked = number_at(inside(object, "parameters"), "retry_after");
      const Millis delay{1000 * std::clamp<int64_t>(asked ? asked : 5, 1, 3600)};
      chat_.pace_.pause(delay, now.mono);
      return {.kind = Verdict::RetryLater, .why = why, .delay = delay, .limited = true};
    }
    if (response.status == 401 || response.status == 404) {
      return {.kind = Verdict::Misconfigured,
              .why = fmt::format("{} ({}): put a valid bot token there", why, chat_.secret_.origin())};
    }
    if (response.status >= 500) {
      // An answer of the API itself says that it failed; one of what stands before it says nothing about the API.
      return {.kind = object.contains("ok") ? Verdict::RetryLater : Verdict::Ambiguous, .why = why};
    }
    if (const int64_t moved = number_at(inside(object, "parameters"), "migrate_to_chat_id")) {
      chat_.said.push_back(
          fmt::format("telegram: the chat {} is now {}: set [telegram] chat = {}", chat_.place_.chat, moved, moved));
      chat_.place_.chat = moved;
      chat_.pace_ = Pace(moved < 0);
      return {};
    }
    if (response.status == 400 && !plain_ && description.find("parse entities") != std::string::npos) {
      chat_.said.push_back("telegram: a text could not be read as HTML and went as plain text: " + description);
      plain_ = true;
      return {};
    }
    return {.kind = Verdict::Refused, .why = why};
  }

 private:
  Step send(const Message& message, bool begin) {
    Step step{.kind = Step::Request, .part = message.part, .begin = begin};
    step.request.method = "POST";
    step.request.deadline = chat_.place_.deadline;
    step.request.url = chat_.place_.api + "/bot" + chat_.secret_.reveal() + "/" + message.method;
    json::object body = object_of(plain_ ? message.plain : message.payload);
    body["chat_id"] = chat_.place_.chat;
    if (message.file_name.empty()) {
      step.request.headers = {{"Content-Type", "application/json"}};
      step.request.body = json::serialize(body);
      return step;
    }
    std::vector<http::Part> form;
    for (const auto& [name, value] : body) {
      form.push_back({std::string(name), value.is_string() ? std::string(value.get_string()) : json::serialize(value)});
    }
    form.push_back({"document", message.file, message.file_name, "text/plain; charset=utf-8"});
    http::Multipart whole = http::multipart(form);
    step.request.headers = {{"Content-Type", whole.content_type}};
    step.request.body = std::move(whole.body);
    step.request.deadline = 4 * chat_.place_.deadline;
    return step;
  }

  Verdict arrived(const json::object& message) {
    PartState& state = part(messages_[at_].part);
    state.done = true;
    const int64_t id = number_at(message, "message_id");
    state.message_id = id ? std::to_string(id) : "";
    state.link = id ? link_of(message) : "";
    return {.done = state.part};
  }

  Chat& chat_;
  std::vector<Message> messages_, repeats_;
  size_t at_ = 0;
  bool plain_ = false;
};

Chat::Chat(Place place, const Secret& secret) : place_(std::move(place)), secret_(secret), pace_(place_.chat < 0) {}

std::unique_ptr<consumers::Job> Chat::take(const Delivery& delivery, std::vector<PartState> parts, Now now) {
  return std::make_unique<Job>(*this, consumers::tell(delivery, now.wall.count()), std::move(parts));
}

}  // namespace detent::telegram
