#include "worker/attempt_folder.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <map>

#include "base/units.h"
#include "worker/attempt_record.h"
#include "worker/folder.h"

namespace detent {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kArgumentMost = (128 << 10) - 1;  // MAX_ARG_STRLEN of Linux, with the byte that ends it
constexpr std::size_t kSecretMost = 64 << 10;
constexpr const char* kPath = "/usr/local/bin:/usr/bin:/bin";

/// A descriptor that is closed when it goes.
class OpenFile {
 public:
  OpenFile(const fs::path& path, int flags, mode_t mode = 0) : number_{open(path.c_str(), flags | O_CLOEXEC, mode)} {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() {
    if (number_ >= 0) close(number_);
  }
  int get() const { return number_; }

 private:
  int number_;
};

Result<> write_prompt(const fs::path& path, std::string_view prompt) {
  const OpenFile file(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (file.get() < 0) return system_error("cannot make the prompt's file " + path.string(), errno);
  while (!prompt.empty()) {
    const ssize_t written = write(file.get(), prompt.data(), prompt.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_error("cannot write the prompt's file " + path.string(), errno);
    prompt.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

std::string replaced(std::string text, const std::map<std::string, std::string>& values) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const auto open = text.find('{', at);
    const auto close = open == std::string::npos ? open : text.find('}', open);
    const auto value = close == std::string::npos ? values.end() : values.find(text.substr(open + 1, close - open - 1));
    if (value == values.end()) {
      const auto next = open == std::string::npos ? text.size() : open + 1;
      out.append(text, at, next - at);
      at = next;
    } else {
      out.append(text, at, open - at).append(value->second);
      at = close + 1;
    }
  }
  return out;
}

}  // namespace

Result<AttemptPlaces> make_attempt_folder(const Isolation& isolation, const std::string& name,
                                          const RunnerConfig& runner, const AttemptOrder& order) {
  AttemptPlaces places{.folder = isolation.attempts() / name, .workspace = order.workspace};
  places.readable = order.readable;
  places.readable.insert(places.readable.end(), runner.readable.begin(), runner.readable.end());
  places.writable = runner.writable;
  if (runner.success == RunnerConfig::Success::openclaw_json) places.writable.push_back(isolation.node_cache());
  if (const auto removed = remove_folder(places.folder); !removed) return removed.error();
  for (const auto& folder :
       {places.folder, places.home(), places.temporary(), places.system_temporary(), places.folder / "state"}) {
    if (mkdir(folder.c_str(), 0700) != 0) return system_error("cannot make " + folder.string(), errno);
  }
  if (runner.prompt == RunnerConfig::Prompt::file) {
    if (const auto written = write_prompt(places.prompt(), order.prompt); !written) return written.error();
  }
  return places;
}

Result<std::string> read_secret(const std::string& variable, const fs::path& file) {
  const std::string what = fmt::format("the secret {} in {}", variable, file.string());
  const OpenFile opened(file, O_RDONLY | O_NONBLOCK);
  if (opened.get() < 0) return system_error("cannot read " + what, errno);
  struct stat status {};
  if (fstat(opened.get(), &status) != 0) return system_error("cannot read " + what, errno);
  if (!S_ISREG(status.st_mode)) return Error{what + " is no regular file"};
  if (status.st_mode & 077)
    return Error{fmt::format("{} can be read by others (mode {:04o}): chmod 600 {}", what,
                             static_cast<unsigned>(status.st_mode & 07777), file.string())};
  if (status.st_uid != geteuid() && status.st_uid != 0) return Error{what + " belongs to another user"};
  std::string value(kSecretMost + 1, '\0');
  std::size_t size = 0;
  for (ssize_t got = 1; got > 0 && size < value.size(); size += static_cast<std::size_t>(got)) {
    got = read(opened.get(), value.data() + size, value.size() - size);
    if (got < 0) return system_error("cannot read " + what, errno);
  }
  if (size > kSecretMost) return Error{what + " is too long for a secret"};
  value.resize(size);
  while (value.ends_with('\n') || value.ends_with('\r')) value.pop_back();
  if (value.empty()) return Error{what + " is empty"};
  if (value.find('\0') != std::string::npos) return Error{what + " holds a byte 0, which no variable can"};
  return value;
}

Result<Environment> attempt_environment(const Isolation& isolation, const std::string& name, const RunnerConfig& runner,
                                        const AttemptOrder& order, const AttemptPlaces& places) {
  std::map<std::string, std::string> all{{"PATH", kPath}};
  for (const std::string& passed : runner.pass_env) {
    if (const char* value = std::getenv(passed.c_str())) all[passed] = value;
  }
  all["HOME"] = places.home().string();
  all["TMPDIR"] = places.temporary().string();
  if (runner.success == RunnerConfig::Success::openclaw_json) {
    all["OPENCLAW_NO_RESPAWN"] = "1";
    all["OPENCLAW_STATE_DIR"] = (places.folder / "state").string();
    all["NODE_COMPILE_CACHE"] = isolation.node_cache().string();
  }
  for (const auto& [variable, value] : runner.env) all[variable] = value;
  for (const auto& [variable, file] : runner.secrets) {
    auto value = read_secret(variable, file);
    if (!value) return value.error();
    all[variable] = std::move(*value);
  }
  all["DETENT_TASK"] = order.task;
  all["DETENT_ATTEMPT"] = attempt_mark(isolation, name);
  return Environment(all.begin(), all.end());
}

Result<std::vector<std::string>> attempt_command(const RunnerConfig& runner, const AttemptOrder& order,
                                                 const AttemptPlaces& places, Millis timeout) {
  std::map<std::string, std::string> values{{"task", order.task},
                                            {"folder", places.folder.string()},
                                            {"workspace", places.start().string()},
                                            {"prompt_file", places.prompt().string()},
                                            {"timeout", std::to_string(std::max<int64_t>(1, timeout.count() / 1000))}};
  if (runner.prompt == RunnerConfig::Prompt::argument) {
    if (order.prompt.find('\0') != std::string::npos)
      return Error{"the prompt holds a byte 0, which no argument can: let the runner take it by {prompt_file}"};
    values["prompt"] = order.prompt;
  }
  std::vector<std::string> out;
  for (const std::string& part : runner.command) {
    out.push_back(replaced(part, values));
    if (out.back().size() > kArgumentMost)
      return Error{
          fmt::format("the prompt is too long for an argument ({}; one ends at 128 KiB): let the runner take it "
                      "by {{prompt_file}} or on standard input",
                      readable_size(order.prompt.size()))};
  }
  return out;
}

}  // namespace detent
