#include "host/host.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace detent {

namespace {

constexpr Millis kBetweenProbes{100};  // for lost peers: many short connections come and go
constexpr int kProbes = 2;             // after each: its pipe may outlive the connection by a moment
constexpr size_t kLittle = 4096;       // bytes that are synced in a moment
constexpr uint64_t kLook = 8 << 20;    // bytes appended, after which the disk's room is asked for
constexpr Millis kTryAgain{250};       // a work that failed for want of room or descriptors

std::string journal_in(const std::string& directory) { return directory + "/journal"; }
std::string ids_in(const std::string& directory) { return directory + "/ids"; }

}  // namespace

/// A work on its way, with what is done because of it.
struct Host::Job {
  Work work;
  std::string snapshot;
  uint64_t sealed = 0;
  const std::vector<KnownId>* ids = nullptr;  // of `sealed`
  // What may go once this work is durable: until then a crash needs it, and `before` may read it.
  Drops drops;

  Appended appended;
  bool is_appended = false, has_failed = false;
  std::optional<Result<Space>> space;
};

Result<IdWindow> Host::open_ids(Disk& disk, const std::string& directory, std::function<void(const IdDamage&)> damaged,
                                uint64_t seed) {
  if (auto made = disk.make_directory(directory); !made) return made.error();
  auto files = IdFiles::open(disk, ids_in(directory), std::move(damaged));
  if (!files) return files.error();
  return IdWindow(std::move(*files), seed);
}

Host::Host(Machine& machine, IdWindow& ids, ServerSocket& socket, Executor& executor, Disk& disk, Options options)
    : machine_(machine), ids_(ids), socket_(socket), executor_(executor), disk_(disk), options_(std::move(options)) {}

Host::~Host() = default;

Result<void> Host::open(Now now) {
  JournalVisitor visitor;
  visitor.snapshot = [this](std::string_view bytes) { machine_.restore(bytes); };
  visitor.record = [this](const RecordPosition& position, std::string_view bytes, bool after_snapshot) {
    machine_.replay(bytes, position, after_snapshot);
  };
  visitor.damage = [this](const Damage& damage) {
    snapshot_failed_ |= damage.segment == 0;  // the one before it serves, and there is none to serve for that one
    machine_.damaged(damage);
  };
  const std::string directory = journal_in(options_.directory);
  // The ids of sealed segments are in files of their own, so their records need not be remembered again.
  const auto segments = segments_in(disk_, directory);
  if (!segments) return segments.error();
  ids_.look(*segments);
  auto opened = Journal::open(disk_, directory, options_.journal, visitor);
  if (!opened) return opened.error();
  journal_ = std::move(*opened);
  synced_ = journal_->end();
  last_roll_ = now.mono;
  if (auto recovered = machine_.recovered(*journal_, now); !recovered) return recovered;
  const auto space = journal_->space();
  if (!space) return space.error();
  took_space(space, now);
  return {};
}

// ---- a turn

void Host::turn(Now now) {
  again_ = false;
  executor_.run_posted(now);
  if (!full_) {
    socket_.receive(options_.bite_messages, options_.bite_bytes,
                    [&](std::string_view peer, std::span<char> message) { machine_.receive(peer, message, now); });
  }
  // While nothing is read, no time passes for the peers.
  if (!full_ && now.mono >= machine_.deadline()) machine_.tick(now);
  if (now.mono >= next_look_) look(now);
  probe_peers(now);
  machine_.flush(now);
  if (later_ && (now.mono >= later_at_ || stopping_)) hand_over(std::exchange(later_, nullptr));
  start_work(now);
  send(now);
  full_ = under_way_ && machine_.unsynced_bytes() >= options_.fill_while_syncing;
}

Millis Host::deadline() const {
  if (again_) return Millis{0};
  Millis next = full_ ? next_look_ : std::min(machine_.deadline(), next_look_);
  if (later_) next = std::min(next, later_at_);
  return probes_ ? std::min(next, next_probe_) : next;
}

bool Host::began_little() { return std::exchange(began_little_, false); }

void Host::send(Now now) {
  std::vector<std::string> lost;
  const auto send = [&](std::string_view peer, std::string_view message) {
    // A peer that does not read has broken its credit; one that is gone is gone. Either way its session starts over.
    if (socket_.send(peer, message) != ServerSocket::Sent::Yes) lost.emplace_back(peer);
  };
  again_ = machine_.send(send, now);
  for (const auto& peer : lost) machine_.gone(peer, now);
  if (!lost.empty()) again_ = true;  // what they held goes to others
}

