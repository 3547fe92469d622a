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

}  // namespace detent
