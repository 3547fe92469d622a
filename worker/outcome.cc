#include "worker/outcome.h"

#include <signal.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstring>

#include "base/units.h"
#include "base/utf8.h"

namespace detent {

namespace json = boost::json;

namespace {

using State = Outcome::State;

constexpr std::size_t kEnvelopeMost = 4 << 20;
constexpr std::size_t kErrorMost = 300;
constexpr int kAgentTimedOut = 2, kAgentTerminated = 128 + SIGTERM;

std::string one_line(std::string_view text) {
  std::string out = to_utf8(text);
  std::replace_if(
      out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  const auto from = out.find_first_not_of(' ');
  if (from == std::string::npos) return {};
  return std::string(head_of(std::string_view(out).substr(from), kErrorMost));
}

/// The last line with something in it.
std::string last_line(std::string_view text) {
  while (!text.empty()) {
    const auto start = text.rfind('\n');
    const auto line = one_line(text.substr(start == std::string_view::npos ? 0 : start + 1));
    if (!line.empty() || start == std::string_view::npos) return line;
    text = text.substr(0, start);
  }
  return {};
}

std::string with_last_line(std::string error, std::string_view printed) {
  const auto line = last_line(printed);
  return line.empty() ? error : error + ": " + line;
}

std::string_view text_in(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value && value->is_string() ? std::string_view(value->get_string()) : std::string_view();
}

void judge_by_exit(Outcome& outcome, const Output& output) {
  outcome.text = to_utf8(outcome.out.tail);
  outcome.state = outcome.exit_code == 0 ? State::succeeded : State::failed;
  if (outcome.state == State::failed)
    outcome.error = with_last_line(exit_in_words(outcome.exit_code, outcome.signal), output.tail());
}

/// What the envelope says went wrong.
std::string error_in(const json::object& envelope) {
  const auto* error = envelope.if_contains("error");
  if (error && error->is_object()) {
    const std::string kind(text_in(error->get_object(), "kind")), message(text_in(error->get_object(), "message"));
    return kind.empty() || message.empty() ? kind + message : kind + ": " + message;
  }
  if (error && error->is_string()) return std::string(error->get_string());
  return std::string(text_in(envelope, "status"));
}

void read_tools(Outcome& outcome, const json::object& envelope) {
  const auto* summary = envelope.if_contains("toolSummary");
  const auto* failures = summary && summary->is_object() ? summary->get_object().if_contains("failures") : nullptr;
  json::error_code wrong;
  if (failures && failures->is_number()) outcome.tool_failures = failures->to_number<uint64_t>(wrong);
}

void judge_by_envelope(Outcome& outcome, const Output& output) {
  const bool cut = outcome.out.bytes > outcome.out.tail.size();
  json::error_code wrong;
  const json::value parsed = cut ? json::value() : json::parse(outcome.out.tail, wrong);
  const json::object* envelope = !wrong && parsed.is_object() ? &parsed.get_object() : nullptr;
  const auto* ok = envelope ? envelope->if_contains("ok") : nullptr;
  if (envelope) {
    outcome.text = std::string(text_in(*envelope, "final"));
    read_tools(outcome, *envelope);
  } else {
    outcome.text = to_utf8(tail_of(outcome.out.tail, 64 << 10));
  }
  const auto fail = [&](State state, std::string error) {
    outcome.state = state;
    outcome.error = one_line(error);
  };
  if (outcome.exit_code == kAgentTimedOut) return fail(State::timed_out, "the agent reached its own time limit");
  if (outcome.exit_code == kAgentTerminated) return fail(State::cancelled, "the agent was asked to end");
  if (outcome.out.bytes == 0)
    return fail(State::failed,
                with_last_line("the agent gave no answer and " + exit_in_words(outcome.exit_code, outcome.signal),
                               output.tail()));
  if (cut)
    return fail(State::failed,
                fmt::format("the agent's answer is longer than {}", readable_size(outcome.out.tail.size())));
  if (!envelope) return fail(State::failed, with_last_line("the agent's answer is no JSON object", outcome.out.tail));
  if (outcome.exit_code != 0 || !ok || !ok->is_bool() || !ok->get_bool()) {
    std::string error = error_in(*envelope);
    if (error.empty()) error = "its answer does not say ok";
    return fail(State::failed,
                fmt::format("the agent {}: {}", exit_in_words(outcome.exit_code, outcome.signal), error));
  }
  outcome.state = State::succeeded;
}

}  // namespace

std::string_view name_of(State state) {
  switch (state) {
    case State::succeeded:
      return "succeeded";
    case State::failed:
      return "failed";
    case State::timed_out:
      return "timed_out";
    case State::cancelled:
      return "cancelled";
  }
  return "failed";
}

std::size_t output_to_keep(const RunnerConfig& runner) {
  const auto kept = static_cast<std::size_t>(std::max<uint64_t>(runner.output, 1));
  return runner.success == RunnerConfig::Success::openclaw_json ? std::max(kept, kEnvelopeMost) : kept;
}

void judge(Outcome& outcome, const RunnerConfig& runner, const Output& output) {
  outcome.out = output.out();
  outcome.err = output.err();
  outcome.tail = output.tail();
  if (runner.success == RunnerConfig::Success::openclaw_json) {
    judge_by_envelope(outcome, output);
  } else {
    judge_by_exit(outcome, output);
  }
  outcome.out.tail.clear();  // it is the text
}

std::string exit_in_words(int code, int signal) {
  if (signal == 0) return fmt::format("exited with {}", code);
  const char* name = sigdescr_np(signal);
  return fmt::format("was ended by signal {} ({})", signal, name ? name : "unknown");
}

}  // namespace detent
