#include "cli/publishing.h"

#include <unistd.h>

#include <array>

#include "producers/publisher.h"
#include "proto/signal.pb.h"

namespace detent {

Ulid publish_signal(Invocation& invocation, const Draft& draft, const google::protobuf::Message* payload) {
  SignalBuilder builder(Patterns::compile(invocation.config().redact).value());
  const Now now = system_now();
  const Result<Built> built = payload ? builder.build(draft, *payload, now) : builder.build(draft, now);
  if (!built) throw Usage("not a good signal: " + built.error().what);
  Publisher publisher({.endpoint = invocation.endpoint(), .name = "detent publish", .limits = {}});
  publisher.publish_and_wait(built->signal, invocation.deadline).value();
  return built->id;
}

std::string host_name() {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  return name[0] ? name.data() : "localhost";
}

std::vector<std::pair<std::string, std::string>> pairs(const std::vector<std::string>& given, std::string_view option) {
  std::vector<std::pair<std::string, std::string>> all;
  for (const std::string& text : given) {
    const size_t sign = text.find('=');
    if (sign == 0 || sign == std::string::npos) {
      throw Usage(std::string(option) + " wants NAME=VALUE, not \"" + text + "\"");
    }
    all.emplace_back(text.substr(0, sign), text.substr(sign + 1));
  }
  return all;
}

}  // namespace detent
