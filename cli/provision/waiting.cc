#include "cli/provision/waiting.h"

#include <fmt/format.h>
#include <poll.h>

#include <cerrno>
#include <ostream>

namespace detent::provision {

void SystemTime::pass(Millis span) {
  const Millis until = system_now().mono + span;
  for (Millis left = span; left > Millis(0); left = until - system_now().mono) {
    poll(nullptr, 0, static_cast<int>(left.count()));  // an interrupted one goes on
  }
}

Result<std::string> wait_for(const std::string& what, const Patience& patience, Time& time, std::ostream& out,
                             const std::function<Result<std::optional<std::string>>()>& look) {
  const Millis begun = time.now().mono;
  Millis said = begun;
  bool waited = false;
  while (true) {
    const auto found = look();
    if (!found) return found.error();
    const Millis now = time.now().mono;
    if (*found) {
      if (waited) out << "  " << what << ": there after " << roughly(now - begun) << std::endl;
      return **found;
    }
    if (now - begun >= patience.longest)
      return Error{fmt::format("{}: not there after {}", what, roughly(now - begun)), ETIMEDOUT};
    if (!waited) out << "  waiting for " << what << std::endl;
    if (waited && now - said >= patience.said_every) {
      out << "  still waiting for " << what << " (" << roughly(now - begun) << ")" << std::endl;
      said = now;
    }
    waited = true;
    time.pass(patience.between);
  }
}

}  // namespace detent::provision
