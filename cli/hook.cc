#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>

#include "base/utf8.h"
#include "cli/command.h"
#include "cli/git.h"
#include "cli/publishing.h"
#include "cli/text.h"
#include "proto/signal.pb.h"

namespace detent {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kMark = "# Written by `detent hook install`.";
constexpr std::string_view kKept = "post-commit.before-detent";
constexpr size_t kDiffKept = 256 * 1024;

struct Options {
  std::string repository = ".";
  std::vector<std::string> watch;
  std::string commit = "HEAD";
};

std::string shell_quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string contents(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Runs in the background and writes what went wrong beside the hooks, so that a commit never waits or fails for it.
std::string script(Invocation& invocation, const Options& options) {
  std::string command = shell_quoted(invocation.program);
  if (!invocation.config().file.empty())
    command += " --config " + shell_quoted(fs::absolute(invocation.config().file).string());
  command += " hook fire";
  if (!invocation.broker.empty()) command += " --broker " + shell_quoted(invocation.broker);
  for (const std::string& file : options.watch) command += " --watch " + shell_quoted(file);
  return fmt::format(R"sh(#!/bin/sh
{} It publishes memory.updated when a commit changes a watched file.
# It runs in the background and never fails a commit; what went wrong is in detent-hook.log beside this file.
before="$(dirname "$0")/{}"
if [ -x "$before" ]; then "$before" "$@"; fi
commit="$(git rev-parse HEAD)" || exit 0
log="$(dirname "$0")/detent-hook.log"
# In a session of its own where that can be had: whoever ends the commit's process group does not end this.
apart="$(command -v setsid)"
$apart sh -c 'log=$1; shift; "$@" </dev/null >/dev/null 2>"$log" &' sh "$log" \
  {} --commit "$commit" .
exit 0
)sh",
                     kMark, kKept, command);
}

void install(Invocation& invocation, const Options& options) {
  for (const std::string& file : options.watch) {
    if (file.empty() || *fs::path(file).lexically_normal().begin() == "..")
      throw Usage("--watch wants a file or folder inside the repository, not \"" + file + "\"");
  }
  if (git(options.repository, {"rev-parse", "--is-bare-repository"}) == "true")
    throw Usage(options.repository + " is a bare repository: nobody commits there; name a work tree");
  fs::path hooks = git(options.repository, {"rev-parse", "--git-path", "hooks"});
  if (hooks.is_relative()) hooks = fs::path(options.repository) / hooks;
  fs::create_directories(hooks);
  const fs::path hook = hooks / "post-commit";
  const fs::path kept = hooks / kKept;
  bool chained = fs::exists(kept);
  if (fs::is_directory(hook)) throw Failure(hook.string() + " is a folder: move it away");
  if (fs::exists(hook) && contents(hook).find(kMark) == std::string::npos) {
    if (chained)
      throw Failure(
          fmt::format("{} and {} are both there and neither is ours: move one away", hook.string(), kept.string()));
    fs::rename(hook, kept);
    chained = true;
  }
  // Written beside and moved there: a commit in the meantime sees the old hook or the whole new one.
  const fs::path fresh = hooks / "post-commit.detent-new";
  std::ofstream out(fresh, std::ios::trunc);
  out << script(invocation, options);
  out.close();
  if (!out) throw Failure(system_error("cannot write " + fresh.string(), errno).what);
  fs::permissions(fresh, fs::perms(0755));
  fs::rename(fresh, hook);
  invocation.out << "installed " << hook.string() << ": publishes memory.updated when a commit changes "
                 << fmt::format("{}", fmt::join(options.watch, " or "))
                 << (chained ? "; the hook that was there runs first" : "") << "\n";
}

struct Change {
  std::string path;  // bytes, as git has it
  int added = 0, removed = 0;
};

/// What `commit` changed of the files that the pathspec `file` names; of a binary file no line counts.
std::vector<Change> changes(const std::string& root, const std::string& commit, const std::string& file) {
  // "3\t1\tMEMORY.md\0"; without -z a path outside ASCII comes quoted.
  std::istringstream listed(git(root, {"show", "--format=", "--numstat", "-z", "--no-renames", commit, "--", file}));
  std::vector<Change> all;
  for (std::string entry; std::getline(listed, entry, '\0');) {
    std::istringstream columns(entry);
    std::string added, removed, path;
    std::getline(columns, added, '\t');
    std::getline(columns, removed, '\t');
    std::getline(columns, path, '\0');
    if (!path.empty()) all.push_back({path, std::atoi(added.c_str()), std::atoi(removed.c_str())});
  }
  return all;
}

void publish_change(Invocation& invocation, const std::string& root, const std::string& commit, const Change& change) {
  const std::string subject = git(root, {"show", "--no-patch", "--format=%s", commit});
  const std::string author = git(root, {"show", "--no-patch", "--format=%an", commit});
  const std::string diff = to_utf8(git(root, {"show", "--format=", "--no-color", "--no-ext-diff", "--no-renames",
                                              commit, "--", ":(top,literal)" + change.path}));
  const auto within = [](const std::string& text, size_t most) { return std::string(head_of(text, most)); };
  MemoryUpdate payload;
  payload.set_title(within(to_utf8(fmt::format("{}: {}", change.path, subject)), 512));
  payload.set_path(within(to_utf8(change.path), 1024));
  payload.set_commit(commit);
  payload.set_lines_added(change.added);
  payload.set_lines_removed(change.removed);
  payload.set_diff(diff.size() <= kDiffKept ? diff : within(diff, kDiffKept) + "\n… (cut)\n");
  auto* by = payload.add_fields();
  by->set_name("author");
  by->set_value(within(to_utf8(author), 1024));
  by->set_short_(true);
  publish_signal(invocation, {.type = "memory.updated", .source = host_name()}, &payload);
}

void fire(Invocation& invocation, const Options& options) {
  const std::string root = git(options.repository, {"rev-parse", "--show-toplevel"});
  const std::string commit = git(root, {"rev-parse", options.commit});
  // What goes wrong with one is said, and the others go on.
  const auto attempt = [&](const std::string& what, const auto& action) {
    try {
      action();
    } catch (const std::exception& error) {
      invocation.err << "detent hook: " << plain(what) << ": " << error.what() << "\n";
      invocation.exit = 1;
    }
  };
  for (const std::string& file : options.watch) {
    attempt(file, [&] {
      for (const Change& change : changes(root, commit, file)) {
        attempt(change.path, [&] { publish_change(invocation, root, commit, change); });
      }
    });
  }
}

}  // namespace

