#include "broker/story.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/json.hpp>

#include "base/utf8.h"
#include "broker/admitted.h"
#include "proto/journal.pb.h"
#include "proto/json.h"
#include "proto/signal_validator.h"

namespace detent {

namespace json = boost::json;

namespace {

constexpr size_t kMaxText = 64 << 10;  // an escaped byte may become six

std::string name_of(SettledRecord::State state) {
  switch (state) {
    case SettledRecord::DELIVERED:
      return "delivered";
    case SettledRecord::UNKNOWN:
      return "unknown";
    case SettledRecord::EXPIRED:
      return "expired";
    case SettledRecord::DEAD:
      return "dead";
    default:
      return "dropped";
  }
}

}  // namespace

Result<Story> tell(JournalTail& tail, const LogPosition& synced, const Ulid& id) {
  Story story;
  const auto channel = [&story](const std::string& name) -> Story::OneChannel& {
    for (auto& one : story.channels) {
      if (one.name == name) return one;
    }
    return story.channels.emplace_back(Story::OneChannel{name});
  };
  // A revived dead letter is the same signal under another number.
  std::vector<uint64_t> seqs;
  for (;;) {
    const auto next = tail.next(synced);
    if (!next) {
      if (is_lost(next.error())) continue;  // the rest may tell it all the same
      return next.error();
    }
    if (!*next) break;
    const std::string_view bytes = (*next)->bytes;
    if (const auto signal = signal_of(bytes); !signal.empty()) {
      if (signal.find(id.view()) == std::string_view::npos || read_header(signal).id != id.view()) continue;
      const AdmittedView admitted = *read_admitted(bytes);
      story.found = true;
      story.seq = admitted.seq;
      seqs.push_back(admitted.seq);
      if (!story.journalled_ms) story.journalled_ms = admitted.at_ms;
      story.repeat_unproven = admitted.repeat_unproven;
      story.signal = signal;
      for (const auto name : admitted.channels) {
        auto& one = channel(std::string(name));
        one.state.clear();
        if (admitted.revived)
          one.events.push_back({admitted.at_ms, "brought back from the dead letters", 0, {}, {}, {}});
      }
      continue;
    }
    if (seqs.empty()) continue;
    Record record;
    if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) continue;
    const auto ours = [&seqs](const auto& those) {
      return std::find_first_of(those.begin(), those.end(), seqs.begin(), seqs.end()) != those.end();
    };
    if (record.has_begun() && ours(record.begun().seqs())) {
      const auto& begun = record.begun();
      channel(begun.channel())
          .events.push_back({begun.at_ms(),
                             begun.part().done()       ? "sent"
                             : begun.part().begun_ms() ? "begun"
                                                       : "not taken",
                             begun.part().part(),
                             begun.part().message_id(),
                             begun.part().link(),
                             {}});
    } else if (record.has_settled() && ours(record.settled().seqs())) {
      const auto& settled = record.settled();
      auto& one = channel(settled.channel());
      one.state = name_of(settled.state());
      one.cause = settled.cause();
      Story::Event event{settled.at_ms(), one.state, 0, {}, {}, settled.cause()};
      if (settled.parts_size()) {
        event.message_id = settled.parts(0).message_id();
        event.link = settled.parts(0).link();
      }
      one.events.push_back(std::move(event));
    }
  }
  return story;
}

std::string shortened_json(std::string_view signal) {
  json::value value = json::parse(signal_to_json(signal));
  for (auto& member : value.as_object()) {
    auto* text = member.value().if_string();
    if (!text || text->size() <= kMaxText) continue;
    const size_t kept = character_start(std::string_view(text->data(), text->size()), kMaxText);
    const std::string note = fmt::format("… (the first {} of {} bytes)", kept, text->size());
    text->resize(kept);
    text->append(note);
  }
  return json::serialize(value);
}

std::string story_json(const Story& story) {
  json::object out;
  out["signal"] = json::parse(shortened_json(story.signal));
  out["seq"] = story.seq;
  out["journalled"] = utc_millis(Millis{story.journalled_ms});
  out["repeat_unproven"] = story.repeat_unproven;
  json::array channels;
  for (const auto& one : story.channels) {
    json::array events;
    for (const auto& event : one.events) {
      json::object line{{"at", utc_millis(Millis{event.at_ms})}, {"what", event.what}};
      if (event.part) line["part"] = event.part;
      if (!event.message_id.empty()) line["message_id"] = event.message_id;
      if (!event.link.empty()) line["link"] = event.link;
      if (!event.cause.empty()) line["cause"] = event.cause;
      events.push_back(std::move(line));
    }
    channels.push_back({{"channel", one.name},
                        {"state", one.state.empty() ? "queued" : one.state},
                        {"cause", one.cause},
                        {"attempts", one.attempts},
                        {"events", std::move(events)}});
  }
  out["channels"] = std::move(channels);
  return json::serialize(out);
}

}  // namespace detent
