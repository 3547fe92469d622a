#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/json.hpp>

#include "base/version.h"
#include "broker/core.h"
#include "broker/vitals.h"

namespace detent {

namespace json = boost::json;

namespace {

/// A consumer's words, so that they stay within a table's cell.
std::string cell(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == '|'; }, ' ');
  return text;
}

}  // namespace

uint64_t Vitals::ledger_lag() const {
  const uint64_t last = core.admission().next_seq() - 1;
  return last - std::min(last, ledger_seq);
}

std::string status_json(const Vitals& vitals) {
  const Core& core = vitals.core;
  const auto& counters = core.counters();
  json::object out;
  out["broker"] = std::string("detent-broker ") + kVersion;
  out["config"] = vitals.config;
  out["started"] = utc(vitals.started.wall);
  out["uptime_s"] = (vitals.now.mono - vitals.started.mono).count() / 1000;
  out["publishers"] = vitals.paused.empty() ? "accepted" : "paused";
  if (!vitals.paused.empty()) out["paused_because"] = vitals.paused;
  out["next_seq"] = core.admission().next_seq();
  out["counters"] = {{"admitted", counters.admitted},   {"repeats", counters.repeats},
                     {"refused", counters.refused},     {"deferred", counters.held},
                     {"malformed", counters.malformed}, {"not_allowed", counters.not_allowed},
                     {"too_large", counters.too_large}, {"delivered", counters.delivered},
                     {"unknown", counters.unknown},     {"expired", counters.expired},
                     {"dead_letters", counters.dead},   {"redelivered", counters.redelivered},
                     {"stale", counters.stale},         {"unrouted", counters.unrouted},
                     {"unproven", counters.unproven},   {"gaps", counters.gaps},
                     {"alarms", counters.alarms},       {"dropped", counters.dropped},
                     {"redacted", vitals.masked},       {"sessions_refused", counters.sessions_refused}};
  json::array channels;
  for (const auto& [name, channel] : core.deliveries().channels()) {
    const auto health = core.deliveries().health(name);
    json::object one{{"name", name},
                     {"pending", channel.open()},
                     {"pending_bytes", channel.bytes()},
                     {"in_flight", health.under_way},
                     {"consumers", health.consumers},
                     {"delivered", health.delivered},
                     {"dead_letters", health.dead},
                     {"circuit_open", health.circuit_open}};
    if (health.circuit_open) one["why"] = health.why;
    if (!health.trouble.empty()) {
      one["retrying"] = health.trouble;
      one["retrying_since"] = utc(Millis{health.trouble_since_ms});
    }
    if (channel.open()) one["oldest_pending"] = utc(Millis{int64_t{channel.queue().front().admitted_s} * 1000});
    channels.push_back(std::move(one));
  }
  out["channels"] = std::move(channels);
  json::array sessions;
  for (const Session* session : core.sessions().list()) {
    json::array served;
    for (const auto& channel : session->channels) served.push_back(json::value(channel));
    sessions.push_back({{"name", session->name},
                        {"role", session->role == 0   ? "producer"
                                 : session->role == 1 ? "consumer"
                                                      : "admin"},
                        {"channels", std::move(served)}});
  }
  out["sessions"] = std::move(sessions);
  out["journal"] = {{"segments", vitals.segments},  {"bytes", vitals.journal_bytes},
                    {"syncs", vitals.syncs},        {"disk_free", vitals.space.free},
                    {"disk_low", vitals.space.low}, {"reserve_held", vitals.space.reserve_held}};
  out["ledger"] = {{"repository", vitals.repository},
                   {"last_seq", vitals.ledger_seq},
                   {"behind", vitals.ledger_lag()},
                   {"commits", vitals.ledger_commits}};
  json::array alarms;
  for (const auto& [name, alarm] : core.alarms().standing()) {
    json::object one{{"name", name}};
    if (!alarm.cause.empty()) one["cause"] = alarm.cause;
    if (alarm.since_ms) one["since"] = utc(Millis{alarm.since_ms});
    alarms.push_back(std::move(one));
  }
  out["alarms"] = std::move(alarms);
  return json::serialize(out);
}

std::string status_markdown(const Core& core) {
  std::string out = "# Detent\n\n";
  if (core.alarms().standing().empty()) {
    out += "No alarms.\n";
  } else {
    out += "Alarms:\n\n";
    for (const auto& [name, alarm] : core.alarms().standing()) {
      out += "- " + name;
      if (alarm.since_ms) out += " since " + utc(Millis{alarm.since_ms});
      if (!alarm.cause.empty()) out += ": " + cell(alarm.cause);
      out += "\n";
    }
  }
  // No counts of what was delivered: they would change with every commit, and the log tells them.
  out += "\n| channel | pending | dead letters | state |\n|---|---|---|---|\n";
  for (const auto& [name, channel] : core.deliveries().channels()) {
    const auto health = core.deliveries().health(name);
    const std::string state = health.circuit_open       ? "circuit open: " + cell(health.why)
                              : health.consumers == 0   ? "no consumer connected"
                              : !health.trouble.empty() ? "retrying: " + cell(health.trouble)
                                                        : "ok";
    out += fmt::format("| {} | {} | {} | {} |\n", name,
                       channel.open() > 100 ? "over 100" : std::to_string(channel.open()), health.dead, state);
  }
  return out;
}

}  // namespace detent
