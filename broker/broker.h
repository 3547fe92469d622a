// The broker as it runs: the core on real sockets, a real journal and a real ledger.
//
// Threads: `run` is the loop, which owns the ROUTER and all state; one task thread writes and syncs the journals;
// another does what may take its time (spares, id files, looking things up); the ledger's writer; the HTTP server's.
// They hand results back with `post`. The loop never waits on any of them: while a sync is under way and enough has
// filled up behind it, it stops reading sockets.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/config.h"
#include "base/disk.h"
#include "broker/core.h"
#include "broker/dead_letters.h"
#include "broker/dead_orders.h"
#include "broker/drops.h"
#include "broker/ledger_writer.h"
#include "bus/router_socket.h"
#include "host/task_thread.h"

namespace detent {

namespace http {
class Server;
}

class Broker {
 public:
  /// Recovers, listens. Throws Failure with one line where it cannot.
  Broker(Config config, Disk& disk);
  ~Broker();

  /// Serves until `stop`, then drains: what was taken in is synced and acknowledged, the ledger brought up to date.
  void run();
  /// Any thread.
  void stop();
  /// Reads the config file again, on the loop. Any thread.
  void reload();

  std::string endpoint() const { return socket_.endpoint(); }
  std::string http_url() const;

 private:
  friend class Admin;

  void recover();
  void listen_http();
  void post(std::function<void()> task);
  void run_posted();
  void send_outgoing();
  /// Finds the consumers that ended without a word, so that others get what they held.
  void probe_disconnected_consumers();
  void start_work();
  void work_done(const Appended& appended);
  /// The chores' thread.
  void write_ids(uint64_t segment, const std::vector<KnownId>& ids);
  /// Segments that may go, where it is time to look.
  Drops due_drops();
  void drop(const Drops& drops);
  void prepare_spares(bool in_haste);
  /// Tries to read what could not be read, so that its alarm ends also where nobody asks for it.
  void probe_failing();
  void check_disk();
  void take_space(const Space& space);
  /// On the journal's thread: tries again what fails for want of room or of descriptors, until the broker stops.
  Result<Appended> append(Journal& journal, Batch& batch);
  void give_up_reserve();
  void check_ledger();
  /// Whether publishers are refused: no room, or the ledger too far behind.
  void check_publishers();
  void feed_tails();
  struct Tailing {
    std::string channel, type;
    std::unique_ptr<JournalTail> tail;
    int64_t since_ms = 0;
    size_t unpinged = 0;  // bytes sent behind the last PING
    bool caught_up = false;
  };
  /// Sends a tail's next frame; true where there may be more at once.
  bool feed(uint64_t session, Tailing& tailing);
  void serve_admin();
  /// The verdict per section, as JSON; an error where the file does not load and the old one stays in force.
  Result<std::string> reload_now();
  void hold(int reason, std::string text);

  Config config_;
  Disk& disk_;
  SignalValidator validator_;
  std::unique_ptr<IdWindow> ids_;
  std::unique_ptr<Core> core_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<DeadLetters> dead_;
  std::unique_ptr<DeadOrders> dead_orders_;
  std::unique_ptr<JournalReader> bodies_;              // the loop's
  std::unique_ptr<JournalReader> dead_letter_bodies_;  // the journal thread's
  RouterSocket socket_;

  std::map<uint64_t, std::unique_ptr<Tailing>> tails_;
  std::map<uint64_t, std::function<void(const LocalDone&)>> local_waiting_;

  int looks_ = 0;  // for lost consumers, still to be made
  Millis next_look_for_lost_{0};
  Now now_;
  Now started_;
  LogPosition synced_;
  bool snapshot_due_ = false, snapshot_failed_ = false, snapshot_again_ = false;
  Millis last_roll_{0};       // monotonic: when the open segment was begun
  Millis journal_failed_{0};  // monotonic
  uint64_t sealed_ = 0;       // a segment whose ids are to be written
  uint64_t unlooked_ = 0;     // bytes appended since the journal's thread last asked for the disk's room
  std::map<std::string, std::string> damage_;
  bool drop_due_ = false;  // segments are to be looked through
  Space space_;
  bool looking_after_disk_ = false;
  Millis next_look_{0};
  DeliveryKey probed_;  // the last one of those that could not be read
  uint64_t syncs_ = 0;
  uint64_t syncs_seen_ = 0;    // at the last look after the disk
  bool syncs_little_ = false;  // a sync that began since the loop last waited
  bool trimmed_ = false;       // memory was given back since the last sync
  std::string held_;           // why publishers are refused; empty: they are not

  std::mutex posted_mutex_;
  std::vector<std::function<void()>> posted_;
  std::atomic<bool> stopping_ = false;
  std::mutex stop_mutex_;
  std::condition_variable stopped_;  // `stopping_` was set

  std::unique_ptr<LedgerWriter> ledger_;  // its thread posts until it has ended
  std::unique_ptr<http::Server> http_;
  TaskThread chores_{"chores"};
  TaskThread journal_thread_{"journal"};  // last: their tasks use all of the above
};

}  // namespace detent
