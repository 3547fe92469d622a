// A runner's repository, kept warm: fetched once for all attempts, and a clean checkout for each of them.
//
//     ROOT/mirror.git     bare; what was fetched. Attempts can read it
//     ROOT/N.git          the git side of checkout N, which no attempt ever sees
//     ROOT/N              checkout N, with a copy of N.git in it, whose objects are the mirror's
//
// What an attempt did to the .git of its checkout (hooks, filters, settings) is never run by the worker: git works with
// N.git, and the copy goes before it starts. One thread; git runs as child processes with deadlines.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/child.h"
#include "base/clock.h"
#include "base/result.h"

namespace detent {

class Checkout;

class Workspace {
 public:
  /// `url`: what git takes, an address or a path. `branch`: empty for the one that its HEAD names. Nothing happens yet.
  Workspace(std::filesystem::path root, std::string url, std::string branch);
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  /// A checkout that no other attempt has, still to be prepared. This outlives it.
  Checkout checkout();

 private:
  friend class Checkout;
  std::filesystem::path mirror() const { return root_ / "mirror.git"; }

  std::filesystem::path root_;
  std::string url_, branch_;
  std::set<std::size_t> taken_;  // checkouts
  bool fetching_ = false;        // one at a time
};

/// One attempt's checkout, from its preparation until it is given back, which its destruction does.
class Checkout {
 public:
  Checkout(Checkout&& other) noexcept;
  Checkout& operator=(Checkout&& other) noexcept;
  ~Checkout();

  /// Goes on; a result once, when it is ready, or an error of one line when it cannot be had. Never blocks.
  std::optional<Result<>> poll(Millis mono);
  /// What to wait for with poll(2) meanwhile. Empty while another checkout fetches, and once it is ready.
  std::vector<int> descriptors() const;

  /// Where the attempt works.
  const std::filesystem::path& folder() const { return folder_; }
  /// What the checkout refers to: to be readable where the attempt runs.
  std::filesystem::path readable() const { return workspace_->mirror(); }
  const std::string& commit() const { return commit_; }
  /// What the operator wants to know though it is ready ("as of the last fetch: …"), or empty.
  const std::string& note() const { return note_; }

 private:
  friend class Workspace;
  enum class Step {
    turn,
    init,
    head,
    fetch,
    clone,
    url,
    refs,
    unlock,
    wipe,
    forget,
    reset,
    clean,
    copy,
    commit,
    ready
  };

  Checkout(Workspace& workspace, std::size_t number);
  Child::Options command() const;
  Child::Options git(std::vector<std::string> arguments) const;
  /// What follows the step that ended so, or why nothing does.
  Result<Step> after(const Child::Exit& exit);
  Result<Step> cannot_fetch(const Child::Exit& exit);
  Result<Step> mend_or_fail(const Child::Exit& exit);
  void fetched();
  std::filesystem::path git_folder() const { return folder_.string() + ".git"; }
  std::filesystem::path draft() const { return folder_.string() + ".clone"; }
  void let_go();

  Workspace* workspace_ = nullptr;
  std::size_t number_ = 0;
  std::filesystem::path folder_;
  Step step_ = Step::turn;
  std::optional<Child> child_;
  bool fetches_ = false, mended_ = false;
  std::string branch_, commit_, note_;
};

}  // namespace detent
