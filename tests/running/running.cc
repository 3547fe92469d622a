#include "tests/running/running.h"

#include "broker/config.h"
#include "ledger/config.h"
#include "proto/signal_validator.h"

namespace detent::test {

class GatedFile : public File {
 public:
  GatedFile(GatedDisk& disk, std::unique_ptr<File> file) : disk_(disk), file_(std::move(file)) {}
  Result<std::size_t> read(std::uint64_t offset, std::span<char> into) override {
    if (disk_.closed_) ++disk_.held_up_;
    disk_.closed_.wait(true);
    auto got = file_->read(offset, into);
    if (got) disk_.bytes_read_ += *got;
    return got;
  }
  Result<void> write(std::uint64_t offset, std::string_view bytes) override { return file_->write(offset, bytes); }
  Result<void> sync() override {
    disk_.writes_held_.wait(true);
    return file_->sync();
  }
  Result<void> write_durable(std::uint64_t offset, std::string_view bytes) override {
    disk_.writes_held_.wait(true);
    return file_->write_durable(offset, bytes);
  }
  Result<std::uint64_t> size() override { return file_->size(); }
  Result<void> truncate(std::uint64_t size) override { return file_->truncate(size); }
  Result<void> zero_fill(std::uint64_t offset, std::uint64_t length) override {
    return file_->zero_fill(offset, length);
  }
  Result<void> allocate(std::uint64_t offset, std::uint64_t length) override { return file_->allocate(offset, length); }

