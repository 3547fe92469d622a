// A client's connection to the broker: a ZeroMQ DEALER and its Link, owned by one thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "bus/link.h"

namespace detent {

/// Everything but `wake` is for the owner's thread alone. The destructor gives what was sent up to `linger` to leave.
class Connection {
 public:
  /// `endpoint` as ZeroMQ writes it ("tcp://127.0.0.1:7400"). Throws Failure where it is not one.
  Connection(const std::string& endpoint, Link::Options options, Millis linger = Millis{1000});
  ~Connection();

  Link& link() { return link_; }

  /// One turn: sends what the link holds, waits for messages, `wake`, the link's own deadline or `timeout`, whichever
  /// is first, and hands over what came: at most 256 events, then returns although there may be more.
  void turn(Millis timeout, const std::function<void(const Link::Event&, Now)>& on_event);

  /// Ends a wait in `turn`. Any thread.
  void wake();

 private:
  struct Sockets;
  void flush();

  Link link_;
  std::unique_ptr<Sockets> sockets_;
};

/// Random for `Link::Options::instance` and seeds.
uint64_t random_instance();

}  // namespace detent
