#include "broker/admin.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>

#include "base/version.h"
#include "broker/records.h"
#include "broker/story.h"
#include "proto/json.h"
#include "proto/wire.pb.h"

namespace detent {

namespace json = boost::json;

namespace {

constexpr size_t kMaxRead = 8 << 20;  // bytes of letters for one answer: the loop has other guests

json::string text(std::string_view value) { return json::string(value.data(), value.size()); }

std::string member(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(json::string_view(name.data(), name.size()));
  return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

json::object letter_json(const DeadLetters::Key& key, const DeadLetters::Letter& letter) {
  const SignalHeader head = read_header(letter.signal);
  return {{"channel", key.channel},
          {"seq", key.seq},
          {"id", Ulid::from_bytes(head.id).value_or(Ulid{}).text()},
          {"type", text(head.type)},
          {"title", text(payload_title(head.payload))},
          {"cause", letter.cause},
          {"at", utc(Millis{letter.at_ms})},
          {"attempts", letter.attempts}};
}

double seconds(Millis time) { return static_cast<double>(time.count()) / 1000; }

/// A consumer's words, so that they stay within a table's cell.
std::string cell(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == '|'; }, ' ');
  return text;
}

json::object parts_json(std::string_view encoded) {
  Part part;
  if (!part.ParseFromArray(encoded.data(), static_cast<int>(encoded.size()))) return {};
  return {{"part", part.part()}, {"done", part.done()}, {"message_id", part.message_id()}, {"link", part.link()}};
}

}  // namespace

