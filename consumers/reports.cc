#include "consumers/reports.h"

#include <algorithm>

#include "consumers/text.h"
#include "proto/wire.pb.h"

namespace detent::consumers {
namespace {

constexpr size_t kMaxId = 64, kMaxLink = 512, kMaxCause = 500;

void to_wire(const PartState& state, Part* part) {
  part->set_part(state.part);
  part->set_done(state.done);
  part->set_begun_ms(state.begun_ms);
  part->set_message_id(shorten(state.message_id, kMaxId));
  // A link that is cut leads nowhere.
  if (state.link.size() <= kMaxLink) part->set_link(state.link);
  part->set_place(shorten(state.place, kMaxId));
}

}  // namespace

Report begun(std::string_view channel, uint64_t delivery, const PartState& part) {
  Begun begun;
  begun.set_channel(std::string(channel));
  begun.set_delivery(delivery);
  to_wire(part, begun.mutable_part());
  return {detent::Frame::kBegun, begun.SerializeAsString()};
}

Report settled(std::string_view channel, uint64_t delivery, int outcome, std::string_view cause, Millis delay,
               const std::vector<PartState>& parts) {
  Settle settle;
  settle.set_channel(std::string(channel));
  Settled* settled = settle.add_settled();
  settled->set_delivery(delivery);
  settled->set_outcome(static_cast<Outcome>(outcome));
  settled->set_cause(within(cause, kMaxCause));
  settled->set_delay_ms(static_cast<uint32_t>(std::clamp<int64_t>(delay.count(), 0, UINT32_MAX)));
  for (const PartState& part : parts) to_wire(part, settled->add_parts());
  return {detent::Frame::kSettle, settle.SerializeAsString()};
}

Report circuit(std::string_view channel, bool open, const std::string& why) {
  Settle settle;
  settle.set_channel(std::string(channel));
  settle.mutable_circuit()->set_open(open);
  if (open) settle.mutable_circuit()->set_why(within(why, kMaxCause));
  return {detent::Frame::kSettle, settle.SerializeAsString()};
}

Report credit(std::string_view channel, uint32_t count, uint64_t bytes) {
  Credit credit;
  credit.set_channel(std::string(channel));
  credit.set_count(count);
  credit.set_bytes(bytes);
  return {detent::Frame::kCredit, credit.SerializeAsString()};
}

std::vector<PartState> known_parts(const Delivery& delivery) {
  std::vector<PartState> parts;
  for (const Part& part : delivery.parts()) {
    std::erase_if(parts, [&](const PartState& known) { return known.part == part.part(); });
    parts.push_back({part.part(), part.done(), part.begun_ms(), part.message_id(), part.link(), part.place()});
  }
  return parts;
}

std::string within(std::string_view text, size_t most) {
  const std::string line = one_line(text);
  return line.size() <= most ? line : line.substr(0, whole(line, most));
}

}  // namespace detent::consumers