void Host::probe_peers(Now now) {
  if (socket_.lost_someone()) probes_ = kProbes;
  if (probes_ == 0 || now.mono < next_probe_) return;
  --probes_;
  next_probe_ = now.mono + kBetweenProbes;
  machine_.probe_peers();
}

// ---- making it durable

void Host::start_work(Now now) {
  if (under_way_) return;
  auto work = machine_.take_work(now);
  // Where nothing waits and nothing is under way, all that the machine has settled is durable.
  if (!work && !snapshot_again_) return drop(due_drops());
  const auto job = std::make_shared<Job>();
  if (work) job->work = std::move(*work);
  if (std::exchange(snapshot_again_, false)) snapshot_due_ = true;
  if (std::exchange(snapshot_due_, false)) {
    job->snapshot = machine_.snapshot();
    job->sealed = std::exchange(sealed_, 0);
    if (job->sealed) job->ids = &ids_.seal(job->sealed);
  }
  under_way_ = true;
  job->appended.end = synced_;
  if (job->work.empty() && job->snapshot.empty()) return work_done(*job, now);  // answers that wait for nothing new
  job->drops = due_drops();
  began_little_ = job->work.batch.bytes() <= kLittle;
  hand_over(job);
}

void Host::hand_over(std::shared_ptr<Job> job) {
  executor_.journal([this, job]() -> Executor::OnLoop {
    const auto done = do_work(*job);
    if (done) return [this, job](Now now) { work_done(*job, now); };
    if (may_pass(done.error())) return [this, job, error = done.error()](Now now) { work_failed(job, error, now); };
    executor_.stop(done.error());
    return {};
  });
}

Result<void> Host::do_work(Job& job) {
  if (job.work.before) {
    if (auto done = job.work.before(); !done) return done;
    job.work.before = nullptr;
  }
  if (!job.is_appended && (!job.work.batch.empty() || job.work.after || !job.snapshot.empty())) {
    auto written = journal_->append(job.work.batch);
    if (!written) return written.error();
    job.appended = *written;
    job.is_appended = true;
    unlooked_ += job.work.batch.bytes();
    if (written->rolled || unlooked_ >= kLook) {
      unlooked_ = 0;
      job.space = journal_->space();
    }
  }
  if (!job.work.after) return {};
  return job.work.after();
}

// A restart would meet the same, so the process stays and waits: but it does not wait to be stopped.
void Host::work_failed(std::shared_ptr<Job> job, const Error& error, Now now) {
  if (stopping_) return executor_.stop(error);
  if (!std::exchange(job->has_failed, true))
    spdlog::error("the journal cannot be written, and is tried again: {}", error.what);
  machine_.cannot_write(error, now);
  later_ = std::move(job);
  later_at_ = now.mono + kTryAgain;
}

