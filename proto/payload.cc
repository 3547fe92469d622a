#include "proto/payload.h"

#include <google/protobuf/message.h>

#include "proto/limits.pb.h"
#include "proto/signal.pb.h"

namespace detent {

using google::protobuf::Message;

std::unique_ptr<Message> payload_of(std::string_view type) {
  const auto& file = *Signal::descriptor()->file();
  for (int i = 0; i < file.message_type_count(); ++i) {
    const auto& options = file.message_type(i)->options();
    for (int t = 0; t < options.ExtensionSize(types); ++t) {
      if (options.GetExtension(types, t) != type) continue;
      const auto* prototype = google::protobuf::MessageFactory::generated_factory()->GetPrototype(file.message_type(i));
      return std::unique_ptr<Message>(prototype->New());
    }
  }
  return std::make_unique<Note>();
}

int severity_of(const Message& payload) {
  const auto* field = payload.GetDescriptor()->FindFieldByName("exit_code");
  return field && payload.GetReflection()->GetInt32(payload, field) != 0 ? ERROR : INFO;
}

}  // namespace detent
