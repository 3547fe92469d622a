// Which message a signal's type carries.
#pragma once

#include <memory>
#include <string_view>

namespace google::protobuf {
class Message;
}

namespace detent {

/// What `type` carries: an empty message of proto/signal.proto whose `types` names it, or a Note.
std::unique_ptr<google::protobuf::Message> payload_of(std::string_view type);

/// How bad it is where its producer does not say: an error where it reports an exit code other than 0.
int severity_of(const google::protobuf::Message& payload);

}  // namespace detent
