#include "consumers/discord/job.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "consumers/response.h"
#include "consumers/text.h"
#include "http/multipart.h"

namespace detent::discord {
namespace {

namespace json = boost::json;
using consumers::object_of;
using consumers::PartState;
using consumers::Step;
using consumers::text_at;
using consumers::Verdict;

/// How long after its first use a nonce surely still makes a repeat one. Discord says "the past few minutes".
constexpr int64_t kNonceHolds = 2 * 60 * 1000;
/// How far our clock and Discord's may be apart.
constexpr int64_t kClocksApart = 60 * 1000;
constexpr int kMaxPages = 10;
constexpr Millis kLearnAgain{60'000};

int code_of(const json::object& object) {
  const auto* value = object.if_contains("code");
  return value && value->is_int64() ? static_cast<int>(value->get_int64()) : 0;
}

/// "discord 50013: Missing Permissions"
std::string describe(const http::Response& response) {
  const json::object object = object_of(response.body);
  const int code = code_of(object);
  std::string text(text_at(object, "message"));
  if (const auto* errors = object.if_contains("errors")) text += " " + json::serialize(*errors);
  return fmt::format("discord {}: {}", code ? code : response.status,
                     consumers::shorten(consumers::one_line(text), 300));
}

}  // namespace

Job::Job(Channel& channel, consumers::Story story, std::vector<PartState> known)
    : channel_(channel), story_(std::move(story)), style_(channel.style_) {
  parts = std::move(known);
  repeatable = !channel.place_.webhook || story_.needs_response;
  // An earlier attempt chose a form: its parts are this attempt's.
  for (const PartState& part : parts) {
    if (!part.done && !part.perhaps()) continue;
    style_.embeds = !part_without_embeds(part.part);
    style_.files = !part_without_files(part.part);
    if (!part.place.empty()) thread_ = part.place;
  }
  draw();
}

void Job::draw() {
  messages_ = render(story_, style_);
  size = messages_.size();
  at_ = 0;
}

Step Job::next(Now now) {
  if (!channel_.learnt_ && channel_.learn_after_ <= now.mono) {
    const std::string& id = channel_.place_.id;
    return ask(
        Doing::Learn, "GET", channel_.place_.webhook ? "" : "/channels/" + id, "",
        {channel_.place_.webhook ? "GET webhook" : "GET channel", channel_.place_.webhook ? channel_.place_.name : id});
  }
  const std::string mark = keyed() ? thread_mark(story_.thread) : "";
  if (keyed() && !channel_.threads_looked_up_ && thread_.empty()) {
    return ask(Doing::FindThread, "GET", "/channels/" + channel_.place_.id + "/messages?limit=100", "",
               {"GET messages", channel_.place_.id});
  }
  const bool anything_sent =
      std::any_of(parts.begin(), parts.end(), [](const PartState& p) { return p.done || p.perhaps(); });
  if (keyed() && thread_.empty() && !thread_tried_) {
    if (const Root* root = channel_.roots_.find(mark)) {
      if (!root->open) {
        thread_tried_ = true;
        return ask(Doing::BeginThread, "POST",
                   fmt::format("/channels/{}/messages/{}/threads", channel_.place_.id, root->message),
                   json::serialize(json::object{{"name", thread_name(story_)}, {"auto_archive_duration", 1440}}),
                   {"POST threads", channel_.place_.id});
      }
      if (!anything_sent) thread_ = root->message;
    }
  }
  for (; at_ < messages_.size(); ++at_) {
    const Message& message = current();
    PartState& state = part(message.part);
    if (state.done || left(message.part)) continue;
    if (!state.perhaps()) return send(message, true);
    const int64_t age = now.wall.count() - state.begun_ms;
    if (!style_.webhook) {
      if (age >= 0 && age <= kNonceHolds) return send(message, false);
      if (!looked_for_.contains(message.part)) return look(state);
      return send(message, true);
    }
    if (story_.needs_response) {
      Style repeat = style_;
      repeat.repeat = true;
      return send(render(story_, repeat)[at_], false);
    }
    leave(message.part);
  }
  return {.kind = Step::Done};
}

Step Job::ask(Doing doing, std::string method, const std::string& path, std::string body, const Lane& lane) {
  doing_ = doing;
  lane_ = lane;
  Step step{.kind = Step::Request};
  step.request.method = std::move(method);
  step.request.deadline = channel_.place_.deadline;
  step.request.headers = {{"User-Agent", kUserAgent}};
  if (channel_.place_.webhook) {
    step.request.url = channel_.secret_.reveal() + path;
  } else {
    step.request.url = channel_.place_.api + path;
    step.request.headers.emplace_back("Authorization", "Bot " + channel_.secret_.reveal());
  }
  if (!body.empty()) {
    step.request.headers.emplace_back("Content-Type", "application/json");
    step.request.body = std::move(body);
  }
  return step;
}

Step Job::look(const PartState& state) {
  const std::string& place = state.place.empty() ? channel_.place_.id : state.place;
  if (look_after_.empty()) look_after_ = snowflake(state.begun_ms - kClocksApart);
  return ask(Doing::Look, "GET", fmt::format("/channels/{}/messages?after={}&limit=100", place, look_after_), "",
             {"GET messages", place});
}

Step Job::send(const Message& message, bool begin) {
  const PartState& state = part(message.part);
  const std::string place = state.perhaps() ? state.place : thread_;
  const std::string& channel = place.empty() ? channel_.place_.id : place;
  Step step =
      style_.webhook
          ? ask(Doing::Send, "POST", "?wait=true", message.payload, {"POST webhook", channel_.place_.name})
          : ask(Doing::Send, "POST", "/channels/" + channel + "/messages", message.payload, {"POST messages", channel});
  if (!message.file_name.empty()) {
    http::Multipart form =
        http::multipart({{"payload_json", message.payload, "", "application/json"},
                         {"files[0]", message.file, message.file_name, "text/plain; charset=utf-8"}});
    for (auto& [name, value] : step.request.headers) {
      if (name == "Content-Type") value = form.content_type;
    }
    step.request.body = std::move(form.body);
    step.request.deadline = 4 * channel_.place_.deadline;
  }
  step.part = message.part;
  step.place = place;
  step.begin = begin;
  return step;
}

Millis Job::wait(Now now) const { return channel_.limits_.wait(lane_, now.mono); }

void Job::sent(Now now) { channel_.limits_.sent(lane_, now.mono); }

Verdict Job::answered(const http::Answer& answer, Now now) {
  if (answer.has_error()) {
    const http::SendFailure& failure = answer.error();
    if (doing_ == Doing::BeginThread && !failure.malformed) return {};  // the next message of the key begins it
    return consumers::unanswered(
        "discord", failure, doing_ != Doing::Send,
        fmt::format("put a valid {}, and nothing else, into {}{}", style_.webhook ? "webhook URL" : "bot token",
                    channel_.secret_.origin(), style_.webhook ? "" : ", or correct [discord] api"));
  }
  const http::Response& response = *answer;
  if (const Millis wait = channel_.limits_.answered(lane_, response, now.mono); response.status == 429) {
    if (doing_ == Doing::BeginThread) thread_tried_ = false;
    return {.kind = Verdict::RetryLater, .why = "discord 429: rate limited", .delay = wait, .limited = true};
  }
  const int code = code_of(object_of(response.body));
  if (response.status == 401 || code == 50027 || (style_.webhook && response.status == 404)) {
    const char* advice = style_.webhook ? "make a new webhook and put its URL there" : "put a valid bot token there";
    return {.kind = Verdict::Misconfigured,
            .why = fmt::format("{} ({}): {}", describe(response), channel_.secret_.origin(), advice)};
  }
  switch (doing_) {
    case Doing::Learn:
      return learnt(response, now);
    case Doing::FindThread:
      return thread_found(response);
    case Doing::BeginThread:
      return thread_begun(response);
    case Doing::Look:
      return looked(response);
    case Doing::Send:
      return sent_part(response);
  }
  return {};
}

Verdict Job::learnt(const http::Response& response, Now now) {
  if (response.status == 200) {
    const json::object object = object_of(response.body);
    channel_.learnt_ = true;
    channel_.guild_ = text_at(object, "guild_id");
    if (style_.webhook) channel_.place_.id = text_at(object, "channel_id");
  } else {
    // Links are the only loss; sending will say what is wrong.
    channel_.learn_after_ = now.mono + kLearnAgain;
  }
  return {};
}

Verdict Job::thread_found(const http::Response& response) {
  if (response.status >= 500) return {.kind = Verdict::RetryLater, .why = describe(response)};
  channel_.threads_looked_up_ = true;
  if (response.status != 200) {
    channel_.say_once("history", "the channel's history cannot be read, so threads begin anew after a restart: " +
                                     describe(response));
    return {};
  }
  for (auto& [mark, root] : roots(response.body)) channel_.roots_.add(mark, root);
  return {};
}

Verdict Job::thread_begun(const http::Response& response) {
  Root* root = channel_.roots_.find(thread_mark(story_.thread));
  if (!root) return {};
  const int code = code_of(object_of(response.body));
  if (response.status == 200 || response.status == 201 ||
      code == 160004) {  // 160004: it has one already, with the same id
    root->open = true;
    const bool anything_sent =
        std::any_of(parts.begin(), parts.end(), [](const PartState& p) { return p.done || p.perhaps(); });
    if (!anything_sent) thread_ = root->message;
  } else if (code == 10008) {  // the message was deleted: the key begins anew
    channel_.roots_.erase(thread_mark(story_.thread));
  } else if (response.status < 500) {
    channel_.threads_ = false;
    channel_.say_once("threads", "threads are refused here, messages stay in the channel: " + describe(response));
  }
  return {};
}

Verdict Job::looked(const http::Response& response) {
  if (response.status >= 500) return {.kind = Verdict::RetryLater, .why = describe(response)};
  PartState& state = part(current().part);
  const auto page = response.status == 200 ? look_for(response.body, current().mark) : std::nullopt;
  if (!page) {
    channel_.say_once("look", "the channel's history cannot be read, so it stays open whether a message arrived: " +
                                  describe(response));
    look_after_.clear();
    if (story_.needs_response) {
      looked_for_.insert(state.part);
    } else {
      leave(state.part);
    }
    return {};
  }
  if (page->id) {
    state.done = true;
    state.message_id = *page->id;
    state.link = channel_.link(state.place.empty() ? channel_.place_.id : state.place, state.message_id);
    look_after_.clear();
    return {.done = state.part};
  }
  if (page->count >= 100 && ++pages_ < kMaxPages) {
    look_after_ = page->newest;
    return {};
  }
  // It is not there: it never arrived.
  look_after_.clear();
  pages_ = 0;
  looked_for_.insert(state.part);
  state.begun_ms = 0;
  return {};
}

Verdict Job::sent_part(const http::Response& response) {
  PartState& state = part(current().part);
  if (response.status >= 200 && response.status < 300) {
    const json::object object = object_of(response.body);
    const std::string channel(text_at(object, "channel_id"));
    state.done = true;
    state.message_id = text_at(object, "id");
    state.link = channel_.link(channel.empty() ? channel_.place_.id : channel, state.message_id);
    if (!first_cause_.empty()) {
      // The simpler form was taken: it is the permission that is missing.
      const bool embeds = style_.embeds != channel_.style_.embeds;
      channel_.style_.embeds = style_.embeds;
      channel_.style_.files = style_.files;
      channel_.say_once(embeds ? "embeds" : "files", fmt::format("no permission for {} ({})",
                                                                 embeds ? "embeds, messages are plain from here on"
                                                                        : "files, long texts are cut from here on",
                                                                 first_cause_));
      first_cause_.clear();
    }
    if (keyed() && thread_.empty() && at_ == 0)
      channel_.roots_.add(thread_mark(story_.thread), {state.message_id, false});
    return {.done = state.part};
  }
  const json::object object = object_of(response.body);
  if (response.status >= 500) {
    // An answer of the API itself says that it failed; one of what stands before it says nothing about the API.
    const bool surely = style_.webhook && object.contains("message");
    return {.kind = surely ? Verdict::RetryLater : Verdict::Ambiguous, .why = describe(response)};
  }
  return refused(response, code_of(object), describe(response));
}

Verdict Job::refused(const http::Response& response, int code, const std::string& why) {
  // 10003 unknown channel, 50083 archived, 160005 locked, 50001 and 50013 in a thread: the channel itself may still
  // take it.
  const bool of_thread = code == 10003 || code == 50083 || code == 160005 || code == 50001 || code == 50013;
  if (!thread_.empty() && of_thread) {
    channel_.roots_.erase(thread_mark(story_.thread));
    if (code == 50001 || code == 50013) {
      channel_.threads_ = false;
      channel_.say_once("threads", "threads are refused here, messages stay in the channel: " + why);
    }
    thread_.clear();
    thread_tried_ = true;
    return {};
  }
  const bool forbidden = response.status == 403 && code != 0;
  if (at_ == 0 && (forbidden || response.status == 413 || code == 40005)) {
    if (!current().file_name.empty() && style_.files) {
      style_.files = false;
    } else if (forbidden && current().embeds && style_.embeds) {
      style_.embeds = false;
      // Perhaps it was not the files.
      style_.files = channel_.style_.files;
    } else {
      return {.kind = Verdict::Refused, .why = first_cause_.empty() ? why : first_cause_};
    }
    if (first_cause_.empty()) first_cause_ = why;
    draw();
    return {};
  }
  if (response.status == 403 && code == 0) {
    return {.kind = Verdict::RetryLater,
            .why = why + " (refused before the API, perhaps a block of this address)",
            .delay = Millis{60'000}};
  }
  return {.kind = Verdict::Refused, .why = why};
}

}  // namespace detent::discord
