// Whatever a signal's payload holds, both platforms get JSON within their limits that pings nobody.
#include <boost/json.hpp>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "consumers/discord/render.h"
#include "consumers/story.h"
#include "consumers/telegram/render.h"
#include "consumers/text.h"
#include "proto/signal.pb.h"
#include "proto/wire.pb.h"

using namespace detent;

namespace {

size_t units_of(const boost::json::object& payload, const char* field) {
  const auto* text = payload.if_contains(field);
  return text && text->is_string() ? consumers::units(std::string_view(text->as_string())) : 0;
}

}  // namespace

// The first byte chooses the type and the style; the rest is a body, or with its lowest bit a payload as it is.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  constexpr const char* kTypes[] = {"note.any",     "incident.detected", "cron.output",     "heartbeat.ok",
                                    "chat.message", "memory.updated",    "subagent.result", "briefing.daily"};
  Signal signal;
  signal.set_id(std::string(16, '\1'));
  signal.set_type(kTypes[data[0] >> 5]);
  signal.set_source("fuzz");
  if (data[0] & 1) {
    signal.set_payload(rest);
  } else {
    std::string payload;
    for (const char tag : {'\x0a', '\x12'}) {  // title and body of a Note, in any bytes
      const std::string text = rest.substr(0, tag == '\x0a' ? 100 : 16'000);
      payload.push_back(tag);
      for (size_t left = text.size();; left >>= 7) {
        payload.push_back(static_cast<char>((left & 0x7f) | (left > 0x7f ? 0x80 : 0)));
        if (left <= 0x7f) break;
      }
      payload += text;
    }
    signal.set_payload(payload);
  }
  Delivery delivery;
  delivery.add_signals()->set_signal(signal.SerializeAsString());
  const consumers::Story story = consumers::tell(delivery, 1'000'000);
  CHECK(!story.title.empty(), "there is always a title");

  const discord::Style style{.channel = "x", .embeds = !(data[0] & 4), .files = !(data[0] & 8)};
  for (const auto& message : discord::render(story, style)) {
    const auto payload = boost::json::parse(message.payload).as_object();
    CHECK(units_of(payload, "content") <= 2000, "content fits");
    CHECK(payload.at("allowed_mentions").at("parse").as_array().empty(), "nobody is pinged");
  }
  for (const auto& message : telegram::render(story, {})) {
    CHECK(boost::json::parse(message.payload).is_object(), "the HTML form is JSON");
    const auto plain = boost::json::parse(message.plain).as_object();
    CHECK(units_of(plain, "text") <= 4096 && units_of(plain, "caption") <= 1024, "the plain form fits");
  }
  return 0;
}
