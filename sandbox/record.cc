#include "sandbox/record.h"

#include <cerrno>

#include "base/result.h"

namespace detent::sandbox {

Record::Record(const std::string& file) {
  if (file.empty()) return;
  file_.reset(std::fopen(file.c_str(), "ae"));
  if (!file_) throw Failure(system_error("cannot write the record " + file, errno).what);
}

void Record::add(const Recorded& request, Now now) {
  if (!file_) return;
  json::object headers;
  for (const auto& [name, value] : request.headers) {
    if (!http::same_name(name, "Authorization") && !http::same_name(name, "Cookie")) headers[name] = value;
  }
  json::object line{{"time", utc_millis(now.wall)}, {"service", request.service}, {"method", request.method},
                    {"path", request.path},         {"headers", headers},         {"body", request.body},
                    {"status", request.status}};
  if (!request.fault.empty()) line["fault"] = request.fault;
  const std::string text = json::serialize(line) + "\n";
  if (std::fwrite(text.data(), 1, text.size(), file_.get()) != text.size() || std::fflush(file_.get()) != 0) {
    throw Failure(system_error("writing the record", errno).what);
  }
}

}  // namespace detent::sandbox
