#include "dispatch/process.h"

#include "base/seed.h"
#include "dispatch/config.h"
#include "host/runner.h"
#include "ledger/config.h"

namespace detent {

namespace {

Host::Options host_options(const Config& config) {
  const auto& dispatch = config.of<DispatchConfig>();
  Host::Options options;
  options.directory = Dispatcher::directory(config);
  options.journal.segment_bytes = dispatch.segment;
  options.journal.reserve_bytes = dispatch.segment;
  options.journal.spares = 1;
  options.journal.low_water = dispatch.low_water;
  return options;
}

Dispatch::Options core_options(const Config& config) {
  const auto& dispatch = config.of<DispatchConfig>();
  Dispatch::Options options;
  options.lease = dispatch.lease;
  options.renew = dispatch.lease / 6;
  options.max_sessions = dispatch.max_connections;
  options.files = true;
  return options;
}

TaskBranch::Options branch_options(const Config& config) {
  const auto& ledger = config.of<LedgerConfig>();
  TaskBranch::Options options;
  options.repository = ledger.repository;
  options.author = {ledger.author_name, ledger.author_email};
  options.remote = ledger.remote;
  options.pushes_per_minute = ledger.pushes_per_minute;
  options.push_deadline = ledger.push_timeout;
  options.fetch_every = config.of<DispatchConfig>().fetch_every;
  options.low_water = config.of<DispatchConfig>().low_water;
  return options;
}

}  // namespace

DispatchProcess::DispatchProcess(const Config& config, Disk& disk)
    : socket_(config.of<DispatchConfig>().listen, {.connections = config.of<DispatchConfig>().max_connections + 16}),
      dispatcher_(config, disk, random_seed(), core_options(config)),
      host_(dispatcher_, dispatcher_.ids(), socket_, executor_, disk, host_options(config)) {
  dispatcher_.keep_files(branch_options(config), executor_);
  for (const auto peer : {Uplink::kConsumer, Uplink::kProducer, Listener::kPeer})
    socket_.connect(std::string(peer), config.endpoint_of("broker"));
  if (auto opened = host_.open(system_now()); !opened) throw Failure(opened.error().what);
}

DispatchProcess::~DispatchProcess() { executor_.finish(); }

void DispatchProcess::run() { detent::run(host_, socket_, stopping_); }

void DispatchProcess::stop() {
  stopping_ = true;
  socket_.wake();
}

}  // namespace detent
