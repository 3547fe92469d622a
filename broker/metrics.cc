// Each metric is one `add` here and one row in docs/metrics.md.
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include "base/version.h"
#include "broker/core.h"
#include "broker/vitals.h"

namespace detent {

namespace {

double seconds(Millis time) { return static_cast<double>(time.count()) / 1000; }

}  // namespace

std::string metrics(const Vitals& vitals) {
  const Core& core = vitals.core;
  std::vector<prometheus::MetricFamily> families;
  // Without a label the first of a pair is empty.
  const auto add = [&](const char* name, const char* help, prometheus::MetricType type,
                       std::vector<std::pair<std::string, double>> values, const char* label = nullptr) {
    prometheus::MetricFamily family{name, help, type, {}};
    for (const auto& [key, value] : values) {
      prometheus::ClientMetric metric;
      if (label) metric.label = {{label, key}};
      metric.counter.value = metric.gauge.value = value;
      family.metric.push_back(std::move(metric));
    }
    families.push_back(std::move(family));
  };
  const auto counter = prometheus::MetricType::Counter;
  const auto gauge = prometheus::MetricType::Gauge;
  const auto& c = core.counters();
  // docs/metrics.md lists them. Dashboards and alerts depend on these names: none is renamed later.
  add("detent_build_info", "Always 1; the version is a label.", gauge, {{kVersion, 1}}, "version");
  add("process_start_time_seconds", "When the broker started, in seconds since 1970.", gauge,
      {{"", seconds(vitals.started.wall)}});
  add("detent_signals_admitted_total", "Signals admitted to the journal.", counter, {{"", double(c.admitted)}});
  add("detent_signals_repeated_total", "Signals published again with a known id and the same content.", counter,
      {{"", double(c.repeats)}});
  add("detent_signals_rejected_total", "Signals refused for good.", counter, {{"", double(c.refused)}});
  add("detent_sessions_rejected_total", "Sessions that were not opened: wrong version, role or channel, too many.",
      counter, {{"", double(c.sessions_refused)}});
  add("detent_signals_unrouted_total", "Signals that no route matched, sent to default_to.", counter,
      {{"", double(c.unrouted)}});
  add("detent_signals_repeat_unproven_total", "Signals whose id is older than the window in which repeats are known.",
      counter, {{"", double(c.unproven)}});
  add("detent_publishes_deferred_total", "Publishes answered with: try again later.", counter, {{"", double(c.held)}});
  add("detent_publishers_paused", "1 while publishers are refused for want of disk space or because the ledger lags.",
      gauge, {{"", double(!vitals.paused.empty())}});
  add("detent_texts_redacted_total", "Texts in which a secret was masked.", counter, {{"", double(vitals.masked)}});
  add("detent_deliveries_settled_total", "Deliveries settled, by outcome.", counter,
      {{"delivered", double(c.delivered)},
       {"unknown", double(c.unknown)},
       {"expired", double(c.expired)},
       {"dead", double(c.dead)},
       {"dropped", double(c.dropped)}},
      "outcome");
  add("detent_redeliveries_total", "Deliveries handed out again.", counter, {{"", double(c.redelivered)}});
  add("detent_frames_rejected_total", "Frames refused, by reason.", counter,
      {{"malformed", double(c.malformed)},
       {"not_allowed", double(c.not_allowed)},
       {"too_large", double(c.too_large)},
       {"gap", double(c.gaps)},
       {"stale", double(c.stale)}},
      "reason");
  add("detent_hooks_rejected_total", "Bodies of a webhook that no signal could be made of.", counter,
      {{"openclaw", double(vitals.hooks_rejected)}}, "hook");
  std::vector<std::pair<std::string, double>> pending, bytes, oldest, in_flight, dead, circuit, consumers;
  for (const auto& [name, channel] : core.deliveries().channels()) {
    const auto health = core.deliveries().health(name);
    pending.emplace_back(name, channel.open());
    bytes.emplace_back(name, channel.bytes());
    if (channel.open()) oldest.emplace_back(name, channel.queue().front().admitted_s);
    in_flight.emplace_back(name, health.under_way);
    dead.emplace_back(name, health.dead);
    circuit.emplace_back(name, health.circuit_open);
    consumers.emplace_back(name, health.consumers);
  }
  add("detent_channel_pending", "Signals admitted and not settled.", gauge, pending, "channel");
  add("detent_channel_pending_bytes", "Their size in the journal.", gauge, bytes, "channel");
  add("detent_channel_oldest_pending_timestamp_seconds",
      "When the oldest pending signal was admitted, in seconds since 1970; absent while none is pending.", gauge,
      oldest, "channel");
  add("detent_channel_in_flight", "Pending signals that a consumer holds.", gauge, in_flight, "channel");
  add("detent_channel_dead_letters", "Dead letters kept.", gauge, dead, "channel");
  add("detent_channel_circuit_open", "1 while the platform refuses the channel.", gauge, circuit, "channel");
  add("detent_channel_consumers", "Consumers connected.", gauge, consumers, "channel");
  add("detent_sessions", "Sessions on the bus.", gauge, {{"", double(core.sessions().all().size())}});
  add("detent_journal_bytes", "Size of all segments.", gauge, {{"", double(vitals.journal_bytes)}});
  add("detent_journal_segments", "Segments.", gauge, {{"", double(vitals.segments)}});
  add("detent_journal_syncs_total", "Writes of the journal that were synced.", counter, {{"", double(vitals.syncs)}});
  add("detent_disk_free_bytes", "Free space where the journal is.", gauge, {{"", double(vitals.space.free)}});
  add("detent_ledger_lag_signals", "Signals in the journal that are not committed to git yet.", gauge,
      {{"", double(vitals.ledger_lag())}});
  add("detent_ledger_commits_total", "Commits written to git.", counter, {{"", double(vitals.ledger_commits)}});
  add("detent_alarms_active", "Alarms that stand.", gauge, {{"", double(core.alarms().standing().size())}});
  add("detent_alarms_raised_total", "Alarms raised.", counter, {{"", double(c.alarms)}});
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace detent