void Host::work_done(Job& job, Now now) {
  const Appended& appended = job.appended;
  under_way_ = false;
  synced_ = appended.end;
  if (appended.segment) ++counters_.syncs;
  if (job.space) took_space(*job.space, now);
  if (!job.snapshot.empty()) put_snapshot(job, appended.end);
  if (appended.rolled) {
    snapshot_due_ = true;
    sealed_ = appended.sealed;
    const bool in_haste = now.mono - last_roll_ < Millis{10'000};
    last_roll_ = now.mono;
    executor_.chore([this, in_haste]() -> Executor::OnLoop {
      prepare_spares(in_haste);
      return {};
    });
  }
  drop(std::move(job.drops));
  machine_.journalled(std::move(job.work), appended, now);
}

// ---- what nobody waits for

void Host::put_snapshot(Job& job, const LogPosition& at) {
  executor_.chore([this, at, bytes = std::move(job.snapshot)]() -> Executor::OnLoop {
    if (auto put = journal_->put_snapshot(at, bytes); !put) {
      spdlog::warn("no snapshot, it is tried again: {}", put.error().what);
      return [this](Now) { snapshot_failed_ = true; };
    }
    return [this](Now) { ++counters_.snapshots; };
  });
  if (job.sealed) write_ids(job.sealed, *job.ids);
}

void Host::write_ids(uint64_t segment, const std::vector<KnownId>& ids) {
  executor_.chore([this, segment, &ids]() -> Executor::OnLoop {
    auto written = IdFiles::write(disk_, ids_in(options_.directory), segment, ids);
    if (!written && written.error().code == ENOSPC) {
      // Without it no segment is dropped.
      if (auto given = journal_->give_up_reserve(); !given) spdlog::warn("{}", given.error().what);
    }
    return [this, segment, written](Now) {
      const auto sealed = written ? ids_.sealed(segment) : written;
      if (sealed) {
        ++counters_.id_files;
        return;
      }
      ids_.unwritten(segment);
      spdlog::warn("the id file of segment {} is tried again: {}", segment, sealed.error().what);
    };
  });
}

Host::Drops Host::due_drops() {
  if (dropping_ || !std::exchange(drop_due_, false)) return {};
  Drops drops;
  drops.own = machine_.let_go();
  const Kept kept = machine_.kept();
  const uint64_t needed_from = journal_->needed_from();
  snapshot_would_free_ = false;
  for (const auto& segment : journal_->segments()) {
    if (segment.open || segment.id >= kept.from || kept.segments.contains(static_cast<uint32_t>(segment.id)) ||
        !ids_.covered(segment.id))
      continue;
    if (segment.id < needed_from) {
      drops.segments.push_back(segment.id);
    } else {
      snapshot_would_free_ = true;
    }
  }
  return drops;
}

// A job of its own behind that of the work: who waits to be acknowledged does not wait for this.
void Host::drop(Drops drops) {
  if (drops.empty()) return;
  dropping_ = true;
  executor_.journal([this, drops = std::move(drops)]() -> Executor::OnLoop {
    if (drops.own) {
      if (auto gone = drops.own(); !gone) spdlog::warn("what is not needed any more stays: {}", gone.error().what);
    }
    Result<void> gone;
    if (!drops.segments.empty()) gone = journal_->drop(drops.segments);
    if (!gone) spdlog::warn("segments cannot be dropped: {}", gone.error().what);
    return [this, count = gone ? drops.segments.size() : 0](Now) {
      dropping_ = false;
      counters_.segments_dropped += count;
    };
  });
}

void Host::prepare_spares(bool in_haste) {
  for (;;) {
    const auto prepared = journal_->prepare_spare(in_haste);
    if (!prepared) spdlog::warn("no spare segment: {}", prepared.error().what);
    if (!prepared || !*prepared) return;
  }
}

void Host::look(Now now) {
  next_look_ = now.mono + Millis{1000};
  drop_due_ = true;
  snapshot_again_ = std::exchange(snapshot_failed_, false) || (low_ && snapshot_would_free_);
  machine_.look(now);
  if (looking_) return;
  looking_ = true;
  // What a burst has left in the allocator goes back to the system once it is over.
  const bool quiet = counters_.syncs == syncs_seen_, trim = quiet && !trimmed_;
  trimmed_ = quiet;
  syncs_seen_ = counters_.syncs;
  if (trim) ids_.trim();
  executor_.chore([this, trim]() -> Executor::OnLoop {
    if (trim && options_.give_back_memory) options_.give_back_memory();
    auto space = journal_->space();
    if (space && !space->low) {
      prepare_spares(false);
      if (!space->reserve_held) {
        if (auto refilled = journal_->refill_reserve(); !refilled)
          spdlog::warn("no reserve: {}", refilled.error().what);
      }
      space = journal_->space();
    }
    return [this, space](Now later) {
      looking_ = false;
      took_space(space, later);
      if (auto pruned =
              ids_.prune(static_cast<uint64_t>(std::max<int64_t>((later.wall - options_.id_window).count(), 0)));
          !pruned) {
        spdlog::warn("old id files stay: {}", pruned.error().what);
      }
      if (const auto [segment, ids] = ids_.again(); ids) write_ids(segment, *ids);
    };
  });
}

void Host::took_space(const Result<Space>& space, Now now) {
  if (space) {
    low_ = space->low;
    machine_.space(*space, now);
  } else {
    spdlog::warn("free space cannot be read: {}", space.error().what);
  }
}

// ---- the end

void Host::stop() {
  stopping_ = true;
  machine_.drain();
}

bool Host::drained() const { return stopping_ && !under_way_ && !machine_.has_work(); }

void Host::close() {
  executor_.journal([this, snapshot = machine_.snapshot()]() -> Executor::OnLoop {
    if (auto put = journal_->put_snapshot(journal_->end(), snapshot); !put) {
      spdlog::warn("no snapshot at the end: {}", put.error().what);
    }
    if (auto closed = journal_->close(); !closed) spdlog::warn("{}", closed.error().what);
    return {};
  });
}

}  // namespace detent
