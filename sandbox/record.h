// What the services were asked, a JSON line each, for a check against their published API documents.
#pragma once

#include <cstdio>
#include <memory>
#include <string>

#include "base/clock.h"
#include "http/headers.h"
#include "sandbox/json.h"

namespace detent::sandbox {

/// One request as it is written: `path` without the API's base and with secrets replaced; `body` null where there was
/// none, payload_json or the fields where it was multipart. `status` 0: the request got no answer.
struct Recorded {
  std::string service;
  std::string method;
  std::string path;
  http::Headers headers;
  json::value body;
  int status = 0;
  std::string fault;
};

/// Appends to a file, flushed after every line. Without a file nothing is written. Throws Failure where it cannot.
class Record {
 public:
  explicit Record(const std::string& file);
  bool wanted() const { return file_ != nullptr; }
  void add(const Recorded& request, Now now);

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace detent::sandbox
