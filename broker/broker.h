// The broker as a machine that a host runs: the core, with what stands around it. It makes dead letters durable before
// the journal's batch, reads the bodies of what is delivered, feeds tails, answers the command line, and keeps the
// ledger going. Production and simulation run this with the same host.
//
// All of it is called on the loop's thread; what the host does on the journal's is said at DeadLetterWork.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/disk.h"
#include "broker/admin.h"
#include "broker/core.h"
#include "broker/dead_letter_work.h"
#include "broker/dead_letters.h"
#include "broker/disk_watch.h"
#include "broker/follower.h"
#include "broker/orders.h"
#include "broker/tails.h"
#include "broker/vitals.h"
#include "config/config.h"
#include "host/executor.h"
#include "host/machine.h"
#include "journal/id_window.h"

namespace detent {

class Broker final : public Machine {
 public:
  struct Surroundings {
    Disk& disk;
    Executor& executor;
    OpenFollower open_ledger;
    uint64_t seed = 0;
  };
  /// Throws Failure with one line where the config or the disk does not allow it. `core`: what the config does not say.
  Broker(Config config, Surroundings surroundings, Now now, Core::Options core = {});
  ~Broker() override;

  IdWindow& ids() { return ids_; }

  // ---- what others show and ask
  /// Files that were damaged at the start, below the state's folder, and how.
  const std::map<std::string, std::string>& damage() const { return damage_; }
  /// Why it is not ready; empty: it is.
  std::string unready() const { return watch_.unready(); }
  Vitals vitals(Now now) const;
  /// Signals that do not come over a link; `done` is called once they are durable or refused.
  void admit(std::vector<std::string> signals, Now now, std::function<void(const LocalDone&)> done);
  /// The verdict per section, as JSON; an error where the file does not load and the old one stays.
  Result<std::string> reload();
  /// The same of a config that was read already.
  Result<std::string> reload(const Config& fresh);

  Core& core() { return core_; }
  const Core& core() const { return core_; }
  DeadLetters& dead_letters() { return *dead_; }
  Orders& orders() { return *orders_; }

  // ---- Machine
  void restore(std::string_view snapshot) override { core_.restore(snapshot); }
  void replay(std::string_view record, const RecordPosition& position, bool after_snapshot) override {
    core_.replay(record, position, after_snapshot);
  }
  void damaged(const Damage& damage) override { damage_["journal/" + damage.file] = damage.why; }
  Result<void> recovered(Journal& journal, Now now) override;
  void receive(std::string_view peer, std::span<char> message, Now now) override { core_.receive(peer, message, now); }
  Millis deadline() const override { return core_.deadline(); }
  void tick(Now now) override { core_.tick(now); }
  void look(Now now) override;
  void probe_peers() override { core_.ping_consumers(); }
  void flush(Now now) override;
  std::optional<Work> take_work(Now now) override;
  std::string snapshot() override { return core_.snapshot(); }
  bool send(const Send& send, Now now) override;
  void gone(std::string_view peer, Now now) override { core_.gone(peer, now); }
  void journalled(Work work, const Appended& appended, Now now) override;
  void cannot_write(const Error& error, Now now) override { watch_.cannot_write(error, now); }
  void space(const Space& space, Now now) override { watch_.took_space(space, now); }
  bool has_work() const override { return core_.wants_sync() || !orders_->empty(); }
  size_t unsynced_bytes() const override { return core_.unsynced_bytes(); }
  Kept kept() const override;
  std::function<Result<void>()> let_go() override;
  void drain() override;

 private:
  Core::Options options(Core::Options options);
  Result<void> open_ledger();
  void number_behind_ledger(Now now);
  void raise_damage(const Alarms::Standing& standing, Now now);
  void probe_unreadable(Now now);

  Config config_;
  Surroundings around_;
  const Now started_;
  SignalValidator validator_;
  std::map<std::string, std::string> damage_;  // by file, below the state's folder: how it is damaged
  IdWindow ids_;
  Core core_;
  DiskWatch watch_;

  // from `recovered` on
  Journal* journal_ = nullptr;
  LogPosition synced_;
  uint64_t syncs_ = 0;
  std::unique_ptr<JournalReader> bodies_;
  std::unique_ptr<DeadLetters> dead_;
  std::unique_ptr<Orders> orders_;
  std::unique_ptr<DeadLetterWork> letters_;
  std::unique_ptr<Tails> tails_;
  std::unique_ptr<Admin> admin_;
  std::unique_ptr<Follower> ledger_;

  std::map<uint64_t, std::function<void(const LocalDone&)>> local_waiting_;  // by ticket
  DeliveryKey probed_;  // the last one of those that could not be read
  bool taken_ = false;  // the core's work is under way
  bool draining_ = false;
};

}  // namespace detent