void add_hook(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<Options>();
  const auto watched = [options] {
    if (options->watch.empty()) options->watch = {"MEMORY.md", "CURRENT.md"};
  };
  auto* hook = app.add_subcommand("hook", "Publish memory.updated when commits change the agent's memory files");
  hook->require_subcommand(1);

  auto* installing =
      hook->add_subcommand("install", "Write a post-commit hook; one that is there is kept and runs first");
  installing->add_option("REPO", options->repository, "The repository's work tree (default: here)");
  installing
      ->add_option("--watch", options->watch, "A file or folder; may be repeated (default: MEMORY.md and CURRENT.md)")
      ->type_name("PATH")
      ->allow_extra_args(false);
  add_broker_option(*installing, invocation);
  installing->footer(
      "The hook never blocks or fails a commit; what went wrong is in detent-hook.log beside it.\n"
      "Example:\n  detent hook install ~/workspace --watch MEMORY.md --watch memory/");
  installing->callback([&invocation, options, watched] {
    watched();
    install(invocation, *options);
  });

  auto* firing = hook->add_subcommand("fire", "What the hook calls: publish the changes of one commit");
  firing->add_option("REPO", options->repository, "The repository's work tree (default: here)");
  firing->add_option("--watch", options->watch)->type_name("PATH")->allow_extra_args(false);
  firing->add_option("--commit", options->commit, "Which one (default: HEAD)")->type_name("COMMIT");
  add_asking_options(*firing, invocation);
  firing->callback([&invocation, options, watched] {
    watched();
    fire(invocation, *options);
  });
}

}  // namespace detent
