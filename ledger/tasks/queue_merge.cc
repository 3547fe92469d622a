#include "ledger/tasks/queue_merge.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "base/text_map.h"
#include "ledger/tasks/section_merge.h"
#include "ledger/tasks/section_pairs.h"

namespace detent {
namespace {

/// Something to be said about a task, once it is known where it stands in the merged file.
struct Remark {
  std::string id;
  std::string text;
};

class FileMerge {
 public:
  FileMerge(const QueueFile& base, const QueueFile& ours, const QueueFile& theirs, Newer newer)
      : base_(base),
        ours_(ours),
        theirs_(theirs),
        newer_(newer),
        base_keys_(base),
        ours_keys_(ours),
        theirs_keys_(theirs) {
    ours_keys_.match_adopted(ours, base, base_keys_, theirs_keys_);
  }

  QueueMerge merge() {
    QueueFile file;
    file.set_preamble(theirs_.preamble() == base_.preamble() ? ours_.preamble() : theirs_.preamble());
    find_ours_alone();
    put(file, 0);
    for (std::size_t i = 0; i < theirs_.sections().size(); ++i) theirs_section(file, i);
    return finish(file);
  }

 private:
  // ---- what only we have

  /// Sections that are in ours and not in theirs, each with the place in ours that it comes behind.
  void find_ours_alone() {
    alone_.resize(ours_.sections().size() + 1);
    std::size_t behind = 0;  // the number, from 1, of the last one that theirs has too
    for (std::size_t i = 0; i < ours_.sections().size(); ++i) {
      if (theirs_keys_.find(ours_keys_.of(i))) {
        behind = i + 1;
      } else if (!base_keys_.find(ours_keys_.of(i))) {
        alone_[behind].push_back(ours_.sections()[i]);
      } else {
        deleted(ours_.sections()[i], behind, ours_keys_.repeats(i));
      }
    }
  }

  void deleted(QueueSection section, std::size_t behind, bool repeats) {
    const QueueState state = state_of(section);
    if (section.id().empty() || repeats) return;
    if (state != QueueState::claimed && state != QueueState::running) {
      requests_.push_back({QueueRequest::Kind::removed, section.id(), 0, {}});
      return;
    }
    requests_.push_back({QueueRequest::Kind::cancel, section.id(), 0, {}});
    remarks_.push_back(
        {section.id(), fmt::format("the task was deleted while it was {}: it is being cancelled", name_of(state))});
    section.set("state", name_of(QueueState::cancelled));
    alone_[behind].push_back(std::move(section));
  }

  void put(QueueFile& file, std::size_t behind) {
    for (QueueSection& section : alone_[behind]) file.add(std::move(section));
    if (!alone_[behind].empty()) as_it_is_ = false;
  }

  // ---- what they have

  void theirs_section(QueueFile& file, std::size_t index) {
    const QueueSection& theirs = theirs_.sections()[index];
    const std::string& key = theirs_keys_.of(index);
    const auto base = base_keys_.find(key), ours = ours_keys_.find(key);
    if (ours) {
      both(file, ours_.sections()[*ours], base ? &base_.sections()[*base] : nullptr, theirs,
           theirs_keys_.repeats(index));
      put(file, *ours + 1);
    } else if (!base) {
      if (!theirs.id().empty() && !theirs_keys_.repeats(index))
        requests_.push_back({QueueRequest::Kind::new_task, theirs.id(), 0, {}});
      append(file, theirs);
    } else if (theirs.text() != base_.sections()[*base].text()) {
      left_the_queue(file, base_.sections()[*base], theirs);
    }
  }

