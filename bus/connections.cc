#include "bus/connections.h"

#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>

#include "base/log.h"
#include "base/memory.h"
#include "base/result.h"

namespace detent {

namespace {

constexpr Millis kBetweenLooks{50};  // at what those that stir have sent: at 1 GB/s 50 MB more
constexpr Millis kBetweenSilentLooks{1000};
constexpr Millis kBetweenTellings{60'000};
constexpr uint64_t kLittle = 64 << 10;    // unread of one connection: not worth a look
constexpr uint64_t kMuch = 4 << 20;       // unread of one that ends: worth giving back
constexpr uint64_t kLargerWhileBusy = 4;  // times the limit, while we are the ones who do not read

uint64_t cookie_of(int fd) {
  uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

/// How many bytes ever came by that socket; 0 where it is none of TCP.
uint64_t received_by(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
  return size >= offsetof(tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received ? info.tcpi_bytes_received
                                                                                           : 0;
}

/// One ZMTP 3 frame without encryption.
size_t on_the_wire(size_t bytes) { return bytes + (bytes > 255 ? 9 : 2); }

}  // namespace

Connections::Connections(ConnectionLimits limits) : limits_(limits), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_ < 0) throw Failure(system_error("cannot watch connections", errno).what);
}

Connections::~Connections() { close(epoll_); }

void Connections::accepted(int fd, Millis now) {
  ended(fd);
  Connection fresh;
  fresh.cookie = cookie_of(fd);
  fresh.number = ++numbers_;
  fresh.since = now;
  all_.emplace(fd, std::move(fresh));
  epoll_event wanted{};
  wanted.events = EPOLLIN | EPOLLONESHOT;
  wanted.data.fd = fd;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &wanted);  // fails where it has ended, which the monitor is about to tell
  make_room();
}

void Connections::ended(int fd) {
  const auto found = all_.find(fd);
  if (found == all_.end()) return;
  Connection& connection = found->second;
  // It leaves the epoll set by being closed; its number may be somebody else's by now.
  if (connection.cut) --cut_;
  if (connection.unread >= kMuch) give_back_memory_soon();
  if (const auto peer = peers_.find(connection.peer); peer != peers_.end() && peer->second == &connection) {
    peers_.erase(peer);
  }
  if (last_ == &connection) last_ = nullptr;
  std::erase(stirring_, fd);
  all_.erase(found);
}

bool Connections::took(std::string_view peer, size_t bytes, Millis now) {
  if (!last_ || last_->peer != peer) {
    const auto found = peers_.find(peer);
    if (found == peers_.end()) return false;
    last_ = found->second;
  }
  last_->taken += on_the_wire(bytes);
  last_->heard = now;
  return true;
}

void Connections::belongs(std::string_view peer, int fd) {
  const auto found = all_.find(fd);
  if (found == all_.end()) return;  // it ended, and this is the last that it said
  Connection& connection = found->second;
  if (!connection.peer.empty()) peers_.erase(connection.peer);  // the last words of one that had this descriptor before
  connection.peer = peer;
  connection.taken = 0;
  peers_.insert_or_assign(connection.peer, &connection);
}

void Connections::stirred(Millis now) {
  std::array<epoll_event, 64> events;
  for (;;) {
    const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 0);
    for (int i = 0; i < count; ++i) {
      const auto found = all_.find(events[static_cast<size_t>(i)].data.fd);
      if (found == all_.end() || found->second.stirs) continue;
      found->second.stirs = true;
      if (stirring_.empty()) next_look_ = now + kBetweenLooks;
      stirring_.push_back(found->first);
    }
    if (count < static_cast<int>(events.size())) return;
  }
}

void Connections::bound(Millis now, bool emptied) {
  if (emptied && now >= next_silent_) {
    next_silent_ = now + kBetweenSilentLooks;
    cut_silent(now);
  }
  if (cuts_ != told_ && now >= next_telling_) {
    spdlog::warn("bus: {} connections were cut; the last one: {}", cuts_ - told_, why_);
    told_ = cuts_;
    next_telling_ = now + kBetweenTellings;
  }
  if (!stirring_.empty() && now >= next_look_) look(now, emptied ? limits_.unread : kLargerWhileBusy * limits_.unread);
}

Millis Connections::deadline() const { return stirring_.empty() ? Millis::max() : next_look_; }

void Connections::look(Millis now, uint64_t limit) {
  next_look_ = now + kBetweenLooks;
  uint64_t total = 0;
  size_t kept = 0;
  for (const int fd : stirring_) {
    auto& entry = *all_.find(fd);
    Connection& connection = entry.second;
    const uint64_t received = received_by(fd);
    connection.unread = received > connection.taken ? received - connection.taken : 0;
    if (connection.unread >= kLittle || connection.cut) {
      if (!connection.cut) total += connection.unread;
      stirring_[kept++] = fd;
      continue;
    }
    connection.stirs = false;
    epoll_event wanted{};
    wanted.events = EPOLLIN | EPOLLONESHOT;
    wanted.data.fd = fd;
    epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &wanted);
  }
  stirring_.resize(kept);
  while (total > limit) {
    All::value_type* most = nullptr;
    for (const int fd : stirring_) {
      auto& entry = *all_.find(fd);
      if (!entry.second.cut && (!most || entry.second.unread > most->second.unread)) most = &entry;
    }
    if (!most) return;
    total -= std::min(total, most->second.unread);
    cut(*most, "it has sent most of what lies unread, and that is too much");
  }
}

void Connections::make_room() {
  if (count() <= limits_.connections) return;
  All::value_type* next = nullptr;
  const auto before = [](const Connection& one, const Connection& other) {
    const bool unheard = one.heard == Millis{0};
    if (unheard != (other.heard == Millis{0})) return unheard;
    return unheard ? one.number < other.number : one.heard < other.heard;
  };
  for (auto& entry : all_) {
    if (!entry.second.cut && (!next || before(entry.second, next->second))) next = &entry;
  }
  if (next) cut(*next, "there are too many");
}

void Connections::cut_silent(Millis now) {
  for (auto& entry : all_) {
    const Connection& connection = entry.second;
    if (connection.cut) continue;
    if (connection.heard == Millis{0} ? now - connection.since >= limits_.unheard
                                      : now - connection.heard >= limits_.silent) {
      cut(entry, "it says nothing");
    }
  }
}

void Connections::cut(All::value_type& entry, const char* why) {
  entry.second.cut = true;
  ++cut_;
  ++cuts_;
  why_ = why;
  // A copy of the descriptor stays the same socket whatever happens to the original meanwhile.
  const int copy = fcntl(entry.first, F_DUPFD_CLOEXEC, 0);
  const bool same = copy >= 0 && entry.second.cookie != 0 && cookie_of(copy) == entry.second.cookie;
  if (same) shutdown(copy, SHUT_RDWR);  // ZeroMQ sees its end, and closes it
  if (copy >= 0) close(copy);
  if (copy < 0 && errno == EMFILE && cookie_of(entry.first) == entry.second.cookie) shutdown(entry.first, SHUT_RDWR);
}

}  // namespace detent
