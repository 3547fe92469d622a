#include "config/tasks.h"

#include "config/section.h"

namespace detent {

void TasksConfig::read(Section& file) {
  file.section("digitalocean", [&](Section& s) {
    s.url("api", digitalocean.api);
    s.secret("token_file", digitalocean.token, "DO_API_TOKEN");
  });
}

}  // namespace detent
