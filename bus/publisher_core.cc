#include "bus/publisher_core.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "base/units.h"
#include "proto/frame.h"
#include "proto/reader.h"
#include "proto/wire.pb.h"

namespace detent {

namespace {

/// `signals` without its first `count` fields.
std::string_view skip(std::string_view signals, uint64_t count) {
  if (count == 0) return signals;
  Reader reader(signals);
  for (; count > 0; --count) CHECK(reader.next(), "a pack holds as many signals as it counts");
  return signals.substr(reader.bytes().data() + reader.bytes().size() - signals.data());
}

}  // namespace

Result<uint64_t> PublisherCore::add(std::string_view signal) {
  if (signal.size() > kMaxSignal) {
    return Error{fmt::format("the signal is {} long; a broker takes at most {}", readable_size(signal.size()),
                             readable_size(kMaxSignal))};
  }
  const size_t size = wire::bytes_size(signal.size());
  if (held_ + size > limits_.memory && held_ > 0) {
    return Error{fmt::format("full: {} wait for the broker's acknowledgement{}{}", readable_size(held_),
                             paused_why_.empty() ? "" : ": ", paused_why_)};
  }
  const bool fits = !packs_.empty() && packs_.back().first >= next_ && packs_.back().count < limits_.frame_signals &&
                    packs_.back().bytes.size() + size <= limits_.frame_bytes;
  if (!fits) begin_pack();
  Pack& pack = packs_.back();
  wire::bytes(pack.bytes, Publish::kSignalsFieldNumber, signal);
  ++pack.count;
  held_ += size;
  return ++last_;
}

void PublisherCore::begin_pack() {
  Pack& pack = packs_.emplace_back(Pack{last_ + 1, 0, {}});
  if (spare_.empty()) return;
  pack.bytes = std::move(spare_.back());
  spare_.pop_back();
  spare_bytes_ -= pack.bytes.capacity();
}

void PublisherCore::settle_pack() {
  std::string bytes = std::move(packs_.front().bytes);
  packs_.pop_front();
  if (next_at_ > 0) --next_at_;
  held_ -= bytes.size();
  if (held_ + spare_bytes_ + bytes.capacity() > limits_.memory) return;
  bytes.clear();
  spare_bytes_ += bytes.capacity();
  spare_.push_back(std::move(bytes));
}

void PublisherCore::opened() {
  open_ = true;
  base_ = settled_;
  paused_why_.clear();
  refused_.clear();
  go_back_to(settled_ + 1);
}

void PublisherCore::lost() {
  open_ = false;
  go_back_to(settled_ + 1);
}

void PublisherCore::go_back_to(uint64_t ticket) {
  next_ = ticket;
  under_way_.clear();
  retry_at_.reset();
  resumed_at_ = 0;
}

bool PublisherCore::ready(Now now) const {
  if (!open_ || next_ > last_ || under_way_.size() >= limits_.window) return false;
  return !retry_at_ || now.mono >= *retry_at_;
}

PublisherCore::Pack& PublisherCore::next_pack() {
  const auto holds_it = [this](const Pack& pack) { return pack.first <= next_ && next_ < pack.end(); };
  // Most often the one behind the last.
  for (size_t at : {next_at_, next_at_ + 1}) {
    if (at < packs_.size() && holds_it(packs_[at])) return packs_[next_at_ = at];
  }
  // The packs ascend without gaps; the last one that begins at or before `next_` holds it.
  const auto after = std::upper_bound(packs_.begin(), packs_.end(), next_,
                                      [](uint64_t ticket, const Pack& pack) { return ticket < pack.first; });
  CHECK(after != packs_.begin(), "what is not settled is held");
  next_at_ = static_cast<size_t>(after - packs_.begin()) - 1;
  return packs_[next_at_];
}

std::optional<PublisherCore::Frame> PublisherCore::next_frame(Now now) {
  if (!ready(now)) return std::nullopt;
  retry_at_.reset();
  const Pack& pack = next_pack();
  head_.clear();
  wire::number(head_, Publish::kFirstFieldNumber, next_ - base_);
  const std::string_view signals = skip(pack.bytes, next_ - pack.first);
  next_ = pack.end();
  under_way_.push_back(next_ - 1);
  return Frame{head_, signals};
}

PublisherCore::Progress PublisherCore::published(std::string_view body, Now now) {
  Progress progress{settled_, {}};
  Published answer;
  if (!open_ || !answer.ParseFromArray(body.data(), static_cast<int>(body.size()))) return progress;
  for (const auto& refusal : answer.refusals()) {
    const uint64_t ticket = base_ + refusal.number();
    if (ticket > settled_ && ticket <= last_) refused_[ticket] = {ticket, refusal.reason(), refusal.text()};
  }

  settled_ = std::max(settled_, std::min(base_ + answer.upto(), last_));
  progress.upto = settled_;
  while (!refused_.empty() && refused_.begin()->first <= settled_) {
    progress.refusals.push_back(std::move(refused_.begin()->second));
    refused_.erase(refused_.begin());
  }
  while (!packs_.empty() && packs_.front().end() <= settled_ + 1) {
    settle_pack();
  }
  if (idle()) {
    spare_.clear();
    spare_bytes_ = 0;
  }
  while (!under_way_.empty() && under_way_.front() <= settled_) under_way_.pop_front();
  next_ = std::max(next_, settled_ + 1);

  if (answer.resume() == 0) {
    if (answer.upto() > 0) paused_why_.clear();
    return progress;
  }
  const uint64_t resume = std::max(base_ + answer.resume(), settled_ + 1);
  // Frames sent behind the one refused are refused as out of order, each with the same place to resume at: the first
  // answer was obeyed, and the others tell nothing more.
  const bool echo = answer.reason() == OUT_OF_ORDER && resume == resumed_at_;
  if (!echo && resume <= next_) {
    go_back_to(resume);
    resumed_at_ = resume;
    retry_at_ = now.mono + Millis{answer.retry_ms()};
    if (answer.reason() != OUT_OF_ORDER) paused_why_ = answer.text();
  }
  return progress;
}

}  // namespace detent
