// Keeps `detent/tasks` and its copy at the remote in step: our commits go there by a push, what people commit there
// comes by a fetch. Both are children that are polled. One thread.
#pragma once

#include <optional>
#include <string>

#include "base/child.h"
#include "ledger/repository/pusher.h"

namespace detent {

class TaskRemote {
 public:
  TaskRemote(Pusher::Options push, Millis fetch_every);

  /// Where the remote's branch stood at the last fetch: a ref of the local repository.
  const std::string& fetched_ref() const { return fetched_ref_; }
  /// There is something to push.
  void committed() { pusher_.wanted(); }
  /// The remote may have something new.
  void stirred() { fetch_at_ = Millis::min(); }
  void turn(Millis mono);
  Millis wait(Millis mono) const;
  /// Why the remote does not have what we have, after several failures in a row; empty: it has, or is about to.
  const std::string& trouble() const { return trouble_; }

 private:
  void fetch(Millis mono);
  void fetched(const Child::Exit& exit);

  Pusher::Options options_;
  Pusher pusher_;
  Millis fetch_every_;
  Millis fetch_at_{Millis::min()};
  std::string fetched_ref_;
  std::optional<Child> fetch_;
  int failed_fetches_ = 0;  // in a row
  std::string trouble_;
};

}  // namespace detent
