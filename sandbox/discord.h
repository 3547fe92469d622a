// A Discord server in memory: channels, threads, messages and what a member of it would see. No I/O and no clock.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "sandbox/json.h"

namespace detent::sandbox {

struct Attachment {
  std::string filename;
  std::string content_type;
  std::string description;
  std::string body;
};

/// A message on its way in: `body` has passed `check_message`.
struct Draft {
  json::object body;
  json::object author;
  std::string webhook;  // its id, where a webhook sends
  std::vector<Attachment> files;
};

class Discord {
 public:
  /// Message objects in the API's form, by id, and what else is known of their channel.
  struct Channel {
    std::string id;
    std::string name;
    std::string parent;    // of a thread
    json::object details;  // of a thread: thread_metadata and the like
    std::map<std::uint64_t, json::object> messages;
    std::vector<std::pair<std::uint64_t, std::string>> pins;  // message, pinned at; newest last
    bool thread() const { return !parent.empty(); }
  };

  /// Told of every change with what the page needs: {"type", …}. `base` is the URL before /discord of attachments.
  using Told = std::function<void(json::object)>;
  explicit Discord(Told told) : told_(std::move(told)) {}
  std::string base;

  static constexpr std::string_view kGuild = "1000000000000000000";

  /// The channel of that id, made where it is not known yet. nullptr for what cannot be a channel: 0, and the id of a
  /// message that has no thread.
  Channel* channel(std::uint64_t id);
  const std::map<std::uint64_t, Channel>& channels() const { return channels_; }
  json::object describe(const Channel& channel) const;
  void rename(std::uint64_t channel, std::string name);

  json::object& post(Channel& channel, Draft draft, Now now);
  json::object* find(Channel& channel, std::uint64_t message);
  /// Applies the members of a checked edit body that are present.
  void edit(Channel& channel, json::object& message, const json::object& body, std::vector<Attachment> files, Now now);
  bool remove(Channel& channel, std::uint64_t message);
  /// A thread under `channel`; on a message it takes that message's id.
  Channel& start_thread(Channel& channel, const json::object& body, json::object* message, const json::object& owner,
                        Now now);
  void pin(Channel& channel, json::object& message, bool pinned, const json::object& who, Now now);

  const Attachment* attachment(std::uint64_t id) const;

  /// Permissions taken away in a channel and its threads.
  void deny(std::uint64_t channel, std::set<std::string> permissions) { denied_[channel] = std::move(permissions); }
  bool denied(const Channel& channel, const std::string& permission) const;

  /// All messages of one channel and its threads, or of all channels, oldest first.
  json::array messages(std::optional<std::uint64_t> channel) const;
  /// The channels with their newest messages, for the page.
  json::object snapshot() const;
  void clear();

 private:
  std::uint64_t next_id(Now now);
  json::object& add(Channel& channel, json::object message);
  json::array store(Channel& channel, std::vector<Attachment> files, Now now);
  void tell(std::string_view type, const Channel& channel, const json::object& message) const;

  Told told_;
  std::map<std::uint64_t, Channel> channels_;
  std::map<std::uint64_t, std::uint64_t> places_;  // message -> channel
  std::map<std::uint64_t, Attachment> attachments_;
  std::map<std::uint64_t, std::set<std::string>> denied_;
  std::uint64_t last_id_ = 0;
};

/// "2026-11-22T14:02:07.123000+00:00"
std::string discord_time(Millis wall);

/// Sets `mentions`, `mention_roles` and `mention_everyone` to what the text pings under these allowances: none given
/// means all (of a webhook: users only).
void compute_mentions(json::object& message, const json::value* allowed, bool webhook);

}  // namespace detent::sandbox
