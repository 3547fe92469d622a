#include "cli/broker_client.h"

#include <algorithm>
#include <boost/json.hpp>
#include <optional>

#include "proto/wire.pb.h"

namespace detent {

namespace json = boost::json;

BrokerClient::BrokerClient(const std::string& endpoint, Millis deadline, std::string server)
    : endpoint_(endpoint),
      server_(std::move(server)),
      deadline_(deadline),
      connection_(endpoint,
                  {.name = "detent", .role = Link::Role::Admin, .channels = {}, .instance = random_instance()},
                  Millis{200}) {}

Failure BrokerClient::no_answer(const std::string& hint) {
  const Link& link = connection_.link();
  if (!link.refusal().empty()) return Failure("the " + server_ + " at " + endpoint_ + " refuses: " + link.refusal());
  if (link.is_open())
    return Failure("the " + server_ + " at " + endpoint_ + " gave no answer within " + roughly(deadline_) + hint);
  return Failure("no " + server_ + " answers at " + endpoint_ + ": is detent-" +
                 (server_ == "broker" ? server_ : "dispatch") + " running?");
}

void BrokerClient::open(Millis until) {
  while (!connection_.link().is_open()) {
    const Millis left = until - system_now().mono;
    if (left <= Millis{0}) throw no_answer();
    connection_.turn(left, [](const Link::Event&, Now) {});
  }
}

json::value BrokerClient::ask(const json::object& question) {
  const Millis until = system_now().mono + deadline_;
  open(until);
  return ask(question, until, {});
}

json::value BrokerClient::order(const json::object& question, bool patient, std::string_view look) {
  const Millis until = system_now().mono + deadline_;
  open(until);
  return ask(question, patient ? Millis::max() : until,
             "; it was told, and may do it yet: see `" + std::string(look) + "`");
}

json::value BrokerClient::ask(const json::object& question, Millis until, const std::string& hint) {
  AdminRequest ask;
  ask.set_request(++asked_);
  ask.set_json(json::serialize(question));
  connection_.link().send(Frame::kAdminRequest, ask.SerializeAsString());
  std::optional<AdminReply> answer;
  bool lost = false;
  while (!answer) {
    const Millis left = until - system_now().mono;
    if (left <= Millis{0}) throw no_answer(hint);
    connection_.turn(left, [&](const Link::Event& event, Now) {
      if (event.kind == Link::Event::Lost) lost = true;
      if (event.kind != Link::Event::Frame || event.field != Frame::kAdminReply) return;
      AdminReply got;
      if (got.ParseFromArray(event.body.data(), static_cast<int>(event.body.size())) && got.request() == asked_)
        answer = std::move(got);
    });
    if (lost && !answer)
      throw Failure("the " + server_ + " at " + endpoint_ + " went away before it answered: ask again");
  }
  if (!answer->error().empty()) throw Failure(answer->error());
  boost::system::error_code wrong;
  json::value value = json::parse(answer->json(), wrong);
  if (wrong) throw Failure("the " + server_ + "'s answer cannot be read: " + wrong.message());
  return value;
}

void BrokerClient::tail(Tailing tailing, const std::function<bool(const Tailed*)>& each) {
  open(system_now().mono + deadline_);
  const auto begin = [&] {
    Tail tail;
    tail.set_channel(tailing.channel);
    tail.set_type(tailing.type);
    tail.set_since_ms(tailing.since_ms);
    connection_.link().send(Frame::kTail, tail.SerializeAsString());
  };
  begin();
  bool go_on = true;
  uint64_t last = 0;
  while (go_on) {
    connection_.turn(Millis{1000}, [&](const Link::Event& event, Now) {
      if (event.kind == Link::Event::Opened) begin();
      if (!go_on || event.kind != Link::Event::Frame || event.field != Frame::kTailed) return;
      Tailed tailed;
      if (!tailed.ParseFromArray(event.body.data(), static_cast<int>(event.body.size()))) return;
      // A new session begins at the last signal's time, and shows those of its millisecond again.
      auto& signals = *tailed.mutable_signals();
      signals.erase(
          std::remove_if(signals.begin(), signals.end(), [last](const TailedSignal& s) { return s.seq() <= last; }),
          signals.end());
      for (const TailedSignal& signal : signals) {
        last = std::max(last, signal.seq());
        tailing.since_ms = std::max(tailing.since_ms, signal.journalled_ms());
      }
      go_on = each(&tailed);
    });
    if (go_on) go_on = each(nullptr);
  }
}

}  // namespace detent
