#include "cli/trace_words.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/json.hpp>
#include <ostream>
#include <vector>

#include "cli/text.h"

namespace detent {

namespace json = boost::json;

namespace {

/// "14:02:07" of "2026-11-22T14:02:07.123Z".
std::string time_of_day(const std::string& at) { return at.size() >= 19 ? at.substr(11, 8) : at; }

const json::value& part_of(const json::value& object, std::string_view key) {
  static const json::value none;
  const auto* all = object.if_object();
  const auto* value = all ? all->if_contains(json::string_view(key.data(), key.size())) : nullptr;
  return value ? *value : none;
}

std::string channel_words(const json::value& channel, const std::string& journalled) {
  const std::string state = text_of(channel, "state");
  const std::string cause = plain(text_of(channel, "cause"));
  std::string at, first, link;
  for (const json::value& event : list_of(channel, "events")) {
    at = time_of_day(text_of(event, "at"));
    if (first.empty()) first = at;
    if (const std::string here = text_of(event, "link"); !here.empty()) link = here;
  }
  if (first.empty()) first = journalled;
  std::string words = "-> " + text_of(channel, "channel") + ", ";
  if (state == "delivered") {
    words += "delivered at " + at + (link.empty() ? "" : " (" + link + ")");
  } else if (state == "unknown") {
    words += "perhaps delivered at " + at + " and not tried again, since it might appear twice";
  } else if (state == "expired") {
    words += "expired at " + at + " before it could be delivered";
  } else if (state == "dead") {
    words += "given up at " + at + ", now a dead letter";
  } else if (state == "dropped") {
    words += "dropped by the operator at " + at;
  } else {
    words += state + " since " + first;
  }
  if (!cause.empty()) words += ": " + cause;
  return words;
}

}  // namespace

std::string trace_sentence(const json::value& story) {
  const std::string journalled = time_of_day(text_of(story, "journalled"));
  const json::array& channels = list_of(story, "channels");
  if (channels.empty())
    return "journalled at " + journalled + ", and no route names a channel: recorded, not delivered anywhere";
  std::vector<std::string> all;
  for (const json::value& channel : channels) all.push_back(channel_words(channel, journalled));
  return fmt::format("journalled at {} {}", journalled, fmt::join(all, "; "));
}

void print_trace(std::ostream& out, const json::value& story) {
  const json::value& signal = part_of(story, "signal");
  out << plain(text_of(signal, "type")) << ": " << plain(text_of(signal, "title")) << "\n";
  std::vector<std::vector<std::string>> head{{"id", text_of(signal, "id")},
                                             {"number", text_of(story, "seq")},
                                             {"source", plain(text_of(signal, "source"))},
                                             {"severity", text_of(signal, "severity")}};
  if (text_of(signal, "needs_response") == "true") head.push_back({"needs", "a response from the operator"});
  if (text_of(story, "repeat_unproven") == "true")
    head.push_back({"note", "older than all that the broker remembers: perhaps a repeat"});
  if (const std::string note = plain(text_of(story, "note")); !note.empty()) head.push_back({"note", note});
  print_table(out, head);

  out << "\n";
  std::vector<std::vector<std::string>> rows{{text_of(story, "journalled"), "journalled"}};
  for (const json::value& channel : list_of(story, "channels")) {
    for (const json::value& event : list_of(channel, "events")) {
      std::string what = text_of(event, "what");
      if (const std::string part = text_of(event, "part"); !part.empty()) what += " (part " + part + ")";
      std::string more = text_of(event, "link");
      if (more.empty()) more = text_of(event, "message_id");
      if (const std::string cause = plain(text_of(event, "cause")); !cause.empty())
        more += (more.empty() ? "" : ", ") + cause;
      rows.push_back({text_of(event, "at"), text_of(channel, "channel"), what, more});
    }
  }
  std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a[0] < b[0]; });
  print_table(out, rows);
  out << "\n" << trace_sentence(story) << "\n";
}

}  // namespace detent
