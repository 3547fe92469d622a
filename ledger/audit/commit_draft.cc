#include "ledger/audit/commit_draft.h"

#include <algorithm>

#include "ledger/audit/line.h"

namespace detent {
namespace {

constexpr std::size_t kIdsNamed = 8;  // trailers of one commit

std::string folder_of(Millis time) {
  std::string hour = utc(time).substr(0, 13);  // 2026-11-22T14
  std::replace_if(
      hour.begin(), hour.end(), [](char c) { return c == '-' || c == 'T'; }, '/');
  return "signals/" + hour + "/";
}

}  // namespace

CommitDraft batch_of(const PendingRecords& records, const std::vector<std::uint64_t>& places, const ChainState& before,
                     const std::map<std::uint64_t, std::uint64_t>& held, Millis wall) {
  CommitDraft batch;
  CommitNote& note = batch.note;
  note.state = before;
  std::vector<const Mention*> signals, receipts;
  std::vector<std::string> ids;
  Millis signal_time{0}, receipt_time{0};
  for (const std::uint64_t place : places) {
    const PendingRecord& record = records.at(place);
    append_sealed(batch.content, record.line, batch.content.empty(), note.state.hash);
    ++note.state.lines;
    (record.receipt ? receipts : signals).push_back(&record.mention);
    Millis& time = record.receipt ? receipt_time : signal_time;
    time = std::max(time, record.time);
    if (!record.receipt) {
      note.first_seq = note.first_seq ? std::min(note.first_seq, record.seq) : record.seq;
      note.last_seq = std::max(note.last_seq, record.seq);
    }
  }
  for (const std::uint64_t place : places) {
    const PendingRecord& record = records.at(place);
    if (record.receipt == signals.empty() && std::find(ids.begin(), ids.end(), record.id) == ids.end()) {
      ids.push_back(record.id);
      if (ids.size() > kIdsNamed) break;
    }
  }
  if (ids.size() <= kIdsNamed) note.ids = std::move(ids);
  note.subject = subject_of(signals, receipts);
  note.state.last_seq = std::max(note.state.last_seq, note.last_seq);
  note.state.place = std::max(note.state.place, places.back());
  note.state.held.clear();
  for (const auto& [place, seq] : held) note.state.held.push_back({place, seq});
  batch.when = signals.empty() ? receipt_time : signal_time;
  if (batch.when <= Millis{0}) batch.when = wall;
  batch.stem = folder_of(batch.when) + std::to_string(note.first_seq ? note.first_seq : note.state.last_seq);
  return batch;
}

}  // namespace detent
