#include "tests/simulation/courier_process.h"

#include <utility>

#include "consumers/discord/channel.h"
#include "consumers/telegram/chat.h"
#include "proto/reader.h"
#include "proto/wire.pb.h"

namespace detent::test {

namespace {
Secret secret_of(const std::string& value) {
  Secret secret = Secret::literal(value);
  (void)secret.refresh();
  return secret;
}

/// The channel that a Deliver, BegunDurable or Stale is for.
std::string_view channel_of(std::string_view body) {
  Reader reader(body);
  while (reader.next()) {
    if (reader.field() == 1 && reader.wire() == 2) return reader.bytes();
  }
  return {};
}
}  // namespace

CourierProcess::CourierProcess(int client, uint64_t life, const std::vector<std::string>& channels, Link& link,
                               Platforms& platforms)
    : link_(link), platforms_(platforms) {
  for (const auto& name : channels) {
    auto line = std::make_unique<Line>(Line{{client, life, name}, secret_of(platforms.secret(name)), {}, {}});
    if (name == "telegram") {
      line->channel = std::make_unique<telegram::Chat>(
          telegram::Chat::Place{.api = "http://telegram", .name = name, .chat = 1}, line->secret);
    } else {
      const bool webhook = name == "discord.chat";
      discord::Channel::Place place{.api = "http://discord/api/v10", .name = name, .webhook = webhook};
      if (!webhook) place.id = name == "discord.alerts" ? "2" : "4";
      line->channel = std::make_unique<discord::Channel>(place, line->secret, limits_);
    }
    consumers::Courier::Options options{.channel = name, .credit = 8, .credit_bytes = 40'000};
    line->courier = std::make_unique<consumers::Courier>(options, *line->channel);
    lines_.push_back(std::move(line));
  }
}

void CourierProcess::on_event(const Link::Event& event, Now now) {
  if (event.kind == Link::Event::Frame && event.field == Frame::kByeDone) left_ = true;
  for (auto& line : lines_) {
    if (event.kind == Link::Event::Opened) line->courier->opened(now);
    if (event.kind == Link::Event::Lost) line->courier->lost();
    if (event.kind == Link::Event::Frame && channel_of(event.body) == line->asker.channel)
      line->courier->received(event.field, event.body, now);
    hand_on(*line, now);
  }
}

void CourierProcess::hand_on(Line& line, Now now) {
  for (const auto& frame : line.courier->frames) {
    if (link_.is_open()) link_.send(frame.field, frame.body);
  }
  line.courier->frames.clear();
  line.courier->said.clear();
  if (line.courier->request) platforms_.ask(line.asker, std::move(*line.courier->request), now);
  line.courier->request.reset();
}

void CourierProcess::answered(const Platforms::Answered& answered, Now now) {
  for (auto& line : lines_) {
    if (line->asker.channel != answered.asker.channel) continue;
    line->courier->answered(answered.number, answered.answer, now);
    hand_on(*line, now);
  }
}

void CourierProcess::look_at_tokens(Now now) {
  for (auto& line : lines_) {
    const std::string secret = platforms_.secret(line->asker.channel);
    if (line->secret.reveal() == secret) continue;
    line->secret = secret_of(secret);
    line->courier->token_changed(now);
    hand_on(*line, now);
  }
}

void CourierProcess::turn(Now now) {
  if (stopping_ && !std::exchange(draining_, true)) {
    for (auto& line : lines_) line->courier->drain();
  }
  bool idle = true;
  for (auto& line : lines_) {
    line->courier->tick(now);
    hand_on(*line, now);
    idle = idle && line->courier->idle();
  }
  if (!draining_ || left_) return;
  if (!link_.is_open()) {
    left_ = idle || bye_sent_;
  } else if (idle && !std::exchange(bye_sent_, true)) {
    link_.send(Frame::kBye, Bye().SerializeAsString());
  }
}

}  // namespace detent::test
