#include "ledger/tasks/section_merge.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "ledger/text.h"

namespace detent {
namespace {

constexpr std::string_view kConflict = "conflict-";

bool has_conflict_markers(const QueueSection& section) {
  const auto lines = lines_of(section.text());
  return std::any_of(lines.begin(), lines.end(), is_conflict_marker);
}

/// Of all three, in the order in which they stand, without those that are the dispatcher's.
std::vector<std::string> names_of(std::initializer_list<const QueueSection*> sections) {
  std::vector<std::string> names;
  for (const QueueSection* section : sections) {
    for (const QueueSection::Line& line : section->field_lines()) {
      if (!line.field || line.field->name == "state" || line.field->name == "claim") continue;
      if (std::find(names.begin(), names.end(), line.field->name) == names.end()) names.push_back(line.field->name);
    }
  }
  return names;
}

enum class Side { theirs, ours, theirs_over_ours, ours_over_theirs };

Side side_of(std::string_view base, std::string_view ours, std::string_view theirs, Newer newer) {
  if (ours == theirs || ours == base) return Side::theirs;
  if (theirs == base) return Side::ours;
  return newer == Newer::theirs ? Side::theirs_over_ours : Side::ours_over_theirs;
}

class Merging {
 public:
  Merging(const QueueSection& base, const QueueSection& ours, const QueueSection& theirs, Newer newer)
      : base_(base), ours_(ours), theirs_(theirs), newer_(newer), merge_{theirs} {}

  SectionMerge merge() {
    machine_fields();
    title();
    const bool torn = has_conflict_markers(theirs_);
    for (const std::string& name : names_of({&theirs_, &ours_, &base_})) {
      // In what an unresolved merge left, a field that is missing was not taken away by anyone.
      if (torn && !theirs_.field(name)) {
        take_ours(name);
      } else {
        field(name);
      }
    }
    body();
    return std::move(merge_);
  }

 private:
  QueueSection& out() { return merge_.merged; }

  void take_ours(const std::string& name) {
    const auto ours = ours_.field(name), now = out().field(name);
    if (ours.value_or("") == now.value_or("")) return;
    if (ours) {
      out().set(name, std::string{*ours});
    } else {
      out().erase(name);
    }
  }

  void machine_fields() {
    const std::string base{base_.field("state").value_or("")}, theirs{theirs_.field("state").value_or("")};
    const QueueState state = state_of(ours_);
    take_ours("state");
    take_ours("claim");
    if (theirs == base || theirs.empty() || theirs == ours_.field("state").value_or("")) return;
    if (parse_queue_state(theirs) != QueueState::cancelled) {
      merge_.refused.push_back(
          fmt::format("its state was set to '{}' by hand; only 'cancelled' is taken, so it stays {}",
                      one_line(theirs, 40), name_of(state)));
    } else if (is_final(state)) {
      merge_.refused.push_back(fmt::format("it was cancelled by hand, but is over already: {}", name_of(state)));
    } else {
      merge_.cancel = true;
      out().set("state", name_of(QueueState::cancelled));
    }
  }

  void title() {
    const std::string base{base_.title()}, ours{ours_.title()}, theirs{theirs_.title()};
    const Side side = side_of(base, ours, theirs, newer_);
    const bool taken = side == Side::theirs || side == Side::theirs_over_ours;
    const std::string& id = ours_.id().empty() ? theirs_.id() : ours_.id();
    if (const std::string& title = taken ? theirs : ours; title != out().title() || id != out().id())
      out().set_heading(id, title);
    if (taken && theirs != base && theirs != ours) merge_.fields.push_back("title");
    if (side == Side::theirs_over_ours) out().set("conflict-title", ours);
    if (side == Side::ours_over_theirs) out().set("conflict-title", theirs);
  }

  void field(const std::string& name) {
    const std::string base{base_.field(name).value_or("")}, ours{ours_.field(name).value_or("")},
        theirs{theirs_.field(name).value_or("")};
    const Side side = side_of(base, ours, theirs, newer_);
    if (side == Side::theirs || side == Side::theirs_over_ours) {
      if (theirs != base && theirs != ours) merge_.fields.push_back(name);
    } else {
      take_ours(name);
    }
    if (name.starts_with(kConflict)) return;
    if (side == Side::theirs_over_ours) out().set(std::string{kConflict} + name, ours);
    if (side == Side::ours_over_theirs) out().set(std::string{kConflict} + name, theirs);
  }

  void body() {
    const std::string base = base_.prompt(), ours = ours_.prompt(), theirs = theirs_.prompt();
    if (ours == theirs || ours == base) {
      merge_.text_changed = theirs != ours;
      return;
    }
    if (theirs == base) {
      out().set_body(ours_.body());
      return;
    }
    merge_.text_changed = true;
    const std::string end{theirs_.line_end().empty() ? "\n" : theirs_.line_end()};
    std::string both{ours_.body()};
    if (end_of(both).empty()) both.append(end);
    if (!is_blank(lines_of(both).back())) both.append(end);
    both.append("### Other version").append(end);
    const std::string_view other = theirs_.body();
    if (!other.empty() && !is_blank(first_line(other))) both.append(end);
    both.append(other);
    out().set_body(both);
  }

  const QueueSection& base_;
  const QueueSection& ours_;
  const QueueSection& theirs_;
  const Newer newer_;
  SectionMerge merge_;
};

}  // namespace

QueueState state_of(const QueueSection& section) {
  return parse_queue_state(section.field("state").value_or("")).value_or(QueueState::queued);
}

SectionMerge merge_sections(const QueueSection& base, const QueueSection& ours, const QueueSection& theirs,
                            Newer newer) {
  return Merging(base, ours, theirs, newer).merge();
}

}  // namespace detent
