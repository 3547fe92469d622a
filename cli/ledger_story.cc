#include "cli/ledger_story.h"

#include <boost/json.hpp>
#include <map>
#include <string>

#include "cli/text.h"
#include "proto/json.h"

namespace detent {

namespace json = boost::json;

json::object ledger_story(const std::vector<LedgerPlace>& lines) {
  json::object story;
  std::map<std::string, json::object> channels;
  for (const LedgerPlace& place : lines) {
    const json::value line = json::parse(place.text);
    if (!place.receipt) {
      if (story.empty()) {
        story = {{"signal", json::parse(signal_to_json(place.raw))},
                 {"seq", line.at("seq")},
                 {"journalled", line.at("journalled")}};
      }
      for (const json::value& name : list_of(line, "channels")) {
        channels[name.as_string().c_str()]["state"] = "without a receipt";
      }
      continue;
    }
    json::object& channel = channels[text_of(line, "channel")];
    channel["state"] = line.at("receipt");
    channel["cause"] = text_of(line, "cause");
    json::object event{{"at", text_of(line, "time")}, {"what", line.at("receipt")}, {"cause", text_of(line, "cause")}};
    if (const std::string message = text_of(line, "message"); !message.empty()) event["message_id"] = message;
    if (const std::string link = text_of(line, "link"); !link.empty()) event["link"] = link;
    channel.emplace("events", json::array{});
    channel["events"].as_array().push_back(std::move(event));
  }
  json::array all;
  for (auto& [name, channel] : channels) {
    channel["channel"] = name;
    all.push_back(std::move(channel));
  }
  story["channels"] = std::move(all);
  return story;
}

}  // namespace detent
