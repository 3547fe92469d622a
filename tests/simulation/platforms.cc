#include "tests/simulation/platforms.h"

#include <algorithm>
#include <charconv>

#include "http/url.h"

namespace detent::test {

namespace {
constexpr std::string_view kDiscord = "http://discord/api/v10", kTelegram = "http://telegram/bot";

/// The number that `text` begins with, and moves it behind; -1: none.
int number_at(std::string_view& text) {
  int number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return error == std::errc{} ? number : -1;
}

std::string token_of(uint64_t generation) { return "token" + std::to_string(generation) + "."; }

/// Reads "signal 12" (word 0) and "sig12word3" out of a message.
Platforms::Shown read(const std::string& request) {
  Platforms::Shown shown{.marked = request.find("(repeat)") != std::string::npos};
  std::string_view text = request;
  for (size_t at = text.find("sig"); at != text.npos; at = text.find("sig")) {
    text.remove_prefix(at + 3);
    const bool title = text.starts_with("nal ");
    if (title) text.remove_prefix(4);
    const int number = number_at(text);
    int word = 0;
    if (!title) {
      if (number < 0 || !text.starts_with("word")) continue;
      text.remove_prefix(4);
      word = number_at(text);
    }
    if (number < 0 || word < 0) continue;
    shown.signal = number;
    shown.words.insert(word);
  }
  return shown;
}
}  // namespace

std::string Platforms::secret(const std::string& channel) const {
  const std::string token = token_of(given_);
  return channel == "discord.chat" ? std::string(kDiscord) + "/webhooks/6/" + token : token;
}

Platforms::Fate Platforms::fate() {
  if (calm_) return Fate::Good;
  const uint64_t toss = dice_.below(100);
  if (toss >= 24) return Fate::Good;
  static constexpr Fate kFates[] = {Fate::Unreachable, Fate::LostBefore,     Fate::LostAfter, Fate::LostAfter,
                                    Fate::Silent,      Fate::TakenAndSilent, Fate::Status,    Fate::Status,
                                    Fate::Status,      Fate::Gateway,        Fate::Slow,      Fate::LostAfter};
  ++faults_;
  return kFates[toss / 2];
}

void Platforms::ask(const Asker& asker, consumers::Courier::Sending sending, Now now) {
  Event event{asker, std::move(sending), fate()};
  if (event.fate == Fate::Unreachable) {
    event.arrives = false;
    event.answer = http::SendFailure{{"no way there", 111}, http::Sent::No};
  }
  // Whoever waits no longer for the answer does not call the request back.
  const Millis way{1 + dice_.below(event.fate == Fate::TakenAndSilent ? 10'000 : 80)};
  events_.emplace(std::pair{now.mono + way, next_++}, std::move(event));
}

std::vector<Platforms::Answered> Platforms::turn(Now now) {
  std::vector<Answered> answered;
  while (!events_.empty() && events_.begin()->first.first <= now.mono) {
    Event event = std::move(events_.begin()->second);
    events_.erase(events_.begin());
    if (event.arrives) {
      arrive(std::move(event), now);
    } else {
      answered.push_back({std::move(event.asker), event.sending.number, std::move(event.answer)});
    }
  }
  return answered;
}

void Platforms::arrive(Event event, Now now) {
  Millis back{1 + dice_.below(80)};
  const Millis deadline = event.sending.request.deadline;
  const auto serves = [&](bool fails) { return serve(event.asker, event.sending.request, fails, now); };
  const auto fails = [](const char* what, int code) {
    return http::Answer(http::SendFailure{{what, code}, http::Sent::Maybe});
  };
  switch (event.fate) {
    case Fate::LostAfter:
      (void)serves(false);
      [[fallthrough]];
    case Fate::LostBefore:
      event.answer = fails("connection reset", 104);
      break;
    case Fate::TakenAndSilent:
      (void)serves(false);
      [[fallthrough]];
    case Fate::Silent:
      event.answer = fails("no answer", 110);
      back = deadline;
      break;
    case Fate::Gateway:
      if (dice_.chance(0.5)) (void)serves(false);
      event.answer = http::Response{502, {}, "<html>Bad Gateway</html>"};
      break;
    case Fate::Status:
      event.answer = serves(true);
      break;
    case Fate::Slow:
      back = Millis{dice_.below(static_cast<uint64_t>(deadline.count()))};
      [[fallthrough]];
    default:
      event.answer = serves(false);
  }
  event.arrives = false;
  events_.emplace(std::pair{now.mono + back, next_++}, std::move(event));
}

/// `fails`: the service itself says that it is not well.
http::Response Platforms::serve(const Asker& asker, const http::Request& request, bool fails, Now now) {
  sandbox::Fault fault;
  fault.status = dice_.chance(0.5) ? 429 : 500;
  fault.retry_after = static_cast<double>(1 + dice_.below(20));
  fault.scope = dice_.chance(0.3) ? "sublimit" : "user";
  const std::string token = token_of(accepted_);
  const bool allowed = request.url.find(token) != std::string::npos ||
                       std::any_of(request.headers.begin(), request.headers.end(),
                                   [&](const auto& h) { return h.second == "Bot " + token; });
  Shown shown = read(request.body);
  const bool refuses = shown.signal % 25 == 7;
  if (refuses) fault.status = 400;
  if (!allowed) fault.status = 401;
  const sandbox::Fault* met = fails || refuses || !allowed ? &fault : nullptr;

  const bool telegram = request.url.starts_with(kTelegram);
  http::Incoming in{.method = request.method, .headers = request.headers, .body = request.body};
  const size_t query = std::min(request.url.find('?'), request.url.size());
  if (query < request.url.size()) in.query = http::parse_query(std::string_view(request.url).substr(query + 1));
  const size_t base = telegram ? kTelegram.size() : kDiscord.size();
  const std::string path = request.url.substr(base, query - base);
  http::Response response = telegram ? serve_telegram(in, path, met, now) : serve_discord(in, path, met, now);
  if (request.method == "GET" && path.find("/messages") != std::string::npos && query < request.url.size() &&
      request.url.find("after=") != std::string::npos)
    ++looks_;
  if (request.method != "POST" || response.status != 200 || path.ends_with("/threads")) return response;
  // A repeat under the same nonce is answered with the message that is there already.
  const bool fresh =
      telegram || messages_.insert(sandbox::text_of(sandbox::json::parse(response.body).as_object(), "id")).second;
  if (!fresh || shown.signal < 0) return response;
  shown.order = ++orders_;
  shown_[{asker.channel, shown.signal}].push_back(std::move(shown));
  return response;
}

http::Response Platforms::serve_discord(const http::Incoming& in, const std::string& path, const sandbox::Fault* fault,
                                        Now now) {
  sandbox::DiscordCall call = sandbox::parse_discord_call(in, path);
  call.token = "token";  // another token is still the same bot, which the sandbox cannot know
  http::Outgoing out = discord_api_.answer(call, fault, now);
  return {out.status, std::move(out.headers), std::move(out.body)};
}

http::Response Platforms::serve_telegram(const http::Incoming& in, const std::string& rest, const sandbox::Fault* fault,
                                         Now now) {
  const size_t slash = rest.find('/');
  auto call = sandbox::parse_telegram_call(in, rest.substr(0, slash), rest.substr(slash + 1));
  http::Outgoing out = *telegram_api_.answer(call, fault, now);
  return {out.status, std::move(out.headers), std::move(out.body)};
}

}  // namespace detent::test
