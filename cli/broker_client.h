// The command line's way to a running broker, or to the dispatcher: questions and answers in JSON, and the tail. One
// thread.
#pragma once

#include <boost/json/fwd.hpp>
#include <functional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "bus/connection.h"

namespace detent {

class Tailed;

class BrokerClient {
 public:
  /// `server`: "broker" or "dispatcher". Throws Failure where `endpoint` is none.
  BrokerClient(const std::string& endpoint, Millis deadline, std::string server = "broker");

  /// The broker's answer. Throws Failure with its reason, or where it does not answer within the deadline.
  boost::json::value ask(const boost::json::object& question);
  /// The same of what changes something and may take its time. Where `patient`, the deadline is for the session alone:
  /// the answer is waited for as long as the broker is there. An error that there was none within the deadline says
  /// that it may be done all the same, and which command shows it: `look`.
  boost::json::value order(const boost::json::object& question, bool patient, std::string_view look);

  struct Tailing {
    std::string channel, type;
    int64_t since_ms = 0;
  };
  /// Hands over what the broker sends, in this session or, where it is lost, in the next ones, until `each` answers
  /// false. Throws Failure where the broker does not take the first session within the deadline. `each` is also called
  /// with nothing at least once a second.
  void tail(Tailing tailing, const std::function<bool(const Tailed*)>& each);

 private:
  void open(Millis until);
  boost::json::value ask(const boost::json::object& question, Millis until, const std::string& hint);
  Failure no_answer(const std::string& hint = {});

  std::string endpoint_, server_;
  Millis deadline_;
  Connection connection_;
  uint64_t asked_ = 0;
};

}  // namespace detent
