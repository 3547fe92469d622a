#include "base/secret.h"

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <ostream>

namespace detent {

namespace {
constexpr size_t kLongest = 64 * 1024;

std::string trimmed(const std::string& text) {
  const auto from = text.find_first_not_of(" \t\r\n");
  if (from == std::string::npos) return {};
  return text.substr(from, text.find_last_not_of(" \t\r\n") - from + 1);
}
}  // namespace

Secret Secret::literal(std::string value) {
  Secret secret;
  secret.value_ = std::move(value);
  secret.literal_ = true;
  return secret;
}

bool Secret::configured() const {
  return literal_ || !file_.empty() || (!variable_.empty() && std::getenv(variable_.c_str()) != nullptr);
}

Result<bool> Secret::refresh() {
  if (literal_) return false;
  std::error_code missing;
  const auto size = file_.empty() ? 0 : std::filesystem::file_size(file_, missing);
  std::string value;
  if (!file_.empty() && !missing) {
    const auto changed = std::filesystem::last_write_time(file_, missing);
    if (!missing && changed == seen_ && size == seen_size_) return false;
    if (size > kLongest)
      return Error{file_.string() + " is too long for a secret: put the token alone on its first line"};
    std::ifstream in(file_);
    if (!in) return system_error("cannot read the secret in " + file_.string(), errno);
    value = trimmed({std::istreambuf_iterator<char>(in), {}});
    if (value.empty()) return Error{file_.string() + " is empty: put the token on its first line"};
    seen_ = changed;
    seen_size_ = size;
  } else if (const char* set = variable_.empty() ? nullptr : std::getenv(variable_.c_str())) {
    value = trimmed(set);
    if (value.empty()) return Error{variable_ + " is empty: set it to the token"};
  } else if (!file_.empty()) {
    return Error{"cannot read the secret in " + file_.string() + ": " + missing.message() +
                     (variable_.empty() ? "" : ", and " + variable_ + " is not set"),
                 missing.value()};
  } else {
    return Error{"no secret: set " + variable_ + " or name a file in the config"};
  }
  const bool other = value != value_;
  value_ = std::move(value);
  return other;
}

std::string Secret::origin() const {
  if (literal_) return "the config";
  std::error_code missing;
  if (!file_.empty() && (variable_.empty() || std::filesystem::exists(file_, missing))) return file_.string();
  if (!variable_.empty() && std::getenv(variable_.c_str())) return variable_;
  return file_.empty() ? variable_ : file_.string();
}

bool Secret::operator==(const Secret& other) const {
  return file_ == other.file_ && variable_ == other.variable_ && literal_ == other.literal_ &&
         (!literal_ || value_ == other.value_);
}

std::ostream& operator<<(std::ostream& out, const Secret&) { return out << "[secret]"; }

}  // namespace detent
