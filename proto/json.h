// Signals as JSON, for HTTP and for scripts. docs/protocol.md gives the form.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/ulid.h"

namespace detent {

/// Reads one signal or an array of them: {"type": "incident.detected", "title": "…", "body": "…", "severity": "error",
/// "fields": {"host": "web-1"}, …}. Whatever is not of the head is a field of the type's payload, by its proto name. An
/// id and a time are made where they are missing. The error names what is wrong where.
Result<std::vector<std::string>> signals_from_json(std::string_view json, UlidSource& ids, Now now);

/// One encoded signal in the same form, as compact JSON.
std::string signal_to_json(std::string_view signal);

/// "warning" -> 2; -1 where there is no such severity.
int severity_from_name(std::string_view name);
std::string_view severity_name(int severity);

}  // namespace detent
