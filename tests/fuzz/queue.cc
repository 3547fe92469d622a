// Any bytes in place of a QUEUE.md are printed as they were read, a change touches its own section alone, and three of
// them are merged into one that the next reader finds as the merge says it is.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ledger/tasks/queue_merge.h"
#include "ledger/tasks/queue_values.h"

using namespace detent;

namespace {

constexpr std::string_view kNames[] = {"state",   "priority", "runner",        "not-before",
                                       "timeout", "claim",    "conflict-title"};
constexpr std::string_view kValues[] = {"", "queued", "7", "worker-1 epoch=2 since 2026-02-19T10:07:00Z"};
constexpr std::string_view kId = "01JDZ8Q6M3T5V7W9X1Y3Z5A7B0";

QueueFile read(std::string_view text) {
  QueueFile file = QueueFile::parse(text);
  CHECK(file.print() == text, "what is read is printed byte for byte");
  const QueueReading reading = read_queue(file);
  const std::size_t lines = 1 + static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  std::vector<bool> faulty(file.sections().size());
  for (const QueueFault& fault : reading.faults) {
    CHECK(fault.line >= 1 && fault.line <= lines, "a fault's line is in the file");
    CHECK(fault.text.find('\n') == std::string::npos, "a fault is one line");
    if (fault.section) faulty.at(*fault.section) = true;
  }
  CHECK(
      reading.tasks.size() + static_cast<std::size_t>(std::count(faulty.begin(), faulty.end(), true)) == faulty.size(),
      "each section is a task or has a fault");
  return file;
}

void set_a_field(QueueFile file, std::uint8_t which, std::uint8_t what) {
  if (file.sections().empty()) return;
  const QueueFile before = file;
  const std::size_t index = which % file.sections().size();
  const std::string name{kNames[what % std::size(kNames)]};
  const std::string_view value = kValues[what / 16 % std::size(kValues)];
  file.section(index).set(name, value);
  const QueueFile after = read(file.print());
  CHECK(after.preamble() == before.preamble(), "the preamble stays");
  CHECK(after.sections().size() == before.sections().size(), "no section comes or goes");
  for (std::size_t i = 0; i < after.sections().size(); ++i) {
    if (i != index) CHECK(after.sections()[i].text() == before.sections()[i].text(), "the other sections stay");
  }
  CHECK(after.sections()[index].field(name) == value, "the field has its value");
  CHECK(after.sections()[index].title() == before.sections()[index].title(), "the title stays");
  CHECK(after.sections()[index].prompt() == before.sections()[index].prompt(), "the text stays");
}

void add_a_task(QueueFile file, std::string_view prompt) {
  if (file.find(kId)) return;
  QueueTask task;
  task.id = kId;
  task.text = prompt;
  file.add(section_of(task, file.line_end()));
  const QueueFile after = read(file.print());
  const auto at = after.find(kId);
  CHECK(at, "what was added is there");
  std::string wanted;
  for (const QueueLine line : lines_of(prompt)) {
    std::string_view bare = without_end(line);
    while (bare.ends_with('\r')) bare.remove_suffix(1);
    wanted.append(bare).push_back('\n');
  }
  if (!wanted.empty()) wanted.pop_back();
  CHECK(after.sections()[*at].prompt() == wanted, "a prompt is read back as it was");
}

void merge(const QueueFile& base, const QueueFile& ours, const QueueFile& theirs, Newer newer) {
  const QueueMerge merge = merge_queues(base, ours, theirs, newer);
  const QueueFile again = read(merge.merged.print());
  CHECK(again.sections().size() == merge.merged.sections().size(), "the next reader finds the same sections");
  for (std::size_t i = 0; i < again.sections().size(); ++i)
    CHECK(again.sections()[i].text() == merge.merged.sections()[i].text(), "the next reader finds the same sections");
  for (const QueueRequest& request : merge.requests) {
    if (request.kind == QueueRequest::Kind::removed) continue;
    CHECK(again.sections().at(request.section).id() == request.id, "a request names its section");
  }
  for (const QueueSection& section : ours.sections()) {
    const bool runs = parse_queue_state(section.field("state").value_or("")) == QueueState::running;
    if (runs && !section.id().empty() && !base.find(section.id()))
      CHECK(again.find(section.id()), "what the dispatcher added is there");
  }
}

}  // namespace

// Two bytes that choose, then up to three files (base, ours, theirs) with 0x1E between them.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  std::string_view rest{reinterpret_cast<const char*>(data) + 2, size - 2};
  std::string_view texts[3];
  for (std::string_view& text : texts) {
    text = rest.substr(0, rest.find('\x1E'));
    rest.remove_prefix(std::min(rest.size(), text.size() + 1));
  }
  const QueueFile base = read(texts[0]), ours = read(texts[1]), theirs = read(texts[2]);
  set_a_field(base, data[0], data[1]);
  add_a_task(base, texts[2]);
  merge(base, ours, theirs, data[0] & 1 ? Newer::ours : Newer::theirs);
  CHECK(merge_queues(base, base, base, Newer::theirs).merged.print() == texts[0], "nothing changed, nothing changes");
  return 0;
}
