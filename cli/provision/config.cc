#include "cli/provision/config.h"

#include "config/section.h"

namespace detent::provision {

void Settings::read(Section& file) {
  file.section("digitalocean", [&](Section& section) {
    section.url("api", api);
    section.secret("token_file", token, "DO_API_TOKEN");
    section.path("ssh_key", ssh_key);
    section.text("name", name);
    section.text("region", region);
    section.text("size", size);
    section.text("image", image);
    section.text("tag", tag);
  });
}

}  // namespace detent::provision
