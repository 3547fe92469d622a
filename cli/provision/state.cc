#include "cli/provision/state.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <fstream>
#include <sstream>

namespace detent::provision {

namespace json = boost::json;
namespace fs = std::filesystem;

WorkerFiles::WorkerFiles(const fs::path& state, const std::string& name) : folder_(state / "workers"), name_(name) {
  std::error_code failed;
  fs::create_directories(folder_, failed);
  if (failed)
    throw Failure(
        fmt::format("cannot make {}: {}; set `state` to a folder of yours", folder_.string(), failed.message()));
  const std::string lock = (folder_ / (name + ".lock")).string();
  lock_ = open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_ < 0) throw Failure(system_error("cannot open " + lock, errno).what);
  if (flock(lock_, LOCK_EX | LOCK_NB) == 0) return;
  const int number = errno;
  close(lock_);
  throw Failure(number == EWOULDBLOCK ? "another `detent worker` is at work on " + name + ": wait until it has ended"
                                      : system_error("cannot lock " + lock, number).what);
}

WorkerFiles::~WorkerFiles() { close(lock_); }

fs::path WorkerFiles::file() const { return folder_ / (name_ + ".json"); }

Memory WorkerFiles::read() const {
  std::ifstream in(file());
  if (!in) return {};
  std::stringstream text;
  text << in.rdbuf();
  boost::system::error_code failed;
  const json::value body = json::parse(text.str(), failed);
  const auto* object = failed ? nullptr : body.if_object();
  const auto number = [&](std::string_view key) {
    const auto* found = object ? object->if_contains(key) : nullptr;
    if (!found || !found->is_int64())
      throw Failure(fmt::format("{} is damaged: look at your droplets, then remove it", file().string()));
    return found->get_int64();
  };
  return {.droplet = number("droplet"), .action = number("action"), .asked = Millis(number("asked"))};
}

void WorkerFiles::write(const Memory& memory) const {
  const std::string text =
      json::serialize(
          json::object{{"droplet", memory.droplet}, {"action", memory.action}, {"asked", memory.asked.count()}}) +
      "\n";
  const fs::path beside = file().string() + ".new";
  const int out = open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const bool written =
      out >= 0 && ::write(out, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(out) == 0;
  const int number = errno;
  if (out >= 0) close(out);
  if (!written) throw Failure(system_error("cannot write " + beside.string(), number).what);
  if (rename(beside.c_str(), file().c_str()) != 0)
    throw Failure(system_error("cannot write " + file().string(), errno).what);
}

void WorkerFiles::forget() const {
  std::error_code failed;
  fs::remove(file(), failed);
  if (failed) throw Failure(fmt::format("cannot remove {}: {}", file().string(), failed.message()));
}

std::string host_alias(std::int64_t droplet) { return fmt::format("droplet-{}", droplet); }

}  // namespace detent::provision
