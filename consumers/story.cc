#include "consumers/story.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>

#include "base/clock.h"
#include "base/ulid.h"
#include "base/utf8.h"
#include "consumers/text.h"
#include "proto/reader.h"
#include "proto/signal.pb.h"
#include "proto/wire.pb.h"

namespace detent::consumers {
namespace {

using Tone = Story::Tone;
using Look = Story::Look;

constexpr int64_t kLateAfter = 10 * 60 * 1000;
constexpr int64_t kLastTime = 253'402'300'799'999;  // 9999-12-31T23:59:59.999Z, ms
constexpr size_t kFactsAtMost = 20;
constexpr size_t kFactUnits = 1800;
constexpr size_t kBeginning = 2500;  // units of a long body that are shown beside its file

/// Text that follows the body as it is, in a frame of its own.
struct Raw {
  std::string text;
  std::string info;
  bool tail = false;  // its end matters more than its beginning
};

struct Draft {
  Story story;
  std::string markdown;
  std::vector<Block> extra;  // after the body
  std::vector<Raw> raws;
};

std::string percent(double part) { return fmt::format("{:.0f} %", std::clamp(part, 0.0, 9.99) * 100); }

std::string number(double value) {
  std::string text = fmt::format("{:.6g}", value);
  return text;
}

std::string took(int64_t ms) {
  if (ms < 1000) return fmt::format("{} ms", ms);
  if (ms < 120'000) return fmt::format("{:.1f} s", static_cast<double>(ms) / 1000);
  return roughly(Millis(ms));
}

void fact(Story& story, std::string name, const std::string& value, bool brief = true) {
  if (!value.empty()) story.facts.push_back({std::move(name), harmless(value), brief});
}

/// A time as platforms take it: those after the year 9999 they refuse, and those before 1970 nobody means.
bool showable(int64_t ms) { return ms > 0 && ms <= kLastTime; }

void when(Story& story, std::string name, int64_t ms) {
  if (showable(ms)) story.facts.push_back({std::move(name), "", true, ms});
}

template <class Message>
Message read(const Signal& signal) {
  Message message;
  // What could be read before a malformed byte is kept: the door has refused such payloads, old journals may hold them.
  (void)message.ParsePartialFromString(signal.payload());
  return message;
}

/// The fields that every payload begins with. Where protobuf refuses the whole (a text that is not UTF-8), title and
/// body are taken from the bytes.
Note read_note(const Signal& signal) {
  Note note;
  if (note.ParsePartialFromString(signal.payload())) return note;
  note.Clear();
  Reader reader(signal.payload());
  while (reader.next()) {
    if (reader.wire() != 2) continue;
    if (reader.field() == Note::kTitleFieldNumber) note.set_title(std::string(reader.bytes()));
    if (reader.field() == Note::kBodyFieldNumber) note.set_body(std::string(reader.bytes()));
  }
  return note;
}

void tell_incident(Draft& draft, const Signal& signal) {
  const auto incident = read<Incident>(signal);
  const bool over = signal.type() == "incident.resolved";
  draft.story.icon = over ? "✅" : signal.severity() >= CRITICAL ? "🚨" : "🔥";
  if (over) draft.story.tone = Tone::Green;
  fact(draft.story, "Host", incident.host());
  fact(draft.story, "Incident", incident.incident());
  when(draft.story, "Began", incident.began_ms());
  when(draft.story, "Ended", incident.ended_ms());
  if (incident.began_ms() > 0 && incident.ended_ms() > incident.began_ms()) {
    fact(draft.story, "Lasted", roughly(Millis(incident.ended_ms() - incident.began_ms())));
  }
}

void tell_service(Draft& draft, const Signal& signal) {
  const auto service = read<Service>(signal);
  const bool back = signal.type() == "service.restored";
  draft.story.icon = back ? "🟢" : "⛔";
  draft.story.tone = back ? Tone::Green : std::max(draft.story.tone, Tone::Orange);
  fact(draft.story, "Service", service.service());
  fact(draft.story, "Check", service.check(), false);
  when(draft.story, back ? "Was down since" : "Down since", service.down_since_ms());
}

void tell_threshold(Draft& draft, const Signal& signal) {
  const auto threshold = read<Threshold>(signal);
  const std::string unit = threshold.unit().empty() ? "" : " " + threshold.unit();
  draft.story.icon = "📈";
  draft.story.tone = std::max(draft.story.tone, Tone::Yellow);
  fact(draft.story, "Metric", threshold.metric());
  if (!threshold.metric().empty()) {
    fact(draft.story, "Value", number(threshold.value()) + unit);
    fact(draft.story, "Threshold", number(threshold.threshold()) + unit);
  }
}

void tell_subagent(Draft& draft, const Signal& signal) {
  const auto subagent = read<Subagent>(signal);
  const bool failed = signal.type() == "subagent.failed";
  draft.story.icon = failed ? "❌" : "🧩";
  draft.story.tone = failed ? std::max(draft.story.tone, Tone::Orange) : Tone::Green;
  fact(draft.story, "Agent", subagent.agent());
  fact(draft.story, "Task", subagent.task());
  if (subagent.took_ms() > 0) fact(draft.story, "Took", took(subagent.took_ms()));
  fact(draft.story, "Error", subagent.error(), false);
}

void tell_heartbeat(Draft& draft, const Signal& signal) {
  const auto beat = read<Heartbeat>(signal);
  draft.story.icon = "💓";
  draft.story.look = Look::Line;
  if (draft.story.title.empty()) draft.story.title = one_line(beat.host());
  fact(draft.story, "load", fmt::format("{:.2f}", beat.load()));
  if (beat.disk_used() > 0) fact(draft.story, "disk", percent(beat.disk_used()));
  if (beat.memory_used() > 0) fact(draft.story, "memory", percent(beat.memory_used()));
  if (beat.uptime_s() > 0)
    fact(draft.story, "up", roughly(Millis(1000 * std::min<int64_t>(beat.uptime_s(), 1LL << 40))));
}

void tell_health(Draft& draft, const Signal& signal) {
  const auto check = read<HealthCheck>(signal);
  std::vector<Probe> probes(check.probes().begin(), check.probes().end());
  std::stable_partition(probes.begin(), probes.end(), [](const Probe& probe) { return !probe.ok(); });
  const auto good = std::count_if(probes.begin(), probes.end(), [](const Probe& probe) { return probe.ok(); });
  const bool all = good == static_cast<ptrdiff_t>(probes.size());
  draft.story.icon = all ? "🩺" : "⚠️";
  draft.story.tone = all ? Tone::Green : std::max(draft.story.tone, Tone::Orange);
  if (!probes.empty()) fact(draft.story, "Probes", fmt::format("{} of {} ok", good, probes.size()));
  for (const Probe& probe : probes) {
    Block line;
    line.close = true;
    line.runs.push_back({.text = std::string(probe.ok() ? "✅ " : "❌ ")});
    line.runs.push_back({.text = one_line(probe.name()), .strong = true});
    if (!probe.detail().empty()) line.runs.push_back({.text = " " + one_line(probe.detail())});
    draft.extra.push_back(std::move(line));
  }
  if (!draft.extra.empty()) draft.extra.front().close = false;
}

void tell_cron(Draft& draft, const Signal& signal) {
  const auto cron = read<CronOutput>(signal);
  const bool failed = cron.exit_code() != 0 || signal.severity() >= ERROR;
  draft.story.icon = failed ? "❌" : "⏱️";
  draft.story.tone = failed ? std::max(draft.story.tone, Tone::Orange) : Tone::Green;
  if (draft.story.title.empty()) draft.story.title = one_line(cron.job().empty() ? cron.command() : cron.job());
  fact(draft.story, "Job", cron.job());
  // A job that is a prompt has none, and 0 is what a field that was not set reads as.
  if (cron.exit_code() != 0 || !cron.command().empty())
    fact(draft.story, "Exit code", std::to_string(cron.exit_code()));
  if (cron.took_ms() > 0) fact(draft.story, "Took", took(cron.took_ms()));
  fact(draft.story, "Command", shorten(one_line(cron.command()), 500), false);
  if (cron.output_cut()) fact(draft.story, "Output", "only its end was kept");
  if (!cron.output().empty()) draft.raws.push_back({harmless(cron.output()), "", true});
}

void tell_memory(Draft& draft, const Signal& signal) {
  const auto update = read<MemoryUpdate>(signal);
  draft.story.icon = "🧠";
  draft.story.tone = Tone::Blue;
  if (draft.story.title.empty()) draft.story.title = one_line(update.path());
  fact(draft.story, "File", update.path());
  fact(draft.story, "Lines", fmt::format("+{} −{}", update.lines_added(), update.lines_removed()));
  fact(draft.story, "Commit", update.commit().substr(0, whole(update.commit(), 12)));
  if (!update.diff().empty()) draft.raws.push_back({harmless(update.diff()), "diff", false});
}

void tell_briefing(Draft& draft, const Signal& signal) {
  draft.story.icon = signal.type() == "review.weekly" ? "📅" : "☀️";
  draft.story.tone = std::max(draft.story.tone, Tone::Blue);
  fact(draft.story, "Period", read<Briefing>(signal).period());
}

void tell_chat(Draft& draft, const Signal& signal) {
  const auto chat = read<ChatMessage>(signal);
  draft.story.icon = "💬";
  draft.story.look = Look::Words;
  if (draft.story.title.empty() && !chat.author().empty()) draft.story.title = one_line(chat.author());
}

void tell_by_type(Draft& draft, const Signal& signal) {
  static const std::map<std::string_view, void (*)(Draft&, const Signal&)> kTypes = {
      {"briefing.morning", tell_briefing},   {"review.weekly", tell_briefing},
      {"incident.detected", tell_incident},  {"incident.resolved", tell_incident},
      {"service.outage", tell_service},      {"service.restored", tell_service},
      {"threshold.crossed", tell_threshold}, {"subagent.completed", tell_subagent},
      {"subagent.failed", tell_subagent},    {"heartbeat.ok", tell_heartbeat},
      {"health.check", tell_health},         {"cron.output", tell_cron},
      {"memory.updated", tell_memory},       {"chat.message", tell_chat},
  };
  if (const auto found = kTypes.find(signal.type()); found != kTypes.end()) found->second(draft, signal);
}

Block line_of(const Fact& fact, bool listed, bool close) {
  Block line{.marker = listed ? "- " : "", .indent = listed ? 1 : 0, .close = close};
  line.runs.push_back({.text = fact.name + ": ", .strong = true});
  line.runs.push_back({.text = fact.when_ms ? utc(Millis(fact.when_ms)) : fact.value});
  return line;
}

/// Moves the facts beyond what a card holds into the body.
void bound_facts(Draft& draft) {
  size_t used = 0, kept = 0;
  for (; kept < draft.story.facts.size() && kept < kFactsAtMost; ++kept) {
    const Fact& fact = draft.story.facts[kept];
    used += 2 * (units(fact.name) + units(fact.value)) + 32;  // twice: escaping may double it
    if (used > kFactUnits) break;
  }
  for (size_t i = kept; i < draft.story.facts.size(); ++i) {
    draft.extra.push_back(line_of(draft.story.facts[i], true, i > kept));
  }
  draft.story.facts.resize(kept);
}

/// The end of `text`, from the beginning of a line, in at most `most` units.
std::string_view ending(std::string_view text, size_t most) {
  if (text.size() <= most) return text;
  text = tail_of(text, most);
  const size_t line = text.find('\n');
  return line != std::string_view::npos && line < most / 2 ? text.substr(line + 1) : text;
}

/// The beginning of `text` in at most `most` units, up to the end of a line where one is near.
std::string_view beginning(std::string_view text, size_t most) {
  const size_t end = fit(text, most);
  if (end == text.size()) return text;
  const size_t line = text.rfind('\n', end);
  return text.substr(0, line != std::string_view::npos && line > end / 2 ? line : end);
}

void finish_body(Draft& draft) {
  Story& story = draft.story;
  size_t size = units(draft.markdown);
  for (const Raw& raw : draft.raws) size += units(raw.text);
  for (const Block& block : draft.extra) size += units(plain({block}));
  story.overlong = size > kLongestShown;
  const size_t most = story.overlong ? kBeginning : kLongestShown;
  story.body = parse_markdown(beginning(draft.markdown, most));
  for (const Raw& raw : draft.raws) {
    story.body.push_back(code_block(std::string((raw.tail ? ending : beginning)(raw.text, most)), raw.info));
  }
  size_t used = 0;
  for (const Block& block : draft.extra) {
    used += units(plain({block}));
    if (used <= most) story.body.push_back(block);
  }
  if (size == 0) return;
  const bool only_raw = draft.markdown.empty() && draft.extra.empty() && draft.raws.size() == 1;
  story.file_name = !only_raw ? "body.md" : draft.raws[0].info == "diff" ? "changes.diff" : "output.txt";
  story.file = std::move(draft.markdown);
  for (const Raw& raw : draft.raws) story.file += (story.file.empty() ? "" : "\n\n") + raw.text;
  if (!draft.extra.empty()) story.file += (story.file.empty() ? "" : "\n\n") + plain(draft.extra);
  if (story.file.size() > kLargestFile) {
    story.file.resize(whole(story.file, kLargestFile));
    story.file += "\n\n[cut here]\n";
  }
}

Tone tone_of(int severity) {
  switch (severity) {
    case NOTICE:
      return Tone::Blue;
    case WARNING:
      return Tone::Yellow;
    case ERROR:
      return Tone::Orange;
    case CRITICAL:
      return Tone::Red;
    default:
      return Tone::Grey;
  }
}

std::string icon_of(int severity) {
  switch (severity) {
    case NOTICE:
      return "🔵";
    case WARNING:
      return "🟡";
    case ERROR:
      return "🟠";
    case CRITICAL:
      return "🔴";
    default:
      return "⚪";
  }
}

}  // namespace

Story tell(const Delivery& delivery, int64_t wall_ms) {
  Signal signal;
  const DeliveredSignal& delivered = delivery.signals(0);
  (void)signal.ParsePartialFromString(delivered.signal());
  Draft draft;
  Story& story = draft.story;
  const auto id = Ulid::from_bytes(signal.id());
  story.id = id ? id->text() : "";
  story.type = one_line(signal.type());
  story.source = shorten(one_line(signal.source()), 128);
  story.severity = signal.severity();
  story.needs_response = signal.needs_response();
  story.copy = delivered.copy();
  story.repeat_unproven = delivered.repeat_unproven();
  story.thread = signal.thread();
  story.created_ms = showable(signal.created_ms()) ? signal.created_ms() : 0;
  story.tone = tone_of(signal.severity());
  story.icon = icon_of(signal.severity());
  if (story.created_ms > 0 && wall_ms - story.created_ms >= kLateAfter) {
    story.late = roughly(Millis(wall_ms - story.created_ms)) + " late";
  }

  const Note note = read_note(signal);
  story.title = one_line(note.title());
  draft.markdown = harmless(note.body());
  tell_by_type(draft, signal);
  if (story.title.empty()) story.title = story.type.empty() ? "(no title)" : story.type;
  story.title = shorten(story.title, 400);
  story.url = note.url().starts_with("http") ? safe_url(note.url(), 1500) : "";
  for (const Field& field : note.fields()) {
    std::string name = one_line(field.name()), value = harmless(field.value());
    if (one_line(value).empty()) value = "–";
    story.facts.push_back({name.empty() ? "–" : std::move(name), std::move(value), field.short_()});
  }
  bound_facts(draft);
  finish_body(draft);
  return std::move(draft.story);
}

std::vector<Block> with_facts(const Story& story, bool listed) {
  std::vector<Block> blocks;
  for (const Fact& fact : story.facts) blocks.push_back(line_of(fact, listed, !blocks.empty()));
  if (!story.url.empty() && story.url.size() <= 512) {
    Block line{.close = !listed};
    line.runs.push_back({.text = story.url, .url = story.url});
    blocks.push_back(std::move(line));
  }
  blocks.insert(blocks.end(), story.body.begin(), story.body.end());
  return blocks;
}

}  // namespace detent::consumers
