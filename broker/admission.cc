#include "broker/admission.h"

#include <spdlog/fmt/fmt.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>

#include "proto/journal.pb.h"
#include "proto/reader.h"
#include "proto/signal.pb.h"
#include "proto/wire.pb.h"

namespace detent {

Admission::Admission(Options options, Router router, SignalValidator& validator, IdWindow& ids, Sessions& sessions,
                     Alarms& alarms, Deliveries& deliveries, Batch& batch, CoreCounters& counters, uint64_t seed)
    : options_(std::move(options)),
      router_(std::move(router)),
      validator_(validator),
      ids_(ids),
      sessions_(sessions),
      alarms_(alarms),
      deliveries_(deliveries),
      batch_(batch),
      counters_(counters),
      ulids_(seed) {}

void Admission::on_publish(const Session& session, std::string_view body, Now now) {
  uint64_t first = 0;
  Reader head(body);
  while (head.next() && first == 0) {
    if (head.field() == Publish::kFirstFieldNumber) first = head.number();
  }
  if (!head.ok() || first == 0) return sessions_.malformed(session, "Publish cannot be read, or has no `first`", now);

  auto& answer = answer_to(session.id);
  uint64_t& next_publish = next_publish_.at(session.id);
  uint64_t number = first;
  Reader reader(body);
  for (; reader.next();) {
    if (reader.field() != Publish::kSignalsFieldNumber || reader.wire() != 2) continue;
    if (number - first >= kMaxSignals)
      return sessions_.malformed(session, fmt::format("Publish has over {} signals", kMaxSignals), now);
    if (number < next_publish) {
      ++number;
      continue;
    }
    if (number > next_publish) {  // after a refusal that may be retried: wait until the producer resumes there
      ++counters_.held;
      answer.resume = next_publish;
      if (answer.reason == 0) answer.reason = OUT_OF_ORDER;
      break;
    }
    Rejection rejection;
    // The bytes are of the message that the caller handed over to be written in (secrets are masked in place).
    const std::span<char> signal(const_cast<char*>(reader.bytes().data()), reader.bytes().size());
    const Verdict verdict = admit(signal, now, rejection);
    if (verdict == Verdict::Deferred) {
      ++counters_.held;
      answer.resume = number;
      answer.reason = rejection.reason;
      answer.text = rejection.text;
      break;
    }
    if (verdict == Verdict::Refused) {
      ++counters_.refused;
      answer.refusals.push_back({number, std::string(read_header(reader.bytes()).id.substr(0, 16)), rejection});
    }
    next_publish = ++number;
    answer.resume = 0;
    answer.reason = 0;
    answer.text.clear();
  }
  answer.upto = next_publish - 1;
  if (!reader.ok()) sessions_.malformed(session, "Publish cannot be read", now);
}

Admission::Answer& Admission::answer_to(uint64_t session) {
  // A publisher's frames come in runs, so its answer is nearly always the last one.
  if (!published_.empty() && published_.back().session == session) return published_.back();
  for (auto& answer : published_) {
    if (answer.session == session) return answer;
  }
  return published_.emplace_back(Answer{.session = session});
}

void Admission::pause_publishers(int reason, std::string text) {
  pause_reason_ = reason;
  pause_text_ = std::move(text);
}

uint64_t Admission::admit_local(std::vector<std::string> signals, Now now) {
  LocalDone done{next_ticket_++, {}};
  for (auto& signal : signals) {
    Rejection rejection;
    const Verdict verdict = admit(signal, now, rejection);
    if (verdict == Verdict::Refused) ++counters_.refused;
    if (verdict == Verdict::Deferred) ++counters_.held;
    done.rejections.push_back(std::move(rejection));
  }
  local_.push_back(std::move(done));
  return local_.back().ticket;
}

Admission::Verdict Admission::admit(std::span<char> signal, Now now, Rejection& rejection) {
  if (pause_reason_) {
    rejection = {pause_reason_, pause_text_};
    return Verdict::Deferred;
  }
  if (draining_) {
    rejection = {BUSY, "the broker is stopping"};
    return Verdict::Deferred;
  }
  if (batch_.bytes() >= options_.max_unsynced) {
    rejection = {BUSY, "too much is waiting for the disk: try again in a moment"};
    return Verdict::Deferred;
  }
  SignalId id{};
  // The id comes first in what nearly all encoders write; then its place in the table is at hand once the check is
  // done.
  if (signal.size() > 2 + id.size() && signal[0] == (Signal::kIdFieldNumber << 3 | 2) &&
      signal[1] == static_cast<char>(id.size())) {
    std::memcpy(id.data(), signal.data() + 2, id.size());
    ids_.fetch(id);
  }
  SignalHeader head;
  if (auto found = validator_.check(signal, head)) {
    rejection = std::move(*found);
    return Verdict::Refused;
  }
  const std::string_view bytes(signal.data(), signal.size());
  const uint64_t hash = XXH3_64bits(bytes.data(), bytes.size());
  std::memcpy(id.data(), head.id.data(), id.size());
  const auto known = ids_.insert(id, hash);
  if (!known) {
    // Whether it is a repeat cannot be told. A publisher can wait; what was taken twice cannot be taken back.
    check_ids(now);
    rejection = {BUSY, "whether its id is known cannot be told at the moment: " + known.error().what};
    return Verdict::Deferred;
  }
  if (*known) {
    if (**known == hash) {
      ++counters_.repeats;
      return Verdict::Taken;
    }
    rejection = {ID_REUSED, fmt::format("id {} was used before for other content", Ulid::from_bytes(head.id)->text())};
    return Verdict::Refused;
  }
  const bool unproven = Millis{static_cast<int64_t>(time_of(id))} + options_.id_window < now.wall;
  if (unproven) ++counters_.unproven;
  const Route& route = route_of(head);
  deliveries_.admit(append(bytes, head, route, unproven, false, now), route);
  return Verdict::Taken;
}

const Route& Admission::route_of(const SignalHeader& head) {
  const Route& route =
      router_.decide({head.type, static_cast<int>(head.severity), head.source, head.labels, head.needs_response});
  if (route.fallback) ++counters_.unrouted;
  return route;
}

Open Admission::append(std::string_view signal, const SignalHeader& head, const Route& route, bool unproven,
                       bool revived, Now now) {
  const uint64_t seq = next_seq_++;
  ++counters_.admitted;
  // Record{admitted: Admitted{…}}, written by hand into the batch: this is the path of every signal.
  const auto at_ms = static_cast<uint64_t>(now.wall.count());
  size_t inside = wire::number_size(seq) + wire::number_size(at_ms) + wire::bytes_size(signal.size());
  for (const auto& name : route.channels) inside += wire::bytes_size(name.size());
  if (unproven) inside += wire::number_size(1);
  if (revived) inside += wire::number_size(1);
  if (route.copies) inside += wire::number_size(1);
  const size_t size = wire::bytes_size(inside);
  char* at = batch_.begin(size);
  at = wire::put_head(at, Record::kAdmittedFieldNumber, inside);
  at = wire::put_number(at, Admitted::kSeqFieldNumber, seq);
  at = wire::put_number(at, Admitted::kAtMsFieldNumber, at_ms);
  for (const auto& name : route.channels) at = wire::put_bytes(at, Admitted::kChannelsFieldNumber, name);
  if (unproven) at = wire::put_number(at, Admitted::kRepeatUnprovenFieldNumber, 1);
  if (revived) at = wire::put_number(at, Admitted::kRevivedFieldNumber, 1);
  if (route.copies) at = wire::put_number(at, Admitted::kCopiesFieldNumber, 1);
  wire::put_bytes(at, Admitted::kSignalFieldNumber, signal);
  Open open;
  open.seq = seq;
  open.at.offset = batch_.finish(size);
  open.at.size = static_cast<uint32_t>(size);
  open.admitted_s = static_cast<uint32_t>(now.wall.count() / 1000);
  open.repeat_unproven = unproven;
  set_terms(open, head);
  return open;
}

void Admission::number_from(uint64_t next) {
  restore_numbers(next);
  Record record;
  record.set_next_seq(next_seq_);
  batch_.append(record.SerializeAsString());
}

void Admission::set_terms(Open& open, const SignalHeader& head) {
  open.key = head.thread.empty() ? 0 : static_cast<uint32_t>(XXH3_64bits(head.thread.data(), head.thread.size()) | 1);
  int64_t expires_ms = head.expires_ms;
  if (!expires_ms) {
    auto term = terms_.find(head.type);
    if (term == terms_.end()) {
      if (terms_.size() > 10'000) terms_.clear();
      term = terms_.emplace(std::string(head.type), options_.expires ? options_.expires(head.type) : Millis{0}).first;
    }
    const int64_t created = head.created_ms ? head.created_ms : Ulid::from_bytes(head.id)->time().count();
    // A producer may say any time up to the end of an int64_t.
    if (term->second.count()) expires_ms = std::min(created, INT64_MAX - term->second.count()) + term->second.count();
  }
  open.expires_s = static_cast<uint32_t>(std::min<int64_t>(expires_ms / 1000 + (expires_ms % 1000 != 0), UINT32_MAX));
}

void Admission::revive(std::string_view to, std::string_view signal, Now now) {
  const Route route{.channels = {std::string(to)}};
  deliveries_.admit_for_ever(append(signal, read_header(signal), route, false, true, now), route);
}

// ---- Detent's own signals

void Admission::announce(const Notice& notice, Now now) {
  // What is wrong with the operator's channel cannot be said there; all else needs the operator.
  const std::string& operators = router_.operator_channel();
  const bool about_operator_channel = !operators.empty() && notice.alarm.ends_with("/" + operators);
  Incident incident;
  incident.set_title(notice.title);
  incident.set_body(notice.body);
  incident.set_incident(notice.alarm);
  if (notice.since_ms) {
    incident.set_began_ms(notice.since_ms);
    incident.set_ended_ms(now.wall.count());
  }
  Signal signal;
  signal.set_id(std::string(ulids_.next(now.wall).view()));
  signal.set_type(notice.resolved ? "incident.resolved" : "incident.detected");
  signal.set_source("detent");
  signal.set_severity(notice.resolved ? NOTICE : ERROR);
  signal.set_needs_response(!about_operator_channel);
  signal.set_created_ms(now.wall.count());
  signal.set_payload(incident.SerializeAsString());
  const std::string bytes = signal.SerializeAsString();
  const SignalHeader head = read_header(bytes);
  const Route& route = about_operator_channel ? router_.about_operator_channel() : route_of(head);
  deliveries_.admit(append(bytes, head, route, false, false, now), route);
}

void Admission::check_ids(Now now) {
  ids_.probe();
  if (ids_.failing()) {
    alarms_.raise(
        "ids-read", "a file of ids cannot be read: " + ids_.failing()->what,
        "Signals whose ids may be in it are refused until it can be, since a repeat could not be told from a new one. "
        "Look at the disk and at the broker's limit of open files.",
        now);
  } else {
    alarms_.clear("ids-read", "the files of ids can be read", now);
  }
}

void Admission::reroute(Router router) {
  router_ = std::move(router);
  terms_.clear();
}

// ---- what is made durable

void Admission::take_work() {
  published_under_way_ = std::exchange(published_, {});
  local_under_way_ = std::exchange(local_, {});
}

void Admission::journalled() {
  for (const auto& answer : std::exchange(published_under_way_, {})) {
    Published published;
    published.set_upto(answer.upto);
    published.set_durability(JOURNALED);
    for (const auto& refusal : answer.refusals) {
      auto* out = published.add_refusals();
      out->set_number(refusal.number);
      out->set_id(refusal.id);
      out->set_reason(static_cast<Reason>(refusal.rejection.reason));
      out->set_text(refusal.rejection.text);
    }
    if (answer.resume) {
      published.set_resume(answer.resume);
      published.set_retry_ms(250);
      published.set_reason(static_cast<Reason>(answer.reason));
      published.set_text(answer.text);
    }
    sessions_.send(answer.session, Frame::kPublished, published.SerializeAsString());
  }
  for (auto& done : std::exchange(local_under_way_, {})) local_done.push_back(std::move(done));
}

}  // namespace detent
