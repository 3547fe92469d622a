// Parts that are done and of which the broker perhaps does not know, by their signal's id. Only these: whatever else
// was known of a delivery, another process may have had it since. Pure.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "consumers/channel.h"

namespace detent::consumers {

class DoneParts {
 public:
  /// Past so many signals the one that was remembered first is forgotten.
  explicit DoneParts(size_t most = 512) : most_(most) {}

  void remember(const std::string& id, const std::vector<PartState>& parts);
  void forget(const std::string& id);
  /// Puts what is remembered of `id` in the place of what `parts` say of it.
  void recall(const std::string& id, std::vector<PartState>& parts) const;

 private:
  size_t most_;
  std::map<std::string, std::vector<PartState>> by_id_;
  std::deque<std::string> order_;  // as they were first remembered
};

}  // namespace detent::consumers
