#include "worker/workspace.h"

#include <spdlog/fmt/fmt.h>

#include <cerrno>
#include <fstream>
#include <utility>

#include "base/utf8.h"
#include "ledger/repository/git_command.h"

namespace detent {

namespace fs = std::filesystem;

namespace {

constexpr Millis kFetchPatience{10 * 60'000};
constexpr Millis kLocalPatience{5 * 60'000};
constexpr std::size_t kReasonMost = 300;

/// What git said last, on one line and without credentials.
std::string reason_of(const Child::Exit& exit) {
  if (exit.timed_out) return "git did not end in time";
  std::string line;
  for (std::string_view rest = exit.err; !rest.empty();) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const std::string_view each = rest.substr(0, end);
    const bool telling = each.starts_with("fatal: ") || each.starts_with("error: ");
    // What is fatal is mostly told first; what follows is advice.
    if (!each.empty() && (line.empty() || (telling && !line.starts_with("fatal: ")))) line = each;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (line.empty()) line = fmt::format("git ended with {}", exit.code);
  return std::string(head_of(to_utf8(without_credentials(line)), kReasonMost));
}

/// The branch that a checkout was on last; empty where there was none.
std::string branch_of(const fs::path& git_folder) {
  constexpr std::string_view kPrefix = "ref: refs/heads/";
  std::string line;
  std::getline(std::ifstream(git_folder / "HEAD") >> std::ws, line);
  return line.starts_with(kPrefix) ? line.substr(kPrefix.size()) : "";
}

}  // namespace

Workspace::Workspace(fs::path root, std::string url, std::string branch)
    : root_{std::move(root)}, url_{std::move(url)}, branch_{std::move(branch)} {}

Checkout Workspace::checkout() {
  std::size_t number = 1;
  while (taken_.contains(number)) ++number;
  taken_.insert(number);
  return Checkout(*this, number);
}

Checkout::Checkout(Workspace& workspace, std::size_t number)
    : workspace_{&workspace},
      number_{number},
      folder_{workspace.root_ / std::to_string(number)},
      branch_{workspace.branch_} {}

Checkout::Checkout(Checkout&& other) noexcept { *this = std::move(other); }

Checkout& Checkout::operator=(Checkout&& other) noexcept {
  if (this == &other) return *this;
  let_go();
  workspace_ = std::exchange(other.workspace_, nullptr);
  number_ = other.number_;
  folder_ = std::move(other.folder_);
  step_ = other.step_;
  child_ = std::exchange(other.child_, std::nullopt);
  fetches_ = std::exchange(other.fetches_, false);
  mended_ = other.mended_;
  branch_ = std::move(other.branch_);
  commit_ = std::move(other.commit_);
  note_ = std::move(other.note_);
  return *this;
}

Checkout::~Checkout() { let_go(); }

void Checkout::let_go() {
  if (!workspace_) return;
  child_.reset();
  fetched();
  workspace_->taken_.erase(number_);
  workspace_ = nullptr;
}

void Checkout::fetched() {
  if (std::exchange(fetches_, false)) workspace_->fetching_ = false;
}

std::vector<int> Checkout::descriptors() const { return child_ ? child_->descriptors() : std::vector<int>(); }

std::optional<Result<>> Checkout::poll(Millis mono) {
  if (step_ == Step::ready) return std::nullopt;
  if (step_ == Step::turn) {
    if (workspace_->fetching_) return std::nullopt;
    workspace_->fetching_ = fetches_ = true;
    std::error_code failed;
    fs::create_directories(workspace_->root_, failed);
    if (failed) {
      step_ = Step::ready;
      return Result<>(system_error("cannot make " + workspace_->root_.string(), failed.value()));
    }
    step_ = fs::exists(workspace_->mirror() / "HEAD") ? Step::head : Step::init;
    if (step_ == Step::head && !branch_.empty()) step_ = Step::fetch;
  }
  while (step_ != Step::ready) {
    if (!child_) {
      auto started = Child::start(command(), mono);
      if (!started) {
        step_ = Step::ready;
        fetched();
        return Result<>(started.error());
      }
      child_ = std::move(*started);
    }
    const auto exit = child_->poll(mono);
    if (!exit) return std::nullopt;
    child_.reset();
    const auto next = after(*exit);
    if (!next) {
      step_ = Step::ready;
      fetched();
      return Result<>(Error{fmt::format("workspace {}: {}", without_credentials(workspace_->url_), next.error().what)});
    }
    step_ = *next;
  }
  return Result<>();
}

Child::Options Checkout::git(std::vector<std::string> arguments) const {
  std::vector<std::string> all{"-c", "core.hooksPath=/dev/null", "--git-dir=" + git_folder().string(),
                               "--work-tree=" + folder_.string()};
  all.insert(all.end(), std::make_move_iterator(arguments.begin()), std::make_move_iterator(arguments.end()));
  auto options = git_command(workspace_->root_, std::move(all));
  options.deadline = kLocalPatience;
  return options;
}

Child::Options Checkout::command() const {
  const Remote remote{.url = workspace_->url_};
  const std::string mirror = workspace_->mirror().string();
  const auto plain = [](std::vector<std::string> words) {
    Child::Options options{.command = std::move(words)};
    options.deadline = kLocalPatience;
    return options;
  };
  switch (step_) {
    case Step::init:
      return git_command(workspace_->root_, {"init", "--quiet", "--bare", mirror});
    case Step::head:
      return git_command(mirror, {"ls-remote", "--symref", "detent", "HEAD"}, &remote);
    case Step::fetch: {
      auto options = git_command(mirror,
                                 {"fetch", "--quiet", "--prune", "--force", "--no-write-fetch-head", "detent",
                                  "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"},
                                 &remote);
      options.deadline = kFetchPatience;
      return options;
    }
    case Step::clone:
      return git_command(workspace_->root_,
                         {"clone", "--quiet", "--shared", "--no-checkout", mirror, draft().string()});
    case Step::url:
      return git({"config", "remote.origin.url", without_credentials(workspace_->url_)});
    case Step::refs:
      return git({"fetch", "--quiet", "--prune", "--force", "--no-write-fetch-head", mirror,
                  "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"});
    case Step::unlock:
      return plain({"chmod", "-R", "u+rwX", "--", folder_.string()});
    case Step::wipe:
      return plain({"rm", "-rf", "--", folder_.string(), git_folder().string(), draft().string()});
    case Step::forget:
      return plain({"rm", "-rf", "--", (folder_ / ".git").string()});
    case Step::reset:
      return git({"checkout", "--quiet", "--force", "--no-track", "-B", branch_, "refs/remotes/origin/" + branch_});
    case Step::clean:
      return git({"clean", "-ffdxq"});
    case Step::copy:
      return plain({"cp", "-a", "--", git_folder().string(), (folder_ / ".git").string()});
    case Step::commit:
      return git({"rev-parse", "HEAD"});
    case Step::turn:
    case Step::ready:
      break;
  }
  CHECK(false, "a step without a command");
  return {};
}

Result<Checkout::Step> Checkout::after(const Child::Exit& exit) {
  const bool good = exit.code == 0;
  std::error_code failed;
  const auto to_the_checkout = [&] { return fs::exists(git_folder(), failed) ? Step::refs : Step::clone; };
  switch (step_) {
    case Step::init:
      if (!good) return Error{reason_of(exit)};
      return branch_.empty() ? Step::head : Step::fetch;
    case Step::head: {
      if (!good) return cannot_fetch(exit);
      // "ref: refs/heads/main\tHEAD"
      constexpr std::string_view kPrefix = "ref: refs/heads/";
      const auto tab = exit.out.find('\t');
      if (!exit.out.starts_with(kPrefix) || tab == std::string::npos)
        return Error{"its HEAD names no branch: say which one with `branch`"};
      branch_ = exit.out.substr(kPrefix.size(), tab - kPrefix.size());
      return Step::fetch;
    }
    case Step::fetch:
      if (!good) return cannot_fetch(exit);
      fetched();
      return to_the_checkout();
    case Step::clone:
      if (good) fs::rename(draft() / ".git", git_folder(), failed);
      if (good && !failed) fs::remove(draft(), failed);
      return good && !failed ? Step::url : mend_or_fail(exit);
    case Step::url:
      return good ? Step::refs : mend_or_fail(exit);
    case Step::refs:
      if (good) fs::create_directories(folder_, failed);
      return good && !failed ? Step::forget : mend_or_fail(exit);
    case Step::unlock:
      return Step::wipe;  // where there was nothing to unlock, that is no fault
    case Step::wipe:
      if (!good) return Error{fmt::format("cannot remove {}: {}", folder_.string(), reason_of(exit))};
      return Step::clone;
    case Step::forget:
      return good ? Step::reset : mend_or_fail(exit);
    case Step::reset:
      return good ? Step::clean : mend_or_fail(exit);
    case Step::clean:
      return good ? Step::copy : mend_or_fail(exit);
    case Step::copy:
      return good ? Step::commit : mend_or_fail(exit);
    case Step::commit:
      if (!good) return mend_or_fail(exit);
      commit_ = exit.out.substr(0, exit.out.find('\n'));
      return Step::ready;
    case Step::turn:
    case Step::ready:
      break;
  }
  return Error{"a step that does not end"};
}

Result<Checkout::Step> Checkout::cannot_fetch(const Child::Exit& exit) {
  fetched();
  // What an earlier attempt had is better than nothing while the network is down; and it is said.
  std::error_code failed;
  if (!fs::exists(git_folder(), failed)) return Error{reason_of(exit)};
  if (branch_.empty()) branch_ = branch_of(git_folder());
  if (branch_.empty()) return Error{reason_of(exit)};
  note_ =
      fmt::format("workspace {} is as of its last fetch: {}", without_credentials(workspace_->url_), reason_of(exit));
  return Step::refs;
}

Result<Checkout::Step> Checkout::mend_or_fail(const Child::Exit& exit) {
  if (std::exchange(mended_, true)) return Error{reason_of(exit)};
  return Step::unlock;  // an attempt may have left anything there: it is made anew, once
}

}  // namespace detent
