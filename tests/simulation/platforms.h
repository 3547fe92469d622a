// Discord and Telegram as the sandbox serves them, reached over a bad wire, and what a person sees there. Their clock
// is right; Detent's need not be.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "consumers/courier.h"
#include "sandbox/discord_api.h"
#include "sandbox/telegram_api.h"
#include "tests/simulation/dice.h"

namespace detent::test {

/// Who asks: a consumer's process, in which of its lives, for which of Detent's channels.
struct Asker {
  int client = 0;
  uint64_t life = 0;
  std::string channel;
};

class Platforms {
 public:
  struct Answered {
    Asker asker;
    uint64_t number = 0;
    http::Answer answer;
  };
  /// A message that became visible, as far as it is of a numbered signal. Its words are numbered too.
  struct Shown {
    int signal = -1;     // none where it is of no numbered one
    uint64_t order = 0;  // over all
    std::set<int> words;
    bool marked = false;  // as a repeat
  };
  /// (channel, number of the signal)
  using Key = std::pair<std::string, int>;

  explicit Platforms(Dice& dice) : dice_(dice) {}

  void ask(const Asker& asker, consumers::Courier::Sending sending, Now now);
  /// What has come back by now.
  std::vector<Answered> turn(Now now);
  /// No faults from here on.
  void calm() { calm_ = true; }

  /// The token, or a webhook's whole URL, that Detent is given.
  std::string secret(const std::string& channel) const;
  /// All secrets given until now are refused; those after `renew` are good.
  void revoke() { ++accepted_; }
  void renew() { given_ = accepted_; }

  const std::map<Key, std::vector<Shown>>& shown() const { return shown_; }
  uint64_t faults() const { return faults_; }
  uint64_t looks() const { return looks_; }

 private:
  enum class Fate { Good, Unreachable, LostBefore, LostAfter, Silent, TakenAndSilent, Status, Gateway, Slow };
  struct Event {
    Asker asker;
    consumers::Courier::Sending sending;
    Fate fate = Fate::Good;
    bool arrives = true;  // else it comes back, with this:
    http::Answer answer{http::Response{}};
  };

  Fate fate();
  void arrive(Event event, Now now);
  http::Response serve(const Asker& asker, const http::Request& request, bool fails, Now now);
  http::Response serve_discord(const http::Incoming& in, const std::string& path, const sandbox::Fault* fault, Now now);
  http::Response serve_telegram(const http::Incoming& in, const std::string& rest, const sandbox::Fault* fault,
                                Now now);

  Dice& dice_;
  bool calm_ = false;
  uint64_t accepted_ = 1, given_ = 1;
  std::multimap<std::pair<Millis, uint64_t>, Event> events_;
  uint64_t next_ = 0;

  sandbox::Discord discord_{[](const sandbox::json::object&) {}};
  sandbox::Telegram telegram_{[](const sandbox::json::object&) {}, [](const std::string&) {}};
  sandbox::DiscordApi discord_api_{discord_, {}};
  sandbox::TelegramApi telegram_api_{telegram_, sandbox::Pace{}};
  std::set<std::string> messages_;  // Discord's, by id

  std::map<Key, std::vector<Shown>> shown_;
  uint64_t orders_ = 0, faults_ = 0, looks_ = 0;
};

}  // namespace detent::test
