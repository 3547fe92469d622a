#include "broker/process.h"

#include <malloc.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/descriptors.h"
#include "base/seed.h"
#include "broker/config.h"
#include "broker/ledger_writer.h"
#include "host/runner.h"
#include "ledger/config.h"

namespace detent {

namespace {

Host::Options host_options(const Config& config) {
  const auto& broker = config.of<BrokerConfig>();
  Host::Options options;
  options.directory = config.state.string();
  options.journal.segment_bytes = broker.segment;
  options.journal.reserve_bytes = std::min<uint64_t>(broker.segment, 64 * kMiB);
  options.journal.low_water = broker.low_water;
  options.give_back_memory = [] { malloc_trim(0); };
  return options;
}

/// More than sessions, so that one too many is still told so; and leaves descriptors for HTTP, the journal and the
/// ledger.
ConnectionLimits connection_limits(const Config& config) {
  constexpr uint64_t kMore = 64, kReserve = 448;
  const uint64_t descriptors = raise_descriptor_limit();
  const uint64_t room = descriptors > 2 * kReserve ? descriptors - kReserve : descriptors / 2;
  return {.connections = std::min<uint64_t>(config.of<BrokerConfig>().max_connections + kMore, room)};
}

OpenFollower ledger_of(const Config& config) {
  return [ledger = config.of<LedgerConfig>(), low_water = config.of<BrokerConfig>().low_water](
             const Journal& journal, uint64_t next_seq, const Alarms::Standing& standing,
             std::function<void(const Follower::Alarm&)> alarm) {
    return LedgerWriter::open(ledger, low_water, journal, next_seq, standing, std::move(alarm));
  };
}

}  // namespace

BrokerProcess::BrokerProcess(const Config& config, Disk& disk)
    : socket_(config.of<BrokerConfig>().listen, connection_limits(config)),
      broker_(config, {disk, executor_, ledger_of(config), random_seed()}, system_now()),
      host_(broker_, broker_.ids(), socket_, executor_, disk, host_options(config)) {
  if (auto opened = host_.open(system_now()); !opened) throw Failure(opened.error().what);
  const auto& http = config.of<BrokerConfig>();
  if (!http.http.empty()) http_ = std::make_unique<HttpApi>(http, broker_, executor_);
}

BrokerProcess::~BrokerProcess() {
  http_.reset();
  executor_.finish();  // its jobs use the host and the broker
}

void BrokerProcess::run() {
  detent::run(host_, socket_, stopping_);
  http_.reset();
  spdlog::info("drained; the ledger takes up what is left");
}

void BrokerProcess::stop() {
  stopping_ = true;
  socket_.wake();
}

void BrokerProcess::reload() {
  executor_.post([this](Now) {
    if (const auto verdict = broker_.reload()) {
      spdlog::info("reloaded: {}", *verdict);
    } else {
      spdlog::error("the config stays as it was: {}", verdict.error().what);
    }
  });
}

}  // namespace detent
