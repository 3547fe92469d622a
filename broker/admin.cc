#include "broker/admin.h"

#include <algorithm>
#include <boost/json.hpp>

#include "broker/records.h"
#include "broker/story.h"
#include "proto/json.h"
#include "proto/wire.pb.h"

namespace detent {

namespace json = boost::json;

/// A call, taken apart.
struct Admin::Ask {
  const AdminCall& call;
  const json::object& object;
  std::string command, channel;
  Now now;
};

/// What is asked by which name; docs/protocol.md lists them with their members.
struct Admin::Command {
  std::string_view name;
  void (Admin::*answer)(const Ask& ask);
};
const Admin::Command Admin::kCommands[] = {
    {"status", &Admin::status},
    {"trace", &Admin::trace},
    {"reload", &Admin::reload},
    {"channel.list", &Admin::channel_list},
    {"channel.drop", &Admin::channel_drop},
    {"routes.explain", &Admin::routes_explain},
    {"dead.list", &Admin::dead_list},
    {"dead.show", &Admin::dead_one},
    {"dead.retry", &Admin::dead_one},
    {"dead.drop", &Admin::dead_one},
};

namespace {

constexpr size_t kMaxRead = 8 << 20;  // bytes of letters for one answer: the loop has other guests

json::string text(std::string_view value) { return json::string(value.data(), value.size()); }

std::string member(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(json::string_view(name.data(), name.size()));
  return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

json::object letter_json(const DeadLetters::Key& key, const DeadLetters::Letter& letter) {
  const SignalHeader head =
      letter.signals.empty() ? SignalHeader{} : read_header(letter.signals.front());  // it borrows their bytes
  return {{"channel", key.channel},
          {"delivery", key.delivery},
          {"seqs", json::array(letter.seqs.begin(), letter.seqs.end())},
          {"id", Ulid::from_bytes(head.id).value_or(Ulid{}).text()},
          {"type", text(head.type)},
          {"title", text(payload_title(head.payload))},
          {"cause", letter.cause},
          {"at", utc(Millis{letter.at_ms})},
          {"attempts", letter.attempts}};
}

json::object parts_json(std::string_view encoded) {
  Part part;
  if (!part.ParseFromArray(encoded.data(), static_cast<int>(encoded.size()))) return {};
  return {{"part", part.part()}, {"done", part.done()}, {"message_id", part.message_id()}, {"link", part.link()}};
}

}  // namespace

void Admin::answer(const AdminCall& call, Now now) {
  boost::system::error_code code;
  const auto parsed = json::parse(call.json, code);
  if (code || !parsed.is_object()) return view_.core.answer(call, {}, "a question is a JSON object");
  const Ask ask{call, parsed.get_object(), member(parsed.get_object(), "command"),
                member(parsed.get_object(), "channel"), now};
  for (const Command& command : kCommands) {
    if (command.name == ask.command) return (this->*command.answer)(ask);
  }
  view_.core.answer(call, {}, "unknown command \"" + ask.command + "\"");
}

void Admin::status(const Ask& ask) { view_.core.answer(ask.call, status_json(view_.vitals(ask.now)), {}); }

void Admin::reload(const Ask& ask) {
  const auto verdict = view_.reload();
  verdict ? view_.core.answer(ask.call, *verdict, {}) : view_.core.answer(ask.call, {}, verdict.error().what);
}

void Admin::channel_list(const Ask& ask) {
  const auto all = json::parse(status_json(view_.vitals(ask.now)));
  view_.core.answer(ask.call, json::serialize(all.at("channels")), {});
}

void Admin::channel_drop(const Ask& ask) {
  Core& core = view_.core;
  const std::string name = ask.channel.empty() ? member(ask.object, "name") : ask.channel;
  const auto found = core.deliveries().channels().find(name);
  if (found == core.deliveries().channels().end()) return core.answer(ask.call, {}, "no channel \"" + name + "\"");
  view_.orders.drop(ask.call, name);
}

void Admin::routes_explain(const Ask& ask) {
  std::vector<std::pair<std::string_view, std::string_view>> labels;
  std::vector<std::pair<std::string, std::string>> kept;
  if (const auto* given = ask.object.if_contains("labels"); given && given->is_object()) {
    for (const auto& [key, value] : given->get_object()) {
      if (value.is_string()) kept.emplace_back(key, std::string(value.get_string()));
    }
  }
  for (const auto& [key, value] : kept) labels.emplace_back(key, value);
  const std::string type = member(ask.object, "type"), source = member(ask.object, "source");
  const auto* needs = ask.object.if_contains("needs_response");
  const auto explained =
      view_.core.admission().router().explain({type, std::max(0, severity_from_name(member(ask.object, "severity"))),
                                               source, labels, needs && needs->is_bool() && needs->get_bool()});
  json::array to, why;
  for (const auto& name : explained.route.channels) to.push_back(json::value(name));
  for (const auto& line : explained.why) why.push_back(json::value(line));
  return view_.core.answer(
      ask.call, json::serialize(json::object{{"type", type}, {"channels", std::move(to)}, {"why", std::move(why)}}),
      {});
}

void Admin::dead_list(const Ask& ask) {
  json::array letters;
  size_t read = 0;
  for (const auto& [key, place] : view_.dead.letters()) {
    if (!ask.channel.empty() && key.channel != ask.channel) continue;
    if (letters.size() >= 1000 || read >= kMaxRead) break;
    read += place.length;
    if (const auto letter = view_.dead.read(key)) letters.push_back(letter_json(key, *letter));
  }
  const size_t total = view_.dead.letters().size();
  view_.core.answer(ask.call, json::serialize(json::object{{"letters", std::move(letters)}, {"total", total}}), {});
}

void Admin::dead_one(const Ask& ask) {
  const auto* wanted_delivery = ask.object.if_contains("delivery");
  const auto* all = ask.object.if_contains("all");
  boost::system::error_code wrong;
  const uint64_t delivery = wanted_delivery ? wanted_delivery->to_number<uint64_t>(wrong) : 0;
  if (wrong) return view_.core.answer(ask.call, {}, "\"delivery\" must be a dead letter's number");
  const bool everything = all && all->is_bool() && all->get_bool();
  std::vector<DeadLetters::Key> keys;
  for (const auto& [key, place] : view_.dead.letters()) {
    const bool of_channel = ask.channel.empty() || key.channel == ask.channel;
    const bool wanted =
        everything || (delivery ? key.delivery == delivery && of_channel : !ask.channel.empty() && of_channel);
    if (wanted) keys.push_back(key);
  }
  if (keys.empty()) return view_.core.answer(ask.call, {}, "no such dead letter: see `detent dead list`");
  if (ask.command == "dead.show") {
    const auto letter = view_.dead.read(keys.front());
    if (!letter) return view_.core.answer(ask.call, {}, letter.error().what);
    auto out = letter_json(keys.front(), *letter);
    json::array signals;
    for (const auto& signal : letter->signals) signals.push_back(json::parse(shortened_json(signal)));
    out["signals"] = std::move(signals);
    json::array parts;
    for (const auto& part : letter->parts) parts.push_back(parts_json(part));
    out["parts"] = std::move(parts);
    return view_.core.answer(ask.call, json::serialize(out), {});
  }
  return view_.orders.add(ask.call, ask.command == "dead.retry", std::move(keys));
}

void Admin::trace(const Ask& ask) {
  const std::string text = member(ask.object, "id");
  const auto id = Ulid::parse(text);
  if (!id) return view_.core.answer(ask.call, {}, "\"" + text + "\" is not a signal's id (26 characters)");
  // The scan may take a second over a full journal: not on the loop.
  view_.executor.chore([this, call = ask.call, id = *id, tail = std::shared_ptr(view_.journal.tail()),
                        synced = view_.synced]() -> Executor::OnLoop {
    auto told = tell(*tail, synced, id);
    if (!told) {
      return [this, call, why = told.error().what](Now) {
        view_.core.answer(call, {}, "the journal cannot be read at the moment, try again: " + why);
      };
    }
    return [this, call, id, story = std::make_shared<Story>(std::move(*told))](Now) {
      if (!story->found)
        return view_.core.answer(call, {}, "signal " + id.text() + " is not in the journal (any more)");
      add_open(*story);
      view_.core.answer(call, story_json(*story), {});
    };
  });
}

void Admin::add_open(Story& story) const {
  const auto& channels = view_.core.deliveries().channels();
  for (auto& channel : story.channels) {
    const auto home = channels.find(channel.name);
    if (!channel.state.empty() || home == channels.end()) continue;
    const Open* open = home->second.find(story.seq);
    if (!open) continue;
    const bool in_hand = open->state == Open::State::UnderWay;
    const bool came_back = open->attempts > (in_hand ? 1 : 0);
    channel.attempts = open->attempts;
    channel.state = in_hand                               ? "with a consumer"
                    : open->state == Open::State::Blocked ? "waiting for an earlier one of its thread"
                    : came_back                           ? "retrying"
                                                          : "queued";
    const auto health = view_.core.deliveries().health(channel.name);
    if (health.circuit_open) {
      channel.cause = health.why;
    } else if (!health.consumers) {
      channel.cause = "no consumer is connected";
    } else if (came_back) {
      channel.cause = health.trouble;
    }
  }
}

}  // namespace detent
