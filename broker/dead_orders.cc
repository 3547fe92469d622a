#include "broker/dead_orders.h"

#include <algorithm>
#include <boost/json.hpp>

namespace detent {

namespace {
constexpr size_t kMaxKeys = 4096;      // letters of a bite
constexpr size_t kMaxBytes = 1 << 20;  // in the core's batch, from which on no more are added
}  // namespace

void DeadOrders::add(AdminCall call, bool retry, std::vector<DeadLetters::Key> keys) {
  orders_.push_back({std::move(call), retry, std::move(keys)});
}

std::optional<DeadOrders::Bite> DeadOrders::bite(bool stopping, Now now) {
  if (orders_.empty()) return std::nullopt;
  Order& order = orders_.front();
  Bite bite{{}, order.retry, {}};
  for (size_t looked = 0; order.next < order.keys.size() && looked < kMaxKeys; ++looked) {
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
  if (order.next == order.keys.size() || stopping) {
    bite.answer = {order.call, boost::json::serialize(boost::json::object{
                                   {order.retry ? "retried" : "dropped", order.done}, {"of", order.keys.size()}})};
    orders_.pop_front();
  }
  return bite;
}

}  // namespace detent