  void both(QueueFile& file, const QueueSection& ours, const QueueSection* base, const QueueSection& theirs,
            bool repeats) {
    // As it is for nearly all of a long queue.
    if (theirs.text() == (base ? *base : ours).text()) return append(file, ours);
    SectionMerge merge = merge_sections(base ? *base : ours, ours, theirs, newer_);
    const std::string id = merge.merged.id();
    append(file, std::move(merge.merged));
    if (id.empty() || repeats) return;
    for (std::string& text : merge.refused) remarks_.push_back({id, std::move(text)});
    if (merge.cancel) requests_.push_back({QueueRequest::Kind::cancel, id, 0, {}});
    if (merge.fields.empty() && !merge.text_changed) return;
    const QueueState state = state_of(ours);
    if (is_final(state)) {
      remarks_.push_back({id, fmt::format("it was edited, but is over already: {}", name_of(state))});
      return;
    }
    if (state != QueueState::queued)
      remarks_.push_back(
          {id, fmt::format("it was edited while it was {}: that counts from its next attempt", name_of(state))});
    if (!merge.fields.empty())
      requests_.push_back({QueueRequest::Kind::values_changed, id, 0, std::move(merge.fields)});
    if (merge.text_changed) requests_.push_back({QueueRequest::Kind::text_changed, id, 0, {}});
  }

  /// The dispatcher took it out, and they changed it.
  void left_the_queue(QueueFile& file, const QueueSection& base, const QueueSection& theirs) {
    const auto now = theirs.field_lines(), before = base.field_lines();
    const bool same = theirs.prompt() == base.prompt() && theirs.title() == base.title() &&
                      std::equal(now.begin(), now.end(), before.begin(), before.end(),
                                 [](const auto& a, const auto& b) { return trimmed(a.bytes) == trimmed(b.bytes); });
    if (same) return;
    if (theirs.id().empty()) {
      append(file, theirs);
    } else {
      remarks_.push_back({theirs.id(), fmt::format("{} was edited, but has left the queue", theirs.id())});
    }
  }

  void append(QueueFile& file, QueueSection section) {
    if (as_it_is_) {
      file.append(std::move(section));
    } else {
      file.add(std::move(section));
    }
    as_it_is_ = true;
  }

  // ---- the whole

  QueueMerge finish(const QueueFile& file) {
    QueueMerge merge;
    // What is written is what the next reader finds: a text of theirs may hide what now stands behind it.
    merge.merged = QueueFile::parse(file.print());
    merge.reading = read_queue(merge.merged);
    TextMap<const QueueTask*> sound;
    for (const QueueTask& task : merge.reading.tasks) {
      if (!task.id.empty()) sound.emplace(task.id, &task);
      if (task.id.empty()) merge.requests.push_back({QueueRequest::Kind::new_task, {}, task.section, {}});
    }
    SectionKeys keys(merge.merged);
    for (QueueRequest& request : requests_) {
      using Kind = QueueRequest::Kind;
      const auto section = keys.find(request.id + "\n0");
      if (request.kind != Kind::removed && !section) continue;
      if (request.kind != Kind::removed && request.kind != Kind::cancel && !sound.contains(request.id)) continue;
      request.section = section.value_or(0);
      merge.requests.push_back(std::move(request));
    }
    for (Remark& remark : remarks_) {
      const auto section = keys.find(remark.id + "\n0");
      const std::size_t line = section ? merge.merged.line_of(*section) : 1;
      merge.reading.faults.push_back({line, std::move(remark.text), std::nullopt});
    }
    std::stable_sort(merge.reading.faults.begin(), merge.reading.faults.end(),
                     [](const QueueFault& a, const QueueFault& b) { return a.line < b.line; });
    return merge;
  }

  const QueueFile& base_;
  const QueueFile& ours_;
  const QueueFile& theirs_;
  const Newer newer_;
  SectionKeys base_keys_, ours_keys_, theirs_keys_;
  std::vector<std::vector<QueueSection>> alone_;  // by the number, from 1, of the section in ours that they come behind
  bool as_it_is_ = true;                          // nothing of ours stands before what is appended next
  std::vector<QueueRequest> requests_;
  std::vector<Remark> remarks_;
};

}  // namespace

QueueMerge merge_queues(const QueueFile& base, const QueueFile& ours, const QueueFile& theirs, Newer newer) {
  if (!is_unreadable(theirs)) return FileMerge(base, ours, theirs, newer).merge();
  QueueMerge merge;
  merge.merged = ours;
  merge.reading = read_queue(ours);
  const std::vector<QueueFault> faults = file_faults(theirs);
  merge.reading.faults.insert(merge.reading.faults.begin(), faults.begin(), faults.end());
  return merge;
}

}  // namespace detent
