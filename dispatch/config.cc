#include "dispatch/config.h"

#include "config/section.h"

namespace detent {

void DispatchConfig::read(Section& file) {
  file.section("dispatch", [&](Section& s) {
    s.endpoint("listen", listen);
    s.duration("lease", lease);
    if (lease < Millis{5'000}) s.expect(*s.raw().get("lease"), "lease", "at least \"5s\"");
    s.duration("fallback_after", fallback_after);
    s.duration("fetch_every", fetch_every);
    if (fetch_every < Millis{1'000}) s.expect(*s.raw().get("fetch_every"), "fetch_every", "at least \"1s\"");
    s.size("segment", segment);
    if (segment < kMiB || segment > 2048 * kMiB) {
      s.expect(*s.raw().get("segment"), "segment", "between \"1MiB\" and \"2GiB\"");
    }
    s.size("low_water", low_water);
    s.number("max_connections", max_connections, 1, 65535);
  });
}

}  // namespace detent
