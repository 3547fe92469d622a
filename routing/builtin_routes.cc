#include "routing/builtin_routes.h"

namespace detent {

std::vector<BuiltinRoute> builtin_routes() {
  constexpr int error = 3;
  return {
      {{.types = {"briefing.morning", "review.weekly"}}, "discord.briefings"},
      {{.types = {"incident.detected", "incident.resolved", "service.outage", "service.restored", "threshold.crossed"}},
       "discord.alerts"},
      {{.types = {"subagent.completed", "subagent.failed"}}, "discord.sub-agent-results"},
      // A job that failed; whoever builds the signal makes it an error (proto/payload.h, `severity_of`).
      {{.types = {"cron.output"}, .severity = error}, "discord.alerts"},
      {{.types = {"heartbeat.ok", "health.check", "cron.output"}}, "discord.system"},
      {{.types = {"memory.updated"}}, "discord.memory-updates"},
      {{.types = {"chat.message"}}, "discord.chat"},
      // A type that nobody named: what is wrong must not be buried among what is not.
      {{.severity = error}, "discord.alerts"},
  };
}

}  // namespace detent
