#include "worker/attempt.h"

#include <signal.h>
#include <spdlog/fmt/fmt.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/units.h"
#include "worker/folder.h"

extern char** environ;

namespace detent {

namespace {

using State = Outcome::State;

constexpr Millis kOverTheAgents{60'000};  // an agent that keeps time itself is given this much more
constexpr Millis kGuardPatience{30'000};  // for a guard that was told to end all, before we do it
constexpr Millis kSweepPatience{5'000};
constexpr Millis kLastLook{50};  // at a guard that has said its last word
constexpr std::size_t kReportMost = 2'048;

/// All names in our environment: none of them is the attempt's but by its allow-list.
std::vector<std::string> all_of_ours() {
  std::vector<std::string> out;
  for (char** at = environ; *at; ++at) {
    const std::string_view entry = *at;
    out.emplace_back(entry.substr(0, entry.find('=')));
  }
  return out;
}

Limits limits_of(const RunnerConfig& runner) {
  return {.memory = runner.memory, .pids = runner.pids, .cpu = runner.cpu, .disk = runner.disk};
}

std::string time_in_words(Millis span) {
  return span.count() % 1000 ? fmt::format("{} ms", span.count()) : roughly(span);
}

}  // namespace

Result<Attempt> Attempt::start(const Isolation& isolation, const RunnerConfig& runner, AttemptOrder order,
                               Output::Line line, Millis mono) {
  Attempt out;
  const auto name = attempt_name(order.task, order.epoch);
  if (!name) return name.error();
  const Millis time = order.timeout.count() > 0 ? order.timeout : runner.timeout;
  const bool keeps_time = runner.success == RunnerConfig::Success::openclaw_json;
  out.isolation_ = &isolation;
  out.runner_ = runner;
  out.time_ = time + (keeps_time ? kOverTheAgents : Millis{0});
  out.started_ = mono;
  out.record_ = {.name = *name, .boot = boot_id()};

  const auto places = make_attempt_folder(isolation, *name, runner, order);
  if (!places) return places.error();
  out.folder_ = places->folder;  // from here on it goes with `out`
  auto environment = attempt_environment(isolation, *name, runner, order, *places);
  if (!environment) return environment.error();
  auto command = attempt_command(runner, order, *places, time);
  if (!command) return command.error();
  const auto guard =
      isolation.order(isolation.mark() + "." + *name, std::move(*command), limits_of(runner), out.time_, *places);
  if (!guard) return guard.error();
  out.record_.cgroup = guard->cgroup;
  if (const auto written = write_record(isolation, out.record_); !written) return written.error();

  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
    return system_error("cannot make a socket", errno);
  out.socket_ = ends[0];
  out.output_ = std::make_unique<Output>(output_to_keep(runner), std::max<uint64_t>(runner.output, 1), std::move(line));
  out.mono_ = std::make_unique<Millis>(mono);
  Child::Options options{.command = guard->command_line(isolation.guard())};
  options.environment = std::move(*environment);
  options.without = all_of_ours();
  options.folder = places->start();
  if (runner.prompt == RunnerConfig::Prompt::standard_input) options.input = std::move(order.prompt);
  options.max_output = 0;  // kept by `output_`
  options.held_file = ends[1];
  options.each = [output = out.output_.get(), at = out.mono_.get()](Child::Stream stream, std::string_view piece) {
    output->add(stream, piece, *at);
  };
  auto child = Child::start(std::move(options), mono);
  close(ends[1]);
  if (!child) return child.error();
  out.guard_ = std::move(*child);
  out.record_.guard = out.guard_->pid();
  if (const auto seen = process(out.record_.guard)) out.record_.started = seen->started;
  if (const auto written = write_record(isolation, out.record_); !written) return written.error();
  return out;
}

Attempt::Attempt(Attempt&& other) noexcept { *this = std::move(other); }

Attempt& Attempt::operator=(Attempt&& other) noexcept {
  if (this == &other) return *this;
  let_go();
  isolation_ = std::exchange(other.isolation_, nullptr);
  runner_ = std::move(other.runner_);
  record_ = std::move(other.record_);
  folder_ = std::exchange(other.folder_, {});
  guard_ = std::exchange(other.guard_, std::nullopt);
  socket_ = std::exchange(other.socket_, -1);
  output_ = std::move(other.output_);
  mono_ = std::move(other.mono_);
  pid_ = other.pid_;
  started_ = other.started_;
  time_ = other.time_;
  asked_ = other.asked_;
  told_ = other.told_;
  cancelled_ = other.cancelled_;
  timed_out_ = other.timed_out_;
  report_ = std::move(other.report_);
  return *this;
}

Attempt::~Attempt() { let_go(); }

void Attempt::let_go() {
  if (!isolation_) return;
  if (guard_) take_over();
  guard_.reset();
  if (socket_ >= 0) close(std::exchange(socket_, -1));
  if (!record_.cgroup.empty()) remove_cgroup(record_.cgroup);
  const bool removed = folder_.empty() || remove_folder(folder_).has_value();
  // What is still there, the next start finds by its record.
  if (removed) remove_record(*isolation_, record_.name);
  isolation_ = nullptr;
}

void Attempt::say(char what) const {
  if (socket_ >= 0) send(socket_, &what, 1, MSG_NOSIGNAL);
}

void Attempt::hear() {
  std::array<char, kReportMost> buffer;
  for (ssize_t got = 0; socket_ >= 0 && (got = recv(socket_, buffer.data(), buffer.size(), 0)) > 0;) {
    auto report = GuardReport::parse({buffer.data(), static_cast<std::size_t>(got)});
    if (!report) continue;
    if (report->kind == GuardReport::Kind::started) {
      pid_ = report->pid;
    } else {
      report_ = std::move(report);
    }
  }
}

void Attempt::keep_time(Millis mono) {
  if (report_) return;
  if (!asked_ && mono - started_ >= time_) {
    timed_out_ = true;
    asked_ = mono;
    say(kAskToEnd);
  }
  if (asked_ && !told_ && mono - *asked_ >= runner_.grace) {
    told_ = true;
    say(kEndNow);
  }
  if (told_ && mono - *asked_ >= runner_.grace + kGuardPatience) take_over();
}

void Attempt::cancel(Millis mono) {
  if (!guard_ || report_ || asked_) return;
  cancelled_ = true;
  asked_ = mono;
  say(kAskToEnd);
}

void Attempt::take_over() {
  static_cast<void>(end_attempt(*isolation_, record_, kSweepPatience));
  guard_->signal(SIGKILL);
}

std::optional<Outcome> Attempt::poll(Millis mono) {
  if (!guard_) return std::nullopt;
  *mono_ = mono;
  hear();
  keep_time(mono);
  const auto exit = guard_->poll(mono);
  if (!exit) return std::nullopt;
  hear();  // its last word came before its end
  if (!report_) {
    // The guard was killed: by the attempt itself, or for want of memory.
    static_cast<void>(end_attempt(*isolation_, record_, kSweepPatience));
  }
  guard_.reset();
  output_->end();
  Outcome result = outcome(*exit, mono);
  let_go();
  return result;
}

Outcome Attempt::outcome(const Child::Exit& exit, Millis mono) {
  Outcome out{.took = mono - started_};
  const GuardReport report = report_.value_or(GuardReport{.code = exit.code, .signal = exit.signal});
  out.exit_code = report.code;
  out.signal = report.signal;
  out.peak_memory = report.peak_memory;
  out.cpu = Millis{static_cast<int64_t>(report.cpu_ms)};
  out.leftovers = report.leftovers;
  judge(out, runner_, *output_);
  const auto end = [&](State state, std::string error) {
    out.state = state;
    out.error = std::move(error);
  };
  if (report.kind == GuardReport::Kind::failed) {
    out.exit_code = report.error == ENOENT ? 127 : 126;
    end(State::failed, report.what);
  } else if (report.reason == GuardReport::Reason::memory) {
    end(State::failed, fmt::format("ended: it used more memory than its limit of {}", readable_size(runner_.memory)));
  } else if (report.reason == GuardReport::Reason::pids) {
    end(State::failed, fmt::format("ended: more processes and threads than its limit of {}", runner_.pids));
  } else if (report.reason == GuardReport::Reason::disk) {
    end(State::failed, fmt::format("ended: it filled its folder beyond the limit of {}", readable_size(runner_.disk)));
  } else if (cancelled_) {
    end(State::cancelled, "cancelled");
  } else if (timed_out_) {
    end(State::timed_out, fmt::format("ended: it ran longer than its limit of {}", time_in_words(time_)));
  } else if (!report_) {
    end(State::failed, "its guard was killed, and it with it");
  } else if (out.exit_code == 128 + SIGXCPU) {
    end(State::failed, fmt::format("ended: a process of it used more CPU time than {} cores give in {}", runner_.cpu,
                                   time_in_words(time_)));
  } else if (out.exit_code == 128 + SIGXFSZ) {
    end(State::failed, fmt::format("ended: a file of it grew beyond the limit of {}", readable_size(runner_.disk)));
  }
  if (report.immortal > 0)
    out.error += fmt::format("{}{} processes of it cannot be ended", out.error.empty() ? "" : "; ", report.immortal);
  return out;
}

std::vector<int> Attempt::descriptors() const {
  std::vector<int> out;
  if (guard_) out = guard_->descriptors();
  if (socket_ >= 0 && !report_) out.push_back(socket_);
  return out;
}

Millis Attempt::next() const {
  if (report_) return *mono_ + kLastLook;
  if (!asked_) return started_ + time_;
  if (!told_) return *asked_ + runner_.grace;
  return *asked_ + runner_.grace + kGuardPatience;
}

}  // namespace detent
