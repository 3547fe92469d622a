#include "ledger/audit/alarms.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "base/result.h"

namespace detent {

using Kind = LedgerAlarm::Kind;

namespace {
constexpr Kind kKinds[] = {Kind::foreign_commit, Kind::chain_damaged, Kind::went_backwards, Kind::diverged,
                           Kind::write_failed,   Kind::push_failing,  Kind::push_refused,   Kind::push_diverged,
                           Kind::packing_failed, Kind::damaged};
}

void LedgerAlarms::report(Kind kind, std::string text, std::string remedy) {
  spdlog::warn("ledger: {}: {}{}{}", name_of(kind), text, remedy.empty() ? "" : ". ", remedy);
  said_.push_back({kind, false, std::move(text), std::move(remedy)});
}

LedgerAlarms::Sink LedgerAlarms::sink() {
  return [this](Kind kind, std::string text) { lasts(kind) ? raise(kind, text) : report(kind, std::move(text)); };
}

void LedgerAlarms::restore(std::string_view name) {
  for (const Kind kind : kKinds) {
    if (name_of(kind) != name) continue;
    raised_.insert(kind);
    if (!lasts(kind)) clear(kind, "it happened at one moment");
  }
}

void LedgerAlarms::raise(Kind kind, const std::string& text, const std::string& remedy) {
  if (raised_.insert(kind).second) report(kind, text, remedy);
}

void LedgerAlarms::clear(Kind kind, const std::string& text) {
  if (raised_.erase(kind)) said_.push_back({kind, true, text, {}});
}

std::vector<LedgerAlarm> LedgerAlarms::take() { return std::exchange(said_, {}); }

bool lasts(Kind kind) { return kind != Kind::foreign_commit && kind != Kind::went_backwards && kind != Kind::damaged; }

std::string_view name_of(LedgerAlarm::Kind kind) {
  switch (kind) {
    case Kind::foreign_commit:
      return "foreign commit";
    case Kind::chain_damaged:
      return "chain damaged";
    case Kind::went_backwards:
      return "went backwards";
    case Kind::diverged:
      return "diverged";
    case Kind::write_failed:
      return "write failed";
    case Kind::push_failing:
      return "push failing";
    case Kind::push_refused:
      return "push refused";
    case Kind::push_diverged:
      return "push diverged";
    case Kind::packing_failed:
      return "packing failed";
    case Kind::damaged:
      return "damaged";
  }
  CHECK(false, "an alarm without a kind");
  return {};
}

}  // namespace detent