std::string Admin::status_json() const {
  const Core& core = *broker_.core_;
  const auto& counters = core.counters();
  json::object out;
  out["broker"] = std::string("detent-broker ") + kVersion;
  out["config"] =
      broker_.config_.file.empty() ? std::string() : std::filesystem::absolute(broker_.config_.file).string();
  out["started"] = utc(broker_.started_.wall);
  out["uptime_s"] = (broker_.now_.mono - broker_.started_.mono).count() / 1000;
  out["publishers"] = broker_.held_.empty() ? "accepted" : "paused";
  if (!broker_.held_.empty()) out["paused_because"] = broker_.held_;
  out["next_seq"] = core.next_seq();
  out["counters"] = {{"admitted", counters.admitted},
                     {"repeats", counters.repeats},
                     {"refused", counters.refused},
                     {"deferred", counters.held},
                     {"malformed", counters.malformed},
                     {"not_allowed", counters.not_allowed},
                     {"too_large", counters.too_large},
                     {"delivered", counters.delivered},
                     {"unknown", counters.unknown},
                     {"expired", counters.expired},
                     {"dead_letters", counters.dead},
                     {"redelivered", counters.redelivered},
                     {"stale", counters.stale},
                     {"unrouted", counters.unrouted},
                     {"unproven", counters.unproven},
                     {"gaps", counters.gaps},
                     {"alarms", counters.alarms},
                     {"dropped", counters.dropped},
                     {"redacted", broker_.validator_.masked()}};
  json::array channels;
  for (const auto& [name, channel] : core.channels()) {
    const auto health = core.health(name);
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
  for (const auto& session : core.sessions()) {
    json::array served;
    for (const auto& channel : session.channels) served.push_back(json::value(channel));
    sessions.push_back({{"name", session.name},
                        {"role", session.role == 0   ? "producer"
                                 : session.role == 1 ? "consumer"
                                                     : "admin"},
                        {"channels", std::move(served)}});
  }
  out["sessions"] = std::move(sessions);
  out["journal"] = {{"segments", broker_.journal_->segments().size()},
                    {"bytes", broker_.journal_->bytes()},
                    {"syncs", broker_.syncs_},
                    {"disk_free", broker_.space_.free},
                    {"disk_low", broker_.space_.low},
                    {"reserve_held", broker_.space_.reserve_held}};
  out["ledger"] = {{"repository", broker_.config_.ledger.repository.string()},
                   {"last_seq", broker_.ledger_->last_seq()},
                   {"behind", core.next_seq() - 1 - std::min(core.next_seq() - 1, broker_.ledger_->last_seq())},
                   {"commits", broker_.ledger_->commits()}};
  json::array alarms;
  for (const auto& alarm : core.alarms()) alarms.push_back(json::value(alarm));
  out["alarms"] = std::move(alarms);
  return json::serialize(out);
}

std::string Admin::status_markdown() const {
  const Core& core = *broker_.core_;
  std::string out = "# Detent\n\n";
  if (core.alarms().empty()) {
    out += "No alarms.\n";
  } else {
    out += "Alarms:\n\n";
    for (const auto& alarm : core.alarms()) out += "- " + alarm + "\n";
  }
  // No counts of what was delivered: they would change with every commit, and the log tells them.
  out += "\n| channel | pending | dead letters | state |\n|---|---|---|---|\n";
  for (const auto& [name, channel] : core.channels()) {
    const auto health = core.health(name);
    const std::string state = health.circuit_open       ? "circuit open: " + cell(health.why)
                              : health.consumers == 0   ? "no consumer connected"
                              : !health.trouble.empty() ? "retrying: " + cell(health.trouble)
                                                        : "ok";
    out += fmt::format("| {} | {} | {} | {} |\n", name,
                       channel.open() > 100 ? "over 100" : std::to_string(channel.open()), health.dead, state);
  }
  return out;
}

std::string Admin::metrics() const {
  const Core& core = *broker_.core_;
  std::vector<prometheus::MetricFamily> families;
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
      {{"", seconds(broker_.started_.wall)}});
  add("detent_signals_admitted_total", "Signals admitted to the journal.", counter, {{"", double(c.admitted)}});
  add("detent_signals_repeated_total", "Signals published again with a known id and the same content.", counter,
      {{"", double(c.repeats)}});
  add("detent_signals_rejected_total", "Signals refused for good.", counter, {{"", double(c.refused)}});
  add("detent_signals_unrouted_total", "Signals that no route matched, sent to default_to.", counter,
      {{"", double(c.unrouted)}});
  add("detent_signals_repeat_unproven_total", "Signals whose id is older than the window in which repeats are known.",
      counter, {{"", double(c.unproven)}});
  add("detent_publishes_deferred_total", "Publishes answered with: try again later.", counter, {{"", double(c.held)}});
  add("detent_publishers_paused", "1 while publishers are refused for want of disk space or because the ledger lags.",
      gauge, {{"", double(!broker_.held_.empty())}});
  add("detent_texts_redacted_total", "Texts in which a secret was masked.", counter,
      {{"", double(broker_.validator_.masked())}});
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
  std::vector<std::pair<std::string, double>> pending, bytes, oldest, in_flight, dead, circuit, consumers;
  for (const auto& [name, channel] : core.channels()) {
    const auto health = core.health(name);
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
  add("detent_sessions", "Sessions on the bus.", gauge, {{"", double(core.sessions().size())}});
  add("detent_journal_bytes", "Size of all segments.", gauge, {{"", double(broker_.journal_->bytes())}});
  add("detent_journal_segments", "Segments.", gauge, {{"", double(broker_.journal_->segments().size())}});
  add("detent_journal_syncs_total", "Writes of the journal that were synced.", counter, {{"", double(broker_.syncs_)}});
  add("detent_disk_free_bytes", "Free space where the journal is.", gauge, {{"", double(broker_.space_.free)}});
  const uint64_t last = core.next_seq() - 1;
  add("detent_ledger_lag_signals", "Signals in the journal that are not committed to git yet.", gauge,
      {{"", double(last - std::min(last, broker_.ledger_->last_seq()))}});
  add("detent_ledger_commits_total", "Commits written to git.", counter, {{"", double(broker_.ledger_->commits())}});
  add("detent_alarms_active", "Alarms that stand.", gauge, {{"", double(core.alarms().size())}});
  add("detent_alarms_raised_total", "Alarms raised.", counter, {{"", double(c.alarms)}});
  return prometheus::TextSerializer().Serialize(families);
}

std::string Admin::dead_list(const std::string& channel) const {
  json::array letters;
  size_t read = 0;
  for (const auto& [key, place] : broker_.dead_->letters()) {
    if (!channel.empty() && key.channel != channel) continue;
    if (letters.size() >= 1000 || read >= kMaxRead) break;
    read += place.length;
    if (const auto letter = broker_.dead_->read(key)) letters.push_back(letter_json(key, *letter));
  }
  return json::serialize(json::object{{"letters", std::move(letters)}, {"total", broker_.dead_->letters().size()}});
}

void Admin::trace(const AdminCall& call, const std::string& id_text) {
  const auto id = Ulid::parse(id_text);
  Core& core = *broker_.core_;
  if (!id) return core.answer(call, {}, "\"" + id_text + "\" is not a signal's id (26 characters)");
  // The scan may take a second over a full journal: not on the loop.
  broker_.chores_.post(
      [&broker = broker_, call, id = *id, tail = std::shared_ptr(broker_.journal_->tail()), synced = broker_.synced_] {
        auto told = tell(*tail, synced, id);
        if (!told) {
          return broker.post([&broker, call, why = told.error().what] {
            broker.core_->answer(call, {}, "the journal cannot be read at the moment, try again: " + why);
          });
        }
        auto story = std::make_shared<Story>(std::move(*told));
        broker.post([&broker, call, id, story] {
          if (!story->found) {
            return broker.core_->answer(call, {}, "signal " + id.text() + " is not in the journal (any more)");
          }
          for (auto& channel : story->channels) {
            const auto home = broker.core_->channels().find(channel.name);
            if (!channel.state.empty() || home == broker.core_->channels().end()) continue;
            const auto& queue = home->second.queue();
            const auto open = std::lower_bound(queue.begin(), queue.end(), story->seq,
                                               [](const Open& a, uint64_t seq) { return a.seq < seq; });
            if (open == queue.end() || open->seq != story->seq) continue;
            channel.state = "queued";
            channel.attempts = open->attempts;
            if (open->state == Open::State::UnderWay) channel.state = "with a consumer";
            if (open->state == Open::State::Blocked) channel.state = "waiting for an earlier one of its thread";
            const bool in_hand = open->state == Open::State::UnderWay;
            const bool came_back = open->attempts > (in_hand ? 1 : 0);
            if (came_back && !in_hand) channel.state = "retrying";
            const auto health = broker.core_->health(channel.name);
            if (health.circuit_open) {
              channel.cause = health.why;
            } else if (!health.consumers) {
              channel.cause = "no consumer is connected";
            } else if (came_back) {
              channel.cause = health.trouble;
            }
          }
          broker.core_->answer(call, story_json(*story), {});
        });
      });
}

void Admin::answer(const AdminCall& call) {
  Core& core = *broker_.core_;
  boost::system::error_code code;
  const auto parsed = json::parse(call.json, code);
  if (code || !parsed.is_object()) return core.answer(call, {}, "a question is a JSON object");
  const auto& asked = parsed.get_object();
  const std::string command = member(asked, "command");
  const std::string channel = member(asked, "channel");
  const Now now = broker_.now_;

  if (command == "status") return core.answer(call, status_json(), {});
  if (command == "trace") return trace(call, member(asked, "id"));
  if (command == "reload") {
    auto verdict = broker_.reload_now();
    return verdict ? core.answer(call, *verdict, {}) : core.answer(call, {}, verdict.error().what);
  }
  if (command == "channel.list") {
    return core.answer(call, json::serialize(json::parse(status_json()).get_object()["channels"]), {});
  }
  if (command == "channel.drop") {
    const std::string name = channel.empty() ? member(asked, "name") : channel;
    const auto found = core.channels().find(name);
    if (found == core.channels().end()) return core.answer(call, {}, "no channel \"" + name + "\"");
    const size_t before = found->second.open();
    core.drop_channel(name, now);
    return core.reply_durable(
        call, json::serialize(json::object{
                  {"channel", name}, {"dropped", before - found->second.open()}, {"open", found->second.open()}}));
  }
  if (command == "routes.explain") {
    std::vector<std::pair<std::string_view, std::string_view>> labels;
    std::vector<std::pair<std::string, std::string>> kept;
    if (const auto* given = asked.if_contains("labels"); given && given->is_object()) {
      for (const auto& [key, value] : given->get_object()) {
        if (value.is_string()) kept.emplace_back(key, std::string(value.get_string()));
      }
    }
    for (const auto& [key, value] : kept) labels.emplace_back(key, value);
    const std::string type = member(asked, "type"), source = member(asked, "source");
    const auto* needs = asked.if_contains("needs_response");
    const auto explained = core.router().explain({type, std::max(0, severity_from_name(member(asked, "severity"))),
                                                  source, labels, needs && needs->is_bool() && needs->get_bool()});
    json::array to, why;
    for (const auto& name : explained.route.channels) to.push_back(json::value(name));
    for (const auto& line : explained.why) why.push_back(json::value(line));
    return core.answer(
        call, json::serialize(json::object{{"type", type}, {"channels", std::move(to)}, {"why", std::move(why)}}), {});
  }
  if (command == "dead.list") return core.answer(call, dead_list(channel), {});
  if (command == "dead.show" || command == "dead.retry" || command == "dead.drop") {
    const auto* seq_value = asked.if_contains("seq");
    const auto* all = asked.if_contains("all");
    boost::system::error_code wrong;
    const uint64_t seq = seq_value ? seq_value->to_number<uint64_t>(wrong) : 0;
    if (wrong) return core.answer(call, {}, "\"seq\" must be a letter's number");
    const bool everything = all && all->is_bool() && all->get_bool();
    std::vector<DeadLetters::Key> keys;
    for (const auto& [key, place] : broker_.dead_->letters()) {
      const bool wanted = everything || (seq && key.seq == seq && (channel.empty() || key.channel == channel)) ||
                          (!seq && !channel.empty() && key.channel == channel);
      if (wanted) keys.push_back(key);
    }
    if (keys.empty()) return core.answer(call, {}, "no such dead letter: see `detent dead list`");
    if (command == "dead.show") {
      const auto letter = broker_.dead_->read(keys.front());
      if (!letter) return core.answer(call, {}, letter.error().what);
      auto out = letter_json(keys.front(), *letter);
      out["signal"] = json::parse(shortened_json(letter->signal));
      json::array parts;
      for (const auto& part : letter->parts) parts.push_back(parts_json(part));
      out["parts"] = std::move(parts);
      return core.answer(call, json::serialize(out), {});
    }
    return broker_.dead_orders_->add(call, command == "dead.retry", std::move(keys));
  }
  core.answer(call, {}, "unknown command \"" + command + "\"");
}

}  // namespace detent
