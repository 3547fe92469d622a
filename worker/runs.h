// The attempts of a worker, on a thread of their own: whatever they do, the thread that renews their leases goes on.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/disk.h"
#include "worker/config.h"
#include "worker/core.h"
#include "worker/isolation.h"
#include "worker/results.h"

namespace detent {

class Runs {
 public:
  /// `wake` is called when there is something to `take`. Ends what an earlier life of this worker left; blocks for
  /// that. Throws Failure where the disk does not allow it.
  Runs(const WorkerConfig& config, Isolation isolation, Disk& disk, std::function<void()> wake);
  /// Ends what runs.
  ~Runs();

  /// Results of earlier lives, which the dispatcher has not taken.
  std::vector<std::pair<AttemptKey, std::string>> kept();

  // ---- from the worker's loop; done on the thread, soon
  void start(const AttemptKey& attempt, std::string signal);
  void stop(const AttemptKey& attempt, std::string why);
  /// Its result need not be kept any more.
  void forget(const AttemptKey& attempt);

  struct Event {
    AttemptKey attempt;
    std::string printed;  // whole lines
    std::string ended;    // an encoded AttemptEnded, which is on the disk; empty: it goes on
  };
  std::vector<Event> take();

 private:
  struct Run;
  struct Order {
    AttemptKey attempt;
    std::string signal, why;  // one of them, or neither: forget
  };

  void loop(const std::stop_token& stop);
  void obey(Order order);
  void begin(const AttemptKey& attempt, const std::string& signal);
  void advance(Run& run, Millis mono);
  void end(Run& run, std::string encoded);
  void wait(Millis patience);
  void tell(Event event);
  void give(Order order);

  const WorkerConfig config_;
  const Isolation isolation_;
  Results results_;
  const std::function<void()> wake_;
  int order_fd_ = -1;  // an eventfd: orders are there

  std::mutex mutex_;  // guards these two
  std::vector<Order> orders_;
  std::vector<Event> events_;

  // the thread's own
  struct Workspaces;
  std::unique_ptr<Workspaces> workspaces_;
  std::map<AttemptKey, std::unique_ptr<Run>> runs_;
  std::map<AttemptKey, std::string> unkept_;  // results that could not be written yet
  std::jthread thread_;                       // last
};

}  // namespace detent