 private:
  GatedDisk& disk_;
  std::unique_ptr<File> file_;
};

Result<std::unique_ptr<File>> GatedDisk::open(const std::string& path, OpenMode mode) {
  if (no_room_for_ids && mode == OpenMode::kReplace && path.find("/ids/") != std::string::npos) {
    return Error{path + ": no space left on device", ENOSPC};
  }
  auto file = MemoryDisk::open(path, mode);
  if (!file || path.find("/journal/") == std::string::npos) return file;
  return std::unique_ptr<File>(new GatedFile(*this, std::move(*file)));
}

Caller::Caller(const std::string& endpoint, Link::Role role, std::vector<std::string> channels)
    : connection_(endpoint,
                  {.name = "test", .role = role, .channels = std::move(channels), .instance = random_instance()},
                  Millis{200}) {
  EXPECT_TRUE(until([&] { return connection_.link().is_open(); })) << connection_.link().refusal();
}

bool Caller::until(const std::function<bool()>& done) {
  const Millis end = system_now().mono + Millis{60'000};  // a sanitizer makes ten seconds of one
  while (!done()) {
    const Millis left = end - system_now().mono;
    if (left <= Millis{0}) return false;
    connection_.turn(std::min(left, Millis{50}), [this](const Link::Event& event, Now) { take(event); });
  }
  connection_.turn(Millis{0}, [this](const Link::Event& event, Now) { take(event); });  // what was sent leaves
  return true;
}

void Caller::take(const Link::Event& event) {
  if (event.kind == Link::Event::Lost) ++lost;
  if (event.kind != Link::Event::Frame) return;
  const std::string body(event.body);
  if (event.field == Frame::kPublished) {
    Published published;
    published.ParseFromString(body);
    EXPECT_EQ(published.refusals_size(), 0);
    acknowledged_ = published.upto();
    if (published.resume() && !held.resume()) held = published;
  } else if (event.field == Frame::kDeliver) {
    Deliver deliver;
    deliver.ParseFromString(body);
    for (const auto& one : deliver.deliveries()) deliveries.push_back(one);
  } else if (event.field == Frame::kTailed) {
    Tailed frame;
    frame.ParseFromString(body);
    EXPECT_EQ(frame.missed(), 0u);
    caught_up = caught_up || frame.caught_up();
    tailed.insert(tailed.end(), frame.signals().begin(), frame.signals().end());
  } else if (event.field == Frame::kAdminReply) {
    answers.emplace_back().ParseFromString(body);
  }
}

void Caller::publish(const std::vector<std::string>& signals) {
  try_to_publish(signals);
  EXPECT_TRUE(until([&] { return is_acknowledged(); }));
}

void Caller::try_to_publish(const std::vector<std::string>& signals) {
  Publish publish;
  publish.set_first(published_ + 1);
  for (const auto& signal : signals) publish.add_signals(signal);
  published_ += signals.size();
  send(Frame::kPublish, publish.SerializeAsString());
  until([] { return true; });
}

uint64_t Caller::begin_to_ask(const boost::json::object& call) {
  AdminRequest ask;
  ask.set_request(++asked_);
  ask.set_json(boost::json::serialize(call));
  send(Frame::kAdminRequest, ask.SerializeAsString());
  return asked_;
}

boost::json::value Caller::ask(const boost::json::object& call) {
  const uint64_t asked = begin_to_ask(call);
  if (!until([&] { return !answers.empty() && answers.back().request() == asked; })) return "no answer";
  const AdminReply& answer = answers.back();
  if (!answer.error().empty()) return boost::json::value(answer.error());
  return boost::json::parse(answer.json());
}

void Caller::credit(const std::string& channel, uint32_t count) {
  Credit credit;
  credit.set_channel(channel);
  credit.set_count(count);
  credit.set_bytes(1 << 30);
  send(Frame::kCredit, credit.SerializeAsString());
}

void Caller::tail(int64_t since_ms, const std::string& type, const std::vector<std::string>& also_from) {
  Tail tail;
  tail.set_type(type);
  for (const auto& source : also_from) tail.add_also_from(source);
  tail.set_since_ms(since_ms);
  send(Frame::kTail, tail.SerializeAsString());
  until([] { return true; });
}

void Caller::settle(const std::string& channel, uint64_t delivery) {
  Settle settle;
  settle.set_channel(channel);
  settle.add_delivered(delivery);
  send(Frame::kSettle, settle.SerializeAsString());
}

void Caller::give_up(const std::string& channel, uint64_t delivery) {
  Settle settle;
  settle.set_channel(channel);
  auto* one = settle.add_settled();
  one->set_delivery(delivery);
  one->set_outcome(GIVEN_UP);
  one->set_cause("400");
  send(Frame::kSettle, settle.SerializeAsString());
}

std::string signal_of(const std::string& title, const std::string& body, const std::string& type,
                      std::optional<Ulid> id) {
  static UlidSource ids;
  ChatMessage payload;
  payload.set_title(title);
  payload.set_body(body);
  Signal signal;
  signal.set_id(std::string((id ? *id : ids.next(system_now().wall)).view()));
  signal.set_type(type);
  signal.set_source("test");
  signal.set_payload(payload.SerializeAsString());
  return signal.SerializeAsString();
}

Running::Running() {
  folder_ = testing::TempDir() + "running-" + std::to_string(random_instance());
  config = *parse_config("[discord.channels]\nsystem = \"1\"\nchat = \"2\"\n", {});
  config.state = "state";
  config.of<BrokerConfig>().listen = "tcp://127.0.0.1:*";
  config.of<BrokerConfig>().http.clear();
  config.of<BrokerConfig>().segment = 256 << 10;
  config.of<BrokerConfig>().low_water = 0;
  config.of<LedgerConfig>().repository = folder_ / "ledger.git";
  config.of<LedgerConfig>().receipts_within = Millis{10};
}

Running::~Running() {
  stop();
  std::filesystem::remove_all(folder_);
}

void Running::start() {
  broker_ = std::make_unique<BrokerProcess>(config, disk);
  thread_ = std::thread([this] { broker_->run(); });
}

void Running::stop() {
  if (!broker_) return;
  disk.open_gate();
  disk.hold_writes(false);
  broker_->stop();
  thread_.join();
  broker_.reset();
}

bool Running::wait_for(const std::function<bool(const boost::json::value&)>& good, Millis patience) {
  Caller caller(endpoint());
  const Millis end = system_now().mono + patience;
  while (system_now().mono < end) {
    if (good(caller.ask({{"command", "status"}}))) return true;
    caller.connection().turn(Millis{20}, [](const Link::Event&, Now) {});
  }
  return false;
}

StartedBroker::StartedBroker(const std::string& endpoint) {
  config.of<BrokerConfig>().listen = endpoint;
  start();
  config.of<BrokerConfig>().listen = this->endpoint();
}

std::vector<std::string> StartedBroker::published() {
  Caller caller(endpoint());
  caller.tail(1);  // since the beginning
  EXPECT_TRUE(caller.until([&] { return caller.caught_up; }));
  std::vector<std::string> all;
  for (const auto& tailed : caller.tailed) {
    if (read_header(tailed.signal()).source != "detent") all.push_back(tailed.signal());
  }
  return all;
}

bool StartedBroker::wait_for_signals(size_t count) {
  return wait_for([count](const boost::json::value& status) {
    return status.at("counters").at("admitted").to_number<size_t>() >= count;
  });
}

}  // namespace detent::test
