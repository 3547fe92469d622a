// Runs a state machine on a socket and a journal: drains the socket in bounded bites, steps the machine, makes what it
// says durable with one write and one sync, and only then has it acknowledge. Production and simulation run these
// lines; they differ in the socket, the disk, the executor and the clock.
//
// A turn reads what came and hands all that waits to the journal's lane at once, while at most one such work is under
// way; what comes in meanwhile goes with the next. When a work is durable, the machine sends what waited for it, and
// the journal's lane drops the segments that nobody needs any more; snapshots, files of ids and spare segments are
// chores.
//
// All on the loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/disk.h"
#include "base/seed.h"
#include "bus/server_socket.h"
#include "host/executor.h"
#include "host/machine.h"
#include "journal/id_window.h"
#include "journal/journal.h"

namespace detent {

class Host {
 public:
  struct Options {
    std::string directory;  // of the machine's state: `journal` and `ids` lie in it
    JournalOptions journal;
    size_t bite_bytes = 1 << 20;  // read from the socket before the rest of a turn
    size_t bite_messages = 1024;
    size_t fill_while_syncing = 1 << 20;  // gathered behind a work under way, from which on no more is read
    Millis id_window = std::chrono::hours{24 * 90};
    /// Gives back to the system what a burst has left in the allocator. A chore; null: nothing is done.
    std::function<void()> give_back_memory;
  };
  struct Counters {
    uint64_t syncs = 0, snapshots = 0, id_files = 0, segments_dropped = 0;
  };

  /// The window of ids that belongs to the state in `directory`.
  static Result<IdWindow> open_ids(Disk& disk, const std::string& directory,
                                   std::function<void(const IdDamage&)> damaged, uint64_t seed = random_seed());

  /// All of these outlive the host; and the executor does no job of the host after the host is gone.
  Host(Machine& machine, IdWindow& ids, ServerSocket& socket, Executor& executor, Disk& disk, Options options);
  ~Host();

  /// Recovers. Before the first turn.
  Result<void> open(Now now);

  void turn(Now now);
  /// When the next turn is due though nothing comes (monotonic).
  Millis deadline() const;
  /// Whether the next turn reads the socket: not while enough has gathered behind a work under way.
  bool reads() const { return !full_; }
  /// Whether a work so small began since the last call that its end is a moment away.
  bool began_little();

  /// From here on the machine drains; `drained` tells when all that it took in is durable and acknowledged.
  void stop();
  bool drained() const;
  /// After the last turn: one more snapshot, so that the next start has little to read.
  void close();

  /// The next work takes a snapshot along, as it does when a segment was begun.
  void want_snapshot() { snapshot_due_ = true; }

  Journal& journal() { return *journal_; }
  /// The end of what is durable.
  const LogPosition& synced() const { return synced_; }
  const Counters& counters() const { return counters_; }

 private:
  struct Job;
  struct Drops {
    std::vector<uint64_t> segments;
    std::function<Result<void>()> own;
    bool empty() const { return segments.empty() && !own; }
  };

  void start_work(Now now);
  void hand_over(std::shared_ptr<Job> job);
  /// On the journal's lane.
  Result<void> do_work(Job& job);
  void work_failed(std::shared_ptr<Job> job, const Error& error, Now now);
  void work_done(Job& job, Now now);
  void put_snapshot(Job& job, const LogPosition& at);
  void write_ids(uint64_t segment, const std::vector<KnownId>& ids);
  Drops due_drops();
  void drop(Drops drops);
  void send(Now now);
  void probe_peers(Now now);
  void look(Now now);
  void prepare_spares(bool in_haste);
  void took_space(const Result<Space>& space, Now now);

  Machine& machine_;
  IdWindow& ids_;
  ServerSocket& socket_;
  Executor& executor_;
  Disk& disk_;
  const Options options_;
  std::unique_ptr<Journal> journal_;

  bool under_way_ = false;      // a work
  std::shared_ptr<Job> later_;  // which waits to be tried again
  Millis later_at_{0};
  uint64_t unlooked_ = 0;  // the journal's lane: bytes appended since it last asked for the disk's room
  LogPosition synced_;
  bool full_ = false;
  bool again_ = false;  // another turn at once
  bool began_little_ = false;
  bool stopping_ = false;

  bool snapshot_due_ = false;
  bool snapshot_failed_ = false, snapshot_again_ = false;
  uint64_t sealed_ = 0;  // a segment whose ids are to be written
  Millis last_roll_{0};  // when the open segment was begun
  bool low_ = false;     // the disk, when it was last asked
  bool drop_due_ = false;
  bool snapshot_would_free_ = false;  // segments that nobody needs but a restart from the snapshots that there are
  bool dropping_ = false;             // the last drops have not come back
  Millis next_look_{0};
  bool looking_ = false;  // the chore of the last look has not come back
  uint64_t syncs_seen_ = 0;
  bool trimmed_ = false;  // memory was given back since the last sync
  int probes_ = 0;        // for lost peers, still to be made
  Millis next_probe_{0};
  Counters counters_;
};

}  // namespace detent
