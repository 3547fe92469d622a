// The dispatcher as a machine that a host runs: the task queue, with its links to the broker beside it. What the broker
// delivers is settled once the task is durable here, so a crash between the two makes no second task; how a task ended
// is published until the broker has it.
//
// All of it is called on the loop's thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/disk.h"
#include "config/config.h"
#include "dispatch/admin.h"
#include "dispatch/core.h"
#include "dispatch/outages.h"
#include "dispatch/recurring.h"
#include "dispatch/task_files.h"
#include "dispatch/uplink.h"
#include "host/machine.h"
#include "proto/signal_builder.h"

namespace detent {

class Dispatcher final : public Machine {
 public:
  /// Where its journal and its ids are, below the config's `state`.
  static std::string directory(const Config& config) { return (config.state / "dispatch").string(); }

  /// Throws Failure with one line where the config or the disk does not allow it.
  Dispatcher(const Config& config, Disk& disk, uint64_t seed, Dispatch::Options core = {});
  ~Dispatcher() override;

  /// Keeps `detent/tasks` as well, by jobs of the executor's. Before the recovery.
  void keep_files(TaskBranch::Options options, Executor& executor);

  IdWindow& ids() { return ids_; }
  const Dispatch& core() const { return core_; }
  const Recurring& recurring() const { return recurring_; }
  const Outages& outages() const { return outages_; }

  // ---- Machine
  void restore(std::string_view snapshot) override;
  void replay(std::string_view record, const RecordPosition& position, bool after_snapshot) override;
  void damaged(const Damage& damage) override;
  Result<void> recovered(Journal& journal, Now now) override;
  void receive(std::string_view peer, std::span<char> message, Now now) override;
  Millis deadline() const override;
  void tick(Now now) override;
  void look(Now) override {}
  void probe_peers() override { core_.ping_workers(); }
  void flush(Now now) override;
  std::optional<Work> take_work(Now now) override;
  std::string snapshot() override;
  bool send(const Send& send, Now now) override;
  void gone(std::string_view peer, Now now) override;
  void journalled(Work work, const Appended& appended, Now now) override;
  void cannot_write(const Error& error, Now now) override;
  void space(const Space& space, Now now) override;
  bool has_work() const override { return core_.has_work() || !taken_in_.empty() || (files_ && files_->awaits_sync()); }
  size_t unsynced_bytes() const override { return core_.unsynced_bytes(); }
  Kept kept() const override { return {UINT64_MAX, core_.segments_in_use()}; }
  std::function<Result<void>()> let_go() override { return nullptr; }
  void drain() override;

 private:
  void take_in(Now now);
  void say_how_tasks_ended();
  std::optional<std::string> result_of(const Task& task);

  const Patterns secrets_;
  SignalValidator validator_;
  SignalBuilder builder_;
  IdWindow ids_;
  Dispatch core_;
  Recurring recurring_;
  Outages outages_;
  Uplink uplink_;
  Listener listener_;
  std::unique_ptr<JournalReader> bodies_;  // from `recovered` on
  std::unique_ptr<TaskFiles> files_;       // none: they are not kept
  std::unique_ptr<TaskAdmin> admin_;

  std::vector<Uplink::Delivered> taken_in_, taken_in_under_way_;  // settled once durable
  std::map<uint64_t, std::pair<Ulid, uint32_t>> said_;            // ends published and not acknowledged, by ticket
  std::set<Ulid> saying_;                                         // the same
  bool work_taken_ = false;
  bool low_ = false;  // the disk
  bool draining_ = false;
};

}  // namespace detent
