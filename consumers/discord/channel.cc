#include "consumers/discord/channel.h"

#include "consumers/discord/job.h"

namespace detent::discord {

Channel::Channel(Place place, const Secret& secret, RateLimits& limits)
    : place_(std::move(place)), secret_(secret), limits_(limits) {
  style_.channel = place_.name;
  style_.silent = place_.silent;
  style_.webhook = place_.webhook;
}

std::unique_ptr<consumers::Job> Channel::take(const Delivery& delivery, std::vector<consumers::PartState> parts,
                                              Now now) {
  return std::make_unique<Job>(*this, consumers::tell(delivery, now.wall.count()), std::move(parts));
}

void Channel::token_changed() {
  // Another bot may have other permissions.
  style_.embeds = style_.files = threads_ = true;
  learnt_ = threads_looked_up_ = false;
  learn_after_ = Millis{0};
  once_.clear();
}

std::string Channel::link(const std::string& channel, const std::string& message) const {
  if (!learnt_ || channel.empty() || message.empty()) return "";
  return "https://discord.com/channels/" + (guild_.empty() ? "@me" : guild_) + "/" + channel + "/" + message;
}

void Channel::say_once(const std::string& what, std::string line) {
  if (once_.insert({what, true}).second) said.push_back(place_.name + ": " + std::move(line));
}

}  // namespace detent::discord
