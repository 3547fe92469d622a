// How commands publish one signal and tell how it went.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cli/command.h"
#include "proto/signal_builder.h"

namespace google::protobuf {
class Message;
}

namespace detent {

/// Builds and publishes, and waits until the broker has it on disk. The id. Throws Usage where the signal is not a good
/// one, Failure where the broker does not take it.
Ulid publish_signal(Invocation& invocation, const Draft& draft, const google::protobuf::Message* payload = nullptr);

/// This host's name.
std::string host_name();

/// "K=V" as given to --field and --label. Throws Usage.
std::vector<std::pair<std::string, std::string>> pairs(const std::vector<std::string>& given, std::string_view option);

}  // namespace detent
