#include "ledger/tasks/queue_merge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace detent {
namespace {

using Kind = QueueRequest::Kind;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kA = "t-20260219-aaaa", kB = "t-20260219-bbbb", kC = "t-20260219-cccc";

std::string task(const std::string& id, const std::string& state, const std::string& rest = "\nText.\n") {
  return "## " + id + " - Task\n\n- state: " + state + "\n- priority: 5\n- claim:\n" + rest + "\n";
}

struct Merged {
  std::string text;
  std::vector<QueueRequest> requests;
  std::vector<std::string> faults;
};

Merged merged(const std::string& base, const std::string& ours, const std::string& theirs,
              Newer newer = Newer::theirs) {
  const QueueMerge merge =
      merge_queues(QueueFile::parse(base), QueueFile::parse(ours), QueueFile::parse(theirs), newer);
  Merged result{merge.merged.print(), merge.requests, {}};
  for (const QueueFault& fault : merge.reading.faults) result.faults.push_back(describe(fault));
  return result;
}

std::string with(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

const std::string kHead = "# Queue\n\n";
const std::string kBase = kHead + task(kA, "queued") + task(kB, "queued");

TEST(QueueMerge, WhatNobodyChangedStaysByteForByte) {
  const std::string odd = kHead + "## " + kA + "  —  Task\r\n-  State:queued\n- state:  queued\n\nText";
  const Merged merge = merged(odd, odd, odd);
  EXPECT_EQ(merge.text, odd);
  EXPECT_THAT(merge.requests, IsEmpty());
}

TEST(QueueMerge, ClaimsOfOneSideAndEditsOfTheOtherAreBothTaken) {
  std::string ours =
      with(kBase, "- state: queued\n- priority: 5\n- claim:", "- state: running\n- priority: 5\n- claim: w1");
  const std::string theirs =
      with(kBase, kB + " - Task\n\n- state: queued\n- priority: 5", kB + " - Task\n\n- state: queued\n- priority: 9");
  const Merged merge = merged(kBase, ours, theirs);
  EXPECT_EQ(merge.text, with(ours, kB + " - Task\n\n- state: queued\n- priority: 5",
                             kB + " - Task\n\n- state: queued\n- priority: 9"));
  EXPECT_THAT(merge.requests, ElementsAre(QueueRequest{Kind::values_changed, kB, 1, {"priority"}}));
  EXPECT_THAT(merge.faults, IsEmpty());
}

TEST(QueueMerge, BothMayAddATaskAtTheEnd) {
  const Merged merge = merged(kBase, kBase + task(kC, "queued"), kBase + "## Do X\n\nIt matters.\n");
  EXPECT_EQ(merge.text, kBase + task(kC, "queued") + "## Do X\n\nIt matters.\n");
  EXPECT_THAT(merge.requests, ElementsAre(QueueRequest{Kind::new_task, "", 3, {}}));
}

TEST(QueueMerge, ATaskWithAnIdMadeByHandIsNewToo) {
  const Merged merge = merged(kBase, kBase, kBase + task(kC, "queued"));
  EXPECT_THAT(merge.requests, ElementsAre(QueueRequest{Kind::new_task, kC, 2, {}}));
}

TEST(QueueMerge, ATaskThatWasAdoptedMeanwhileIsNotTakenInAgain) {
  const std::string hand = "## Do X\n\nIt matters.\n\n";
  const std::string base = kBase + hand;
  const std::string ours = kBase + "## " + kC + " - Do X\n\n- state: running\n\nIt matters.\n\n";
  EXPECT_EQ(merged(base, ours, base).text, ours);
  EXPECT_THAT(merged(base, ours, base).requests, IsEmpty());

  const Merged edited = merged(base, ours, with(base, "It matters.", "It matters much."));
  EXPECT_EQ(edited.text, with(ours, "It matters.", "It matters much."));
  EXPECT_THAT(edited.requests, ElementsAre(QueueRequest{Kind::text_changed, kC, 2, {}}));
  EXPECT_THAT(edited.faults, ElementsAre(HasSubstr("it was edited while it was running")));

  const Merged twice = merged(base, ours, base + hand);
  EXPECT_EQ(twice.text, ours + hand);
  EXPECT_THAT(twice.requests, ElementsAre(QueueRequest{Kind::new_task, "", 3, {}}));

  const Merged deleted = merged(base, ours, kBase);
  EXPECT_EQ(deleted.text, with(ours, "- state: running", "- state: cancelled"));
  EXPECT_THAT(deleted.requests, ElementsAre(QueueRequest{Kind::cancel, kC, 2, {}}));

  EXPECT_EQ(merged(base, kBase, base).text, kBase) << "it was done, and has left the queue";
}

TEST(QueueMerge, ATaskDeletedWhileQueuedIsGone) {
  const Merged merge = merged(kBase, kBase, kHead + task(kB, "queued"));
  EXPECT_EQ(merge.text, kHead + task(kB, "queued"));
  EXPECT_THAT(merge.requests, ElementsAre(QueueRequest{Kind::removed, kA, 0, {}}));
}

TEST(QueueMerge, ATaskDeletedWhileItRunsComesBackCancelled) {
  for (const std::string state : {"claimed", "running"}) {
    const std::string ours = kHead + task(kA, state) + task(kB, "queued");
    const Merged merge = merged(kBase, ours, kHead + task(kB, "queued"));
    EXPECT_EQ(merge.text, kHead + task(kA, "cancelled") + task(kB, "queued"));
    EXPECT_THAT(merge.requests, ElementsAre(QueueRequest{Kind::cancel, kA, 0, {}}));
    EXPECT_THAT(merge.faults,
                ElementsAre("QUEUE.md line 3: the task was deleted while it was " + state + ": it is being cancelled"));
  }
}

TEST(QueueMerge, ACancelByHandSurvivesWhateverTheDispatcherDid) {
  const std::string theirs = with(kBase, "- state: queued", "- state: Cancelled");
  for (const std::string state : {"queued", "claimed", "running"}) {
    const Merged merge = merged(kBase, with(kBase, "- state: queued", "- state: " + state), theirs, Newer::ours);
    EXPECT_EQ(merge.text, with(kBase, "- state: queued", "- state: cancelled")) << state;
    EXPECT_THAT(merge.requests, ElementsAre(QueueRequest{Kind::cancel, kA, 0, {}}));
  }
  const Merged late = merged(kBase, with(kBase, "- state: queued", "- state: succeeded"), theirs);
  EXPECT_EQ(late.text, with(kBase, "- state: queued", "- state: succeeded"));
  EXPECT_THAT(late.requests, IsEmpty());
  EXPECT_THAT(late.faults, ElementsAre(HasSubstr("it was cancelled by hand, but is over already: succeeded")));
}

TEST(QueueMerge, NoOtherStateIsTakenFromPeople) {
  for (const std::string state : {"succeeded", "nonsense"}) {
    const Merged merge = merged(kBase, kBase, with(kBase, "- state: queued", "- state: " + state));
    EXPECT_EQ(merge.text, kBase);
    EXPECT_THAT(merge.requests, IsEmpty());
    EXPECT_THAT(merge.faults, ElementsAre("QUEUE.md line 3: its state was set to '" + state +
                                          "' by hand; only 'cancelled' is taken, so it stays queued"));
  }
}

TEST(QueueMerge, OfTwoValuesTheNewerWinsAndTheOtherIsKept) {
  const std::string ours = with(kBase, "- priority: 5", "- priority: 1"),
                    theirs = with(kBase, "- priority: 5", "- priority: 9");
  const Merged later = merged(kBase, ours, theirs, Newer::theirs);
  EXPECT_EQ(later.text, with(kBase, "- priority: 5", "- priority: 9\n- conflict-priority: 1"));
  EXPECT_THAT(later.requests, ElementsAre(QueueRequest{Kind::values_changed, kA, 0, {"priority"}}));
  const Merged earlier = merged(kBase, ours, theirs, Newer::ours);
  EXPECT_EQ(earlier.text, with(kBase, "- priority: 5", "- priority: 1\n- conflict-priority: 9"));
  EXPECT_THAT(earlier.requests, IsEmpty());
}

TEST(QueueMerge, ATitleIsAValueToo) {
  const Merged merge =
      merged(kBase, with(kBase, kA + " - Task", kA + " - Ours"), with(kBase, kA + " - Task", kA + " - Theirs"));
  EXPECT_THAT(merge.text, HasSubstr("## " + kA + " - Theirs\n"));
  EXPECT_THAT(merge.text, HasSubstr("- conflict-title: Ours\n"));
}

TEST(QueueMerge, OfTwoTextsBothAreKept) {
  const Merged merge = merged(kBase, with(kBase, "Text.", "Ours."), with(kBase, "Text.", "Theirs."));
  EXPECT_EQ(merge.text, with(kBase, "Text.", "Ours.\n\n### Other version\n\nTheirs."));
  EXPECT_THAT(merge.requests, ElementsAre(QueueRequest{Kind::text_changed, kA, 0, {}}));
}

TEST(QueueMerge, AnUnknownFieldIsKeptAndMayBeTakenAway) {
  const std::string base = with(kBase, "- claim:", "- colour: green\n- claim:");
  EXPECT_EQ(merged(base, base, kBase).text, kBase);
  EXPECT_EQ(merged(kBase, kBase, base).text, base);
}

TEST(QueueMerge, ABadEditKeepsItsBytesAndAsksForNothing) {
  const std::string theirs = with(kBase, "- priority: 5", "- priority: high\n- runner shell");
  const Merged merge = merged(kBase, with(kBase, "- state: queued", "- state: running"), theirs);
  EXPECT_EQ(merge.text, with(theirs, "- state: queued", "- state: running"));
  EXPECT_THAT(merge.requests, IsEmpty());
  EXPECT_THAT(merge.faults, testing::Contains(HasSubstr("line 6: priority is 'high'")));
  EXPECT_THAT(merge.faults, testing::Contains(HasSubstr("line 7: '- runner shell' is no field")));
}

TEST(QueueMerge, WhatAnUnresolvedMergeLeftTakesNoFieldAway) {
  const std::string theirs = with(kBase, "- state: queued\n- priority: 5\n",
                                  "<<<<<<< HEAD\n- state: queued\n=======\n- state: lost\n>>>>>>> x\n- priority: 5\n");
  const Merged merge = merged(kBase, with(kBase, "- state: queued", "- state: running"), theirs);
  const QueueFile file = QueueFile::parse(merge.text);
  EXPECT_EQ(file.sections()[0].field("state"), "running");
  EXPECT_EQ(file.sections()[0].field("priority"), "5");
  EXPECT_THAT(merge.text,
              HasSubstr("<<<<<<< HEAD\n- state: queued\n=======\n- state: lost\n>>>>>>> x\n- priority: 5\n"));
  EXPECT_THAT(merge.requests, IsEmpty());
}

TEST(QueueMerge, ACopiedSectionIsKeptAndServesNothing) {
  const Merged merge = merged(kBase, kBase, kBase + task(kA, "queued"));
  EXPECT_EQ(merge.text, kBase + task(kA, "queued"));
  EXPECT_THAT(merge.requests, IsEmpty());
  EXPECT_THAT(merge.faults, ElementsAre(HasSubstr("is also the id of the task in line 3")));
}

TEST(QueueMerge, ASectionThatSucceededAndLeftStaysAwayAndAnEditOfItIsNamed) {
  const std::string ours = kHead + task(kB, "queued");
  EXPECT_EQ(merged(kBase, ours, kBase).text, ours);
  const Merged edited = merged(kBase, ours, with(kBase, "Text.", "More text."));
  EXPECT_EQ(edited.text, ours);
  EXPECT_THAT(edited.faults, ElementsAre(HasSubstr(kA + " was edited, but has left the queue")));
}

TEST(QueueMerge, OrderAndPreambleArePeoples) {
  const std::string theirs = "# My queue\n\n" + task(kB, "queued") + task(kA, "queued");
  EXPECT_EQ(merged(kBase, with(kBase, "- state: queued", "- state: running"), theirs).text,
            "# My queue\n\n" + task(kB, "queued") + task(kA, "running"));
}

TEST(QueueMerge, AFileThatCannotBeReadDeletesNothing) {
  const Merged merge = merged(kBase, kBase, std::string("\xFF\xFE#\0 \0Q\0", 8));
  EXPECT_EQ(merge.text, kBase);
  EXPECT_THAT(merge.requests, IsEmpty());
  EXPECT_THAT(merge.faults, ElementsAre(HasSubstr("line 1: the file is not UTF-8 text")));
}

TEST(QueueMerge, AnEditorThatChangesLineEndsChangesNothingElse) {
  std::string theirs;
  for (const char c : kBase) theirs.append(c == '\n' ? "\r\n" : std::string(1, c));
  const Merged merge = merged(kBase, with(kBase, "- state: queued", "- state: running"), theirs);
  EXPECT_EQ(merge.text, with(theirs, "- state: queued", "- state: running"));
  EXPECT_THAT(merge.requests, IsEmpty());
}

/// Edits of any kind, made by dice.
class Editor {
 public:
  explicit Editor(unsigned seed) : random_(seed) {}

  QueueFile people(QueueFile file) {
    for (unsigned i = 0; i < 4 && !file.sections().empty(); ++i) {
      QueueSection& section = file.section(random_() % file.sections().size());
      switch (random_() % 7) {
        case 0:
          section.set("priority", word());
          break;
        case 1:
          section.set_body("\n" + word() + "\n\n");
          break;
        case 2:
          section.set_heading(section.id(), word());
          break;
        case 3:
          section.set("state", "cancelled");
          break;
        case 4:
          file.remove(random_() % file.sections().size());
          break;
        case 5:
          file.add(QueueSection{"## " + word() + "\n\n" + word() + "\n"});
          break;
        case 6:
          section.erase("priority");
          break;
      }
    }
    return file;
  }

  QueueFile dispatcher(QueueFile file) {
    for (std::size_t i = file.sections().size(); i-- > 0;) {
      QueueSection& section = file.section(i);
      if (section.id().empty()) adopt(section, "t-20260220-" + word(), QueueState::queued, "now");
      static constexpr std::string_view kStates[] = {"queued", "claimed", "running", "succeeded"};
      section.set("state", kStates[random_() % 4]);
      section.set("claim", word());
      if (random_() % 8 == 0) section.set("priority", word());
      if (random_() % 8 == 0) file.remove(i);
    }
    return file;
  }

 private:
  std::string word() { return std::to_string(1'000'000 + random_() % 9'000'000); }
  std::mt19937 random_;
};

TEST(QueueMerge, LosesNothingOfEitherSideWhateverBothDid) {
  std::string text = kHead + "## By hand\n\nText.\n\n";
  for (const std::string& id : {kA, kB, kC}) text.append(task(id, "queued"));
  const QueueFile base = QueueFile::parse(text);
  for (unsigned seed = 1; seed <= 3000; ++seed) {
    SCOPED_TRACE(seed);
    Editor editor(seed);
    const QueueFile ours = editor.dispatcher(base), theirs = editor.people(base);
    const QueueMerge merge = merge_queues(base, ours, theirs, seed % 2 ? Newer::ours : Newer::theirs);
    const auto asked = [&](Kind kind, const std::string& id) {
      return std::any_of(merge.requests.begin(), merge.requests.end(),
                         [&](const QueueRequest& request) { return request.kind == kind && request.id == id; });
    };
    for (const QueueSection& section : ours.sections()) {
      const auto at = merge.merged.find(section.id());
      if (!at) {
        EXPECT_TRUE(asked(Kind::removed, section.id())) << section.text();
        continue;
      }
      const QueueSection& result = merge.merged.sections()[*at];
      EXPECT_EQ(result.field("claim"), section.field("claim"));
      if (asked(Kind::cancel, section.id())) {
        EXPECT_EQ(result.field("state"), "cancelled");
      } else {
        EXPECT_EQ(result.field("state"), section.field("state"));
      }
    }
    const std::string printed = merge.merged.print();
    for (const QueueSection& section : theirs.sections()) {
      const auto known = base.find(section.id());
      if (!section.id().empty() && known && !ours.find(section.id())) continue;  // it has left the queue
      if (section.title() == "By hand") continue;                                // likewise, or it has an id
      EXPECT_THAT(printed, HasSubstr(section.title()));
      EXPECT_THAT(printed, HasSubstr(section.prompt()));
      EXPECT_THAT(printed, HasSubstr(section.field("priority").value_or("")));
    }
    std::vector<std::string> ids;
    for (const QueueSection& section : merge.merged.sections()) {
      if (!section.id().empty()) ids.push_back(section.id());
    }
    std::sort(ids.begin(), ids.end());
    EXPECT_EQ(std::adjacent_find(ids.begin(), ids.end()), ids.end()) << "a task is there twice";
  }
}

}  // namespace
}  // namespace detent
