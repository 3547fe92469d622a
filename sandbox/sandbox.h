// The sandbox as a whole: the services, the control routes and the page behind one listening address.
#pragma once

#include <memory>
#include <string>

#include "sandbox/discord_api.h"
#include "sandbox/pace.h"

namespace detent::sandbox {

struct SandboxOptions {
  std::string listen = "127.0.0.1:7070";
  std::string record;  // a file, or empty
  DiscordLimits discord;
  Pace telegram;  // per chat
};

/// Serves from its construction to its destruction; all state belongs to the server's thread. Throws Failure where the
/// address or the record file cannot be had.
class Sandbox {
 public:
  explicit Sandbox(SandboxOptions options);
  ~Sandbox();

  /// "http://127.0.0.1:7070"
  std::string url() const;

 private:
  class Town;
  std::unique_ptr<Town> town_;
};

}  // namespace detent::sandbox
