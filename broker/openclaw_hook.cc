#include "broker/openclaw_hook.h"

#include <sodium.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <optional>

#include "base/clock.h"
#include "base/ulid.h"
#include "base/utf8.h"
#include "proto/signal.pb.h"

namespace detent {

namespace json = boost::json;

namespace {

constexpr size_t kMaxName = 200;      // bytes of a job's name in a title
constexpr size_t kMaxText = 1 << 20;  // bytes of a summary
constexpr size_t kMaxError = 64 << 10;
constexpr int64_t kLastTime = 253'402'300'799'999;  // 9999-12-31T23:59:59.999Z, ms

std::string_view text_in(const json::object& object, std::string_view key) {
  const auto* member = object.if_contains(key);
  return member && member->is_string() ? std::string_view(member->get_string()) : std::string_view();
}

std::optional<int64_t> number_in(const json::object& object, std::string_view key) {
  const auto* member = object.if_contains(key);
  boost::system::error_code code;
  const int64_t number = member && member->is_number() ? member->to_number<int64_t>(code) : -1;
  if (!member || code || number < 0) return std::nullopt;
  return number;
}

const json::object& object_in(const json::object& object, std::string_view key) {
  static const json::object kNone;
  const auto* member = object.if_contains(key);
  return member && member->is_object() ? member->get_object() : kNone;
}

std::string_view trimmed(std::string_view text, std::string_view what = " \t\r\n") {
  const size_t begin = text.find_first_not_of(what);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(what) + 1 - begin);
}

std::string one_line(std::string_view text, size_t most) {
  std::string line(head_of(trimmed(text), most));
  std::replace_if(
      line.begin(), line.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return line;
}

/// The run's time, and of what it is a fixed part: the same for the same words.
Ulid id_of(std::string_view kind, std::string_view job, int64_t run_at_ms) {
  const std::string words = fmt::format("openclaw {} {} {}", kind, run_at_ms, job);
  Ulid id;
  crypto_generichash(id.bytes.data(), id.bytes.size(), reinterpret_cast<const unsigned char*>(words.data()),
                     words.size(), nullptr, 0);
  for (size_t i = 0; i < 6; ++i) id.bytes[i] = static_cast<uint8_t>(run_at_ms >> (8 * (5 - i)));
  return id;
}

/// The exit code, where the body says one. That of a command that failed stands in its error alone.
std::optional<int> exit_code_of(const json::object& run) {
  const auto* entries = object_in(run, "diagnostics").if_contains("entries");
  if (entries && entries->is_array()) {
    for (const json::value& entry : entries->get_array()) {
      const auto code = entry.is_object() ? number_in(entry.get_object(), "exitCode") : std::nullopt;
      if (code && *code <= INT32_MAX) return static_cast<int>(*code);
    }
  }
  constexpr std::string_view kSays = "command exited with code ";
  const std::string_view error = trimmed(text_in(run, "error"));
  if (!error.starts_with(kSays)) return std::nullopt;
  const std::string_view digits = error.substr(kSays.size());
  int code = 0;
  const auto [end, wrong] = std::from_chars(digits.data(), digits.data() + digits.size(), code);
  if (wrong != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return code;
}

std::string span(int64_t took_ms) { return took_ms < 1000 ? fmt::format("{} ms", took_ms) : roughly(Millis(took_ms)); }

bool is_all_clear(std::string_view summary) { return trimmed(summary, " \t\r\n*`.") == "HEARTBEAT_OK"; }

Signal head_of_run(std::string_view kind, std::string_view job, int64_t run_at_ms, std::string_view name) {
  Signal signal;
  signal.set_id(std::string(id_of(kind, job, run_at_ms).view()));
  signal.set_type("cron.output");
  signal.set_source("openclaw");
  signal.set_created_ms(run_at_ms);
  auto* label = signal.add_labels();
  label->set_key("job");
  label->set_value(name.data(), name.size());
  return signal;
}

void say_model(CronOutput& cron, std::string_view model) {
  if (model.empty()) return;
  auto* field = cron.add_fields();
  field->set_name("Model");
  field->set_value(one_line(model, 256));
  field->set_short_(true);
}

std::string finished_run(const json::object& run, Signal signal, const std::string& name) {
  const std::string_view status = text_in(run, "status"), summary = trimmed(text_in(run, "summary")),
                         error = head_of(trimmed(text_in(run, "error")), kMaxError);
  const auto took = number_in(run, "durationMs");
  if (status == "ok" && is_all_clear(summary)) {
    Heartbeat heartbeat;
    heartbeat.set_title(name + ": nothing needs attention");
    signal.set_type("heartbeat.ok");
    signal.set_payload(heartbeat.SerializeAsString());
    return signal.SerializeAsString();
  }
  CronOutput cron;
  const auto exit_code = exit_code_of(run);
  const std::string_view how = status == "error" ? "failed" : status == "skipped" ? "was skipped" : "succeeded";
  cron.set_title(fmt::format("{} {}{}", name, how, took && *took ? " after " + span(*took) : ""));
  cron.set_job(name);
  cron.set_exit_code(exit_code.value_or(0));
  cron.set_took_ms(took.value_or(0));
  std::string body(error);
  // What a command printed is plain text, and its end says how it went; what a model wrote is Markdown.
  if (exit_code || text_in(object_in(object_in(run, "job"), "payload"), "kind") == "command") {
    cron.set_output(std::string(tail_of(summary, kMaxText)));
    cron.set_output_cut(summary.size() > kMaxText);
  } else if (!summary.empty()) {
    if (!body.empty()) body += "\n\n";
    body += head_of(summary, kMaxText);
    if (summary.size() > kMaxText) body += "\n\n(cut after 1 MiB)";
  }
  cron.set_body(std::move(body));
  say_model(cron, text_in(run, "model"));
  signal.set_severity(status == "error" ? ERROR : status == "skipped" ? NOTICE : INFO);
  signal.set_payload(cron.SerializeAsString());
  return signal.SerializeAsString();
}

std::string failure_alert(const json::object& alert, Signal signal, const std::string& name) {
  CronOutput cron;
  cron.set_title(name + " keeps failing");
  cron.set_job(name);
  cron.set_body(std::string(head_of(text_in(alert, "message"), kMaxError)));
  signal.set_severity(ERROR);
  signal.set_payload(cron.SerializeAsString());
  return signal.SerializeAsString();
}

}  // namespace

Result<std::string> signal_from_openclaw(std::string_view text) {
  boost::system::error_code code;
  const auto value = json::parse(json::string_view(text.data(), text.size()), code);
  if (code) return Error{"not JSON: " + code.message()};
  if (!value.is_object()) return Error{"OpenClaw's webhook posts a JSON object"};
  const json::object& posted = value.get_object();
  const std::string_view job = text_in(posted, "jobId"), status = text_in(posted, "status");
  if (job.empty() || job.size() > 256) return Error{"\"jobId\" must be a string of 1 to 256 bytes"};
  const auto run_at_ms = number_in(posted, "runAtMs");
  if (!run_at_ms || *run_at_ms == 0 || *run_at_ms > kLastTime)
    return Error{"\"runAtMs\" must be the run's start in milliseconds since 1970"};
  const std::string_view given = text_in(object_in(posted, "job"), "name");
  const std::string_view alone = given.empty() ? text_in(posted, "jobName") : given;
  std::string name = one_line(alone, kMaxName);
  if (name.empty()) name = "cron job " + one_line(job, kMaxName - 9);

  if (status.empty() && !text_in(posted, "message").empty())
    return failure_alert(posted, head_of_run("alert", job, *run_at_ms, name), name);
  if (const auto* action = posted.if_contains("action"); action && text_in(posted, "action") != "finished")
    return Error{"\"action\" must be \"finished\""};
  if (status != "ok" && status != "error" && status != "skipped")
    return Error{R"("status" must be "ok", "error" or "skipped")"};
  return finished_run(posted, head_of_run("run", job, *run_at_ms, name), name);
}

}  // namespace detent
