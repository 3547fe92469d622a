// One delivery to a Discord channel, request by request: learn the channel, find or begin the thread, look through the
// history for a message that perhaps arrived, send the parts.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "consumers/discord/channel.h"
#include "consumers/story.h"

namespace detent::discord {

class Job : public consumers::Job {
 public:
  Job(Channel& channel, consumers::Story story, std::vector<consumers::PartState> known);

  consumers::Step next(Now now) override;
  Millis wait(Now now) const override;
  void sent(Now now) override;
  consumers::Verdict answered(const http::Answer& answer, Now now) override;

 private:
  enum class Doing { Learn, FindThread, BeginThread, Look, Send };

  void draw();
  /// It belongs in a thread. What is to be answered here does not: Discord tells only those who follow a thread.
  bool keyed() const {
    return !story_.thread.empty() && !story_.asks() && !channel_.place_.webhook && channel_.threads_;
  }
  consumers::Step ask(Doing doing, std::string method, const std::string& path, std::string body, const Lane& lane);
  consumers::Step look(const consumers::PartState& part);
  consumers::Step send(const Message& message, bool begin);
  const Message& current() const { return messages_[at_]; }

  consumers::Verdict learnt(const http::Response& response, Now now);
  consumers::Verdict looked(const http::Response& response);
  consumers::Verdict thread_found(const http::Response& response);
  consumers::Verdict thread_begun(const http::Response& response);
  consumers::Verdict sent_part(const http::Response& response);
  consumers::Verdict refused(const http::Response& response, int code, const std::string& why);

  Channel& channel_;
  consumers::Story story_;
  Style style_;
  std::vector<Message> messages_;
  size_t at_ = 0;
  std::string thread_;  // the messages go there; empty: to the channel
  bool thread_tried_ = false;
  Doing doing_ = Doing::Learn;
  Lane lane_;
  // While a part that perhaps arrived is looked for.
  std::string look_after_;
  int pages_ = 0;
  std::set<uint32_t> looked_for_;
  std::string first_cause_;  // why the form before a fallback was refused
};

}  // namespace detent::discord
