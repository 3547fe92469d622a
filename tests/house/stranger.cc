#include "tests/house/stranger.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/result.h"
#include "proto/wire.pb.h"

namespace detent::house {

namespace {

constexpr uint8_t kLong = 2, kCommand = 4;

std::string big_endian(uint64_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
  return out;
}

std::string framed(uint8_t flags, std::string_view body) {
  const bool is_long = body.size() > 255;
  std::string out(1, static_cast<char>(flags | (is_long ? kLong : 0)));
  return out + big_endian(body.size(), is_long ? 8 : 1) + std::string(body);
}

std::string greeting() {
  std::string out = "\xff" + std::string(8, '\0') + "\x7f";
  out += std::string("\x03\x00", 2) + "NULL";
  out.resize(64, '\0');
  return out;
}

std::string property(std::string_view name, std::string_view value) {
  return big_endian(name.size(), 1) + std::string(name) + big_endian(value.size(), 4) + std::string(value);
}

}  // namespace

Stranger::Stranger(const std::string& endpoint) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1))));
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int failed = errno;
    close(fd_);
    throw Failure(system_error("cannot connect to " + endpoint, failed).what);
  }
  const std::string ready = "\x05READY" + property("Socket-Type", "DEALER") + property("Identity", "");
  const Millis until = system_now().mono + Millis{5'000};
  if (!write_all(greeting()) || !fill(64, until)) throw Failure("no ZMTP greeting from " + endpoint);
  in_.erase(0, 64);
  if (!write_all(framed(kCommand, ready))) throw Failure("no ZMTP handshake with " + endpoint);
}

Stranger::~Stranger() { close(fd_); }

bool Stranger::write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) {
      closed_ = true;
      return false;
    }
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool Stranger::fill(size_t size, Millis until) {
  while (in_.size() < size) {
    const Millis left = until - system_now().mono;
    pollfd item{fd_, POLLIN, 0};
    if (poll(&item, 1, static_cast<int>(std::max<int64_t>(left.count(), 0))) <= 0) return false;
    char buffer[65536];
    const ssize_t got = recv(fd_, buffer, sizeof buffer, 0);
    if (got <= 0) {
      closed_ = true;
      return false;
    }
    in_.append(buffer, static_cast<size_t>(got));
  }
  return true;
}

bool Stranger::send(std::string_view message) { return write_all(framed(0, message)); }

std::optional<std::string> Stranger::receive(Millis patience) {
  const Millis until = system_now().mono + patience;
  for (;;) {
    if (!fill(2, until)) return std::nullopt;
    const auto flags = static_cast<uint8_t>(in_[0]);
    const size_t head = flags & kLong ? 9 : 2;
    if (!fill(head, until)) return std::nullopt;
    uint64_t size = 0;
    for (size_t i = 1; i < head; ++i) size = size << 8 | static_cast<uint8_t>(in_[i]);
    if (!fill(head + size, until)) return std::nullopt;
    std::string body = in_.substr(head, size);
    in_.erase(0, head + size);
    if (!(flags & kCommand)) return body;
  }
}

std::optional<Stranger::Heard> Stranger::hear(Millis patience) {
  const auto message = receive(patience);
  FrameView frame;
  if (!message || !open_frame(*message, frame)) return std::nullopt;
  Heard heard{frame.field, frame.session, std::string(frame.body)};
  if (heard.field == Frame::kRefused) {
    Refused refused;
    if (refused.ParseFromString(heard.body)) {
      refusal_ = refused.text();
      reason_ = refused.reason();
    }
    session_ = 0;
  }
  return heard;
}

uint64_t Stranger::greet(int role, uint32_t version) {
  Hello hello;
  hello.add_versions(version);
  hello.set_name("a stranger");
  hello.set_role(static_cast<Hello::Role>(role));
  hello.set_instance(reinterpret_cast<uintptr_t>(this) ^ static_cast<uint64_t>(system_now().mono.count()));
  if (!send(seal(0, 0, Frame::kHello, hello.SerializeAsString()))) return 0;
  const auto heard = hear();
  said_ = published_ = 0;
  session_ = heard && heard->field == Frame::kWelcome ? heard->session : 0;
  return session_;
}

bool Stranger::say(uint32_t field, std::string_view body) { return send(seal(session_, ++said_, field, body)); }

}  // namespace detent::house
