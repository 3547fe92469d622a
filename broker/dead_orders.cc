#include "broker/dead_orders.h"

#include <boost/json.hpp>

namespace detent {

namespace {
constexpr size_t kMostKeys = 4096;      // letters of a bite
constexpr size_t kMostBytes = 1 << 20;  // in the core's batch, from which on no more are added
}  // namespace

void DeadOrders::add(Question question, bool retry, std::vector<DeadLetters::Key> keys) {
  orders_.push_back({std::move(question), retry, std::move(keys)});
}

std::optional<DeadOrders::Bite> DeadOrders::bite(bool stopping, Now now) {
  if (orders_.empty()) return std::nullopt;
  Order& order = orders_.front();
  Bite bite{{}, order.retry, {}};
  for (size_t looked = 0; order.next < order.keys.size() && looked < kMostKeys; ++looked) {
    if (core_.unsynced_bytes() >= kMostBytes) break;
    const auto& key = order.keys[order.next++];
    if (!dead_.letters().contains(key)) continue;  // an order before this one had it
    if (order.retry) {
      const auto letter = dead_.read(key);
      if (!letter || letter->signal.empty()) continue;
      core_.revive(key.channel, letter->signal, now);
    }
    bite.keys.push_back(key);
    core_.buried_closed(key.channel, key.seq, now);
    ++order.done;
  }
  dead_.closed(bite.keys);
  if (order.next == order.keys.size() || stopping) {
    bite.answer = {order.question, boost::json::serialize(boost::json::object{
                                       {order.retry ? "retried" : "dropped", order.done}, {"of", order.keys.size()}})};
    orders_.pop_front();
  }
  return bite;
}

}  // namespace detent
