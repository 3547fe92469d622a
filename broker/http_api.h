// The broker over HTTP: for curl, probes and Prometheus; docs/protocol.md tells the requests. The server answers on its
// own thread; what it needs of the broker is done on the loop.
#pragma once

#include <memory>
#include <string>

#include "broker/broker.h"
#include "broker/config.h"
#include "host/executor.h"

namespace detent {

namespace http {
class Server;
}

class HttpApi {
 public:
  /// Listens; throws Failure where it cannot. Both outlive it.
  HttpApi(const BrokerConfig& config, Broker& broker, Executor& executor);
  ~HttpApi();

  std::string url() const;

 private:
  std::unique_ptr<http::Server> server_;
};

}  // namespace detent
