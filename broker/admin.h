// What the broker says of itself: to the command line, over HTTP, and in STATUS.md. On the loop's thread.
#pragma once

#include <string>

#include "broker/broker.h"

namespace detent {

class Admin {
 public:
  explicit Admin(Broker& broker) : broker_(broker) {}

  void answer(const AdminCall& call);
  /// As `detent status --json` prints it.
  std::string status_json() const;
  std::string status_markdown() const;
  /// Prometheus' text form.
  std::string metrics() const;

 private:
  std::string dead_list(const std::string& channel) const;
  void trace(const AdminCall& call, const std::string& id);

  Broker& broker_;
};

}  // namespace detent
