// Any text in place of a config is taken or refused with its line; nothing else.
#include <cstdint>
#include <string_view>

#include "config/config.h"
#include "routing/router.h"

using namespace detent;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto config = parse_config({reinterpret_cast<const char*>(data), size}, "detent.toml");
  if (!config) {
    CHECK(config.error().what.find("detent.toml") != std::string::npos, "a refusal names the place");
    return 0;
  }
  auto router = Router::compile(*config);
  if (router) (void)router->decide({"incident.detected", 3, "source", {}, true});
  return 0;
}
