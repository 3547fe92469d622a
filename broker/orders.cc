#include "broker/orders.h"

#include <algorithm>
#include <boost/json.hpp>

namespace detent {

namespace {
namespace json = boost::json;
constexpr size_t kMaxItems = 4096;     // of a bite
constexpr size_t kMaxBytes = 1 << 20;  // in the core's batch, from which on no more are added
}  // namespace

void Orders::add(AdminCall call, bool retry, std::vector<DeadLetters::Key> keys) {
  orders_.push_back({.call = std::move(call), .retry = retry, .keys = std::move(keys)});
}

void Orders::drop(AdminCall call, std::string channel) {
  const uint64_t upto = core_.admission().next_seq() - 1;
  orders_.push_back({.call = std::move(call), .channel = std::move(channel), .upto = upto});
}

std::optional<Orders::Bite> Orders::bite(bool stopping, Now now) {
  if (orders_.empty()) return std::nullopt;
  Order& order = orders_.front();
  Bite bite{{}, order.retry, {}};
  bool ends = stopping;
  json::object answer;
  if (order.channel.empty()) {
    close_letters(order, bite, now);
    ends = ends || order.next == order.keys.size();
    answer = {{order.retry ? "retried" : "dropped", order.done}, {"of", order.keys.size()}};
  } else {
    const size_t dropped = core_.deliveries().drop(order.channel, order.upto, kMaxItems, now);
    order.done += dropped;
    ends = ends || dropped < kMaxItems;
    answer = {{"channel", order.channel},
              {"dropped", order.done},
              {"open", core_.deliveries().channels().find(order.channel)->second.open()}};
  }
  if (ends) {
    bite.answer = {order.call, json::serialize(answer)};
    orders_.pop_front();
  }
  return bite;
}

void Orders::close_letters(Order& order, Bite& bite, Now now) {
  for (size_t looked = 0; order.next < order.keys.size() && looked < kMaxItems; ++looked) {
    if (core_.unsynced_bytes() >= kMaxBytes) break;
    const auto& key = order.keys[order.next++];
    if (!dead_.letters().contains(key)) continue;  // an order before this one had it
    if (order.retry) {
      const auto letter = dead_.read(key);
      if (!letter || std::count(letter->signals.begin(), letter->signals.end(), "") > 0) continue;
      for (const auto& signal : letter->signals) core_.admission().revive(key.channel, signal, now);
    }
    bite.keys.push_back(key);
    core_.deliveries().dead_letter_closed(key, now);
    ++order.done;
  }
  dead_.closed(bite.keys);
}

}  // namespace detent
