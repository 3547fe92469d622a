// The command line's way to a running broker: questions and answers in JSON, and the tail. One thread.
#pragma once

#include <boost/json/fwd.hpp>
#include <functional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "bus/connection.h"

namespace detent {

class Tailed;

class BrokerClient {
 public:
  /// Throws Failure where `endpoint` is none.
  BrokerClient(const std::string& endpoint, Millis deadline);

  /// The broker's answer. Throws Failure with its reason, or where it does not answer within the deadline.
  boost::json::value ask(const boost::json::object& question);

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
  Failure no_answer();

  std::string endpoint_;
  Millis deadline_;
  Connection connection_;
  uint64_t asked_ = 0;
};

}  // namespace detent
