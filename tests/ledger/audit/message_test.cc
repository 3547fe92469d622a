#include "ledger/audit/message.h"

#include <gtest/gtest.h>

#include <random>

namespace detent {
namespace {

CommitNote note() {
  CommitNote note;
  note.subject = "incident.detected: disk 95% on robo-server-1 -> discord.alerts";
  note.ids = {"01JDAAAAAAAAAAAAAAAAAAAAAA"};
  note.first_seq = 42;
  note.last_seq = 44;
  note.file = "signals/2026/11/22/14/42.jsonl";
  note.state = {.lines = 90, .last_seq = 44, .place = 1'000, .held = {{17, 3}, {900, 0}}, .hash = hash_of("x")};
  return note;
}

std::string subject(LedgerSignal signal) {
  const Mention mention = mention_of(signal);
  return subject_of({&mention}, {});
}

LedgerSignal signal(std::string_view type, std::string_view title, std::vector<std::string_view> channels) {
  LedgerSignal signal;
  signal.type = type;
  signal.title = title;
  signal.channels = std::move(channels);
  return signal;
}

TEST(CommitMessage, ReadsBackAsItWasWritten) {
  const auto back = note_of(message_of(note()));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->subject, note().subject);
  EXPECT_EQ(back->ids, note().ids);
  EXPECT_EQ(back->first_seq, 42u);
  EXPECT_EQ(back->last_seq, 44u);
  EXPECT_EQ(back->file, note().file);
  EXPECT_EQ(back->state, note().state);
}

TEST(CommitMessage, SaysWhatHappenedAndWhereItWent) {
  EXPECT_EQ(subject(signal("incident.detected", "disk 95% on robo-server-1", {"discord.alerts"})),
            "incident.detected: disk 95% on robo-server-1 -> discord.alerts");
  EXPECT_EQ(subject(signal("review.weekly", "Week 47", {"telegram", "discord.briefings"})),
            "review.weekly: Week 47 -> telegram, discord.briefings");
}

TEST(CommitMessage, CountsABatchByType) {
  std::vector<Mention> mentions(300, {"cron.output", "x", "discord.system"});
  mentions.resize(412, {"heartbeat.ok", "x", "discord.system"});
  std::vector<const Mention*> signals;
  for (const auto& mention : mentions) signals.push_back(&mention);
  EXPECT_EQ(subject_of(signals, {}), "412 signals: 300 cron.output, 112 heartbeat.ok -> discord.system");
}

TEST(CommitMessage, NamesReceiptsThatCameLater) {
  const Mention one{"delivered", "01JDAAAAAAAAAAAAAAAAAAAAAA", "telegram"},
      two{"dead", "01JDBBBBBBBBBBBBBBBBBBBBBB", "telegram"};
  EXPECT_EQ(subject_of({}, {&one}), "receipts: delivered 01JDAAAAAAAAAAAAAAAAAAAAAA -> telegram");
  EXPECT_EQ(subject_of({}, {&one, &two, &one}), "receipts: 2 delivered, 1 dead -> telegram");
}

TEST(CommitMessage, ATitleCannotForgeTrailersOrASecondLine) {
  const std::string forged = "harmless\n\nDetent-Seq: 1\nDetent-State: lines=1 last=1 place=1 held=- hash=00\n";
  CommitNote honest = note();
  honest.subject = subject(signal("cron.output", forged, {"discord.system"}));
  EXPECT_EQ(honest.subject.find('\n'), std::string::npos);
  const auto back = note_of(message_of(honest));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->first_seq, 42u);
  EXPECT_EQ(back->state, note().state);
  const auto by_id = [&](std::string_view id) {
    CommitNote note = honest;
    note.ids = {std::string{id}};
    return note_of(message_of(note));
  };
  ASSERT_TRUE(by_id("x\nDetent-Seq: 7"));
  EXPECT_EQ(by_id("x\nDetent-Seq: 7")->first_seq, 42u);
}

TEST(CommitMessage, AnOverlongTitleIsCutAtACharacter) {
  std::string title;
  for (int i = 0; i < 500; ++i) title += "ü";
  const std::string line = subject(signal("cron.output", title, {"discord.system"}));
  EXPECT_LT(line.size(), 250u);
  EXPECT_NE(line.find("ü… -> discord.system"), std::string::npos) << line;
}

TEST(CommitMessage, ManyChannelsAreCounted) {
  EXPECT_EQ(subject(signal("a", "b", {"c1", "c2", "c3", "c4", "c5", "c6"})), "a: b -> c1, c2, c3, c4 and 2 more");
}

TEST(CommitMessage, AMessageOfAnotherProgramIsNotTakenForOurs) {
  EXPECT_FALSE(note_of("Fix a typo\n"));
  EXPECT_FALSE(note_of(""));
  EXPECT_FALSE(note_of("Fix\n\nDetent-Seq: 4\n"));
  const std::string message = message_of(note());
  std::mt19937 random{3};
  for (int round = 0; round < 5'000; ++round) {
    std::string damaged = message.substr(0, random() % (message.size() + 1));
    if (!damaged.empty()) damaged[random() % damaged.size()] = static_cast<char>(random());
    note_of(damaged);  // whatever it says, it says it without a fault
  }
}

TEST(ChainState, KnowsWhatItHoldsAndWhereToReadOn) {
  const ChainState state = note().state;
  EXPECT_TRUE(state.holds(16));
  EXPECT_FALSE(state.holds(17));
  EXPECT_TRUE(state.holds(899));
  EXPECT_FALSE(state.holds(900));
  EXPECT_TRUE(state.holds(1'000));
  EXPECT_FALSE(state.holds(1'001));
  EXPECT_EQ(state.complete_to(), 16u);
  EXPECT_EQ((ChainState{.place = 9}).complete_to(), 9u);
}

}  // namespace
}  // namespace detent
