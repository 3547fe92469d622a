// What must hold once everything is settled.
#include <algorithm>

#include "proto/journal.pb.h"
#include "proto/signal_validator.h"
#include "tests/simulation/client.h"

namespace detent::test {

void World::check_acknowledged(const Books& books) {
  for (const auto& [id, signal] : published_) {
    if (signal.acknowledged && !books.ids.contains(id)) {
      return broken("acknowledged and gone after a restart: " + Ulid::from_bytes(id)->text());
    }
  }
}

void World::check_all_arrived() {
  const Books& books = broker_->books();
  for (const auto& [id, signal] : published_) {
    if (!signal.own && !signal.acknowledged) return broken("never acknowledged");
  }
  check_acknowledged(books);
  for (const auto& [seq, entry] : books.signals) {
    const auto signal = published_.find(entry.id);
    if (signal == published_.end() ? entry.source != "detent" : signal->second.bytes != entry.bytes)
      return broken("the journal has a signal that nobody published");
    if (signal != published_.end() && !signal->second.own && !entry.revived &&
        !signal->second.routes.contains(entry.channels))
      return broken(fmt::format("signal {} went by no route that was in force", signal->second.number));
    for (const auto& channel : entry.channels) {
      const auto settled = books.settled.find({channel, seq});
      if (settled == books.settled.end() && broker_->was_lost(seq)) continue;
      if (settled == books.settled.end()) return broken(fmt::format("{} of {} is not settled", seq, channel));
      switch (settled->second.state) {
        case SettledRecord::DELIVERED:
          if (!platforms_ && !taken_.contains({channel, entry.id}))
            return broken("said to be delivered, and nobody took it");
          break;
        case SettledRecord::UNKNOWN:
          if (!platforms_) return broken("unknown, and nobody said so");
          ++counts_.unknown;
          break;
        case SettledRecord::EXPIRED:
          ++counts_.expired;
          if (signal != published_.end() && !signal->second.expires) return broken("expired without an end");
          break;
        case SettledRecord::DEAD:
          ++counts_.dead;
          if (broker_->was_closed({channel, settled->second.delivery})) break;
          if (const auto letter = broker_->letters().read({channel, settled->second.delivery}); letter) {
            counts_.backlog += letter->cause == "backlog";
            counts_.killers += letter->cause.find("consumers died") != std::string::npos;
          }
          break;
        case SettledRecord::DROPPED:
          ++counts_.dropped;
          if (!broker_->may_be_dropped({channel, seq}))
            return broken(fmt::format("{} of {} was dropped, and the operator did not ask for it", seq, channel));
          break;
        default:
          return broken("settled in a way that nobody asked for");
      }
    }
  }
  // One that was given up elsewhere, while a consumer still took it for its own, was waited for by nobody.
  for (const auto& place : overtaken_) {
    const auto settled = books.settled.find(place);
    if (settled != books.settled.end() && settled->second.state == SettledRecord::DELIVERED)
      return broken(fmt::format("{} took {} after a later one of its thread", place.channel, place.seq));
  }
  for (const auto& [key, place] : broker_->letters().letters()) {
    if (!books.delivered.contains(key)) return broken("a dead letter of a delivery that is not settled");
  }
}

namespace {
/// Nothing there makes a repeat invisible.
bool is_bare(const std::string& channel) { return channel == "telegram" || channel == "discord.chat"; }
}  // namespace

void World::check_shown() {
  // How the deliveries of a signal to a channel ended: one, and one more for each time that the operator brought it
  // back. One whose text rotted has no end, and may have been sent before.
  const Books& books = broker_->books();
  std::map<std::pair<std::string, std::string>, std::vector<int>> ends;
  std::map<std::pair<std::string, std::string>, size_t> deliveries;
  for (const auto& [seq, entry] : books.signals) {
    if (entry.source == "detent") continue;
    for (const auto& channel : entry.channels) {
      auto& states = ends[{channel, entry.id}];
      ++deliveries[{channel, entry.id}];
      if (const auto settled = books.settled.find({channel, seq}); settled != books.settled.end())
        states.push_back(settled->second.state);
    }
  }
  for (const auto& [at, states] : ends) {
    const auto& [channel, id] = at;
    const Published& signal = published_[id];
    const auto where = fmt::format("signal {} in {}", signal.number, channel);
    const auto ended = [&states = states](int state) {
      return std::find(states.begin(), states.end(), state) != states.end();
    };
    std::map<int, size_t> plain, marked;  // messages by word
    const auto shown = platforms_->shown().find({channel, signal.number});
    if (shown != platforms_->shown().end()) {
      for (const auto& message : shown->second) {
        ++counts_.shown;
        counts_.repeats += message.marked;
        for (const int word : message.words) ++(message.marked ? marked : plain)[word];
      }
    }
    const bool may_repeat = is_bare(channel) && signal.needs_response;
    if (ended(SettledRecord::UNKNOWN) && (!is_bare(channel) || may_repeat)) return broken(where + " is unknown");
    for (int word = 0; word <= signal.words; ++word) {
      if (plain[word] > deliveries[at]) return broken(fmt::format("{} is shown {} times", where, plain[word]));
      if (marked[word] && !may_repeat) return broken(where + " was repeated");
      const bool there = plain[word] || marked[word];
      if (ended(SettledRecord::DELIVERED) && !there)
        return broken(where + " was said to be delivered, and is not there");
      if (deliveries[at] == 1 && ended(SettledRecord::EXPIRED) && there)
        return broken(where + " was said to be expired, and is there");
    }
  }
  // What a thread key orders became visible in that order. One that was settled without being there may come late: then
  // the others did not wait for it. One that the operator brought back, and whose text then rotted, is not waited for.
  std::map<std::pair<std::string, std::string>, uint64_t> latest;
  for (const auto& [seq, entry] : books.signals) {
    const auto published = published_.find(entry.id);
    if (entry.source == "detent" || published->second.thread.empty()) continue;
    const Published& signal = published->second;
    for (const auto& channel : entry.channels) {
      const auto& states = ends[{channel, entry.id}];
      const auto shown = platforms_->shown().find({channel, signal.number});
      const bool came = books.settled.contains({channel, seq});
      if (!came || shown == platforms_->shown().end() || states.size() != 1) continue;
      auto& before = latest[{channel, signal.thread}];
      const uint64_t first = shown->second.front().order;
      if (first < before)
        return broken(fmt::format("signal {} overtook one of {} in {}", signal.number, signal.thread, channel));
      if (states.front() == SettledRecord::DELIVERED) before = first;
    }
  }
}

}  // namespace detent::test
