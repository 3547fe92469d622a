#include "config/tasks.h"

#include "config/section.h"

namespace detent {

void TasksConfig::read(Section& file) {
  file.section("dispatch", [&](Section& s) {
    s.endpoint("listen", dispatch.listen);
    s.duration("fallback_after", dispatch.fallback_after);
  });
  file.section("digitalocean", [&](Section& s) {
    s.url("api", digitalocean.api);
    s.secret("token_file", digitalocean.token, "DO_API_TOKEN");
  });
}

}  // namespace detent
