#include "ledger/tasks/queue_file.h"

#include <gtest/gtest.h>

#include <random>

#include "ledger/tasks/queue_tasks.h"

namespace detent {
namespace {

const std::string kQueue =
    "# Worker queue\n"
    "<!-- queue-format: 1 -->\n"
    "\n"
    "Free text here is kept as is.\n"
    "\n"
    "## t-20260219-k3f9 - Weekly review\n"
    "\n"
    "- state: queued\n"
    "- priority: 5\n"
    "- colour:  green \n"
    "- runner: shell\n"
    "- claim:\n"
    "\n"
    "Review the week.\n"
    "\n"
    "### How\n"
    "\n"
    "With care.\n"
    "\n"
    "## 01JDZ8Q6M3T5V7W9X1Y3Z5A7B9 - Publish\n"
    "\n"
    "- state: running\n"
    "\n"
    "Publish it.\n";

std::string with(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

TEST(QueueFile, PrintsWhatItReadByteForByte) {
  const std::string cases[] = {
      "",
      "\n",
      "no newline",
      "## ",
      "##",
      "##x\n",
      "## a",
      "\xEF\xBB\xBF",
      "\xEF\xBB\xBF## a\n\ntext",
      kQueue,
      with(kQueue, "\n", "\r\n"),
      kQueue.substr(0, kQueue.size() - 1),
      std::string("## a\n\0\n- state: \xFF\xFE\n", 20),
      "## a\n```\n## b\n",
      "<<<<<<< HEAD\n## a\n=======\n## b\n>>>>>>> x\n",
      "## a\r\n- state: queued\n\r\r\n- b: c\r",
  };
  for (const std::string& text : cases) EXPECT_EQ(QueueFile::parse(text).print(), text);
}

TEST(QueueFile, PrintsAnyMixtureOfItsOwnPiecesByteForByte) {
  const std::string_view pieces[] = {"## ",         "\n",      "\r\n", "- state: queued", "- a: b",    "```",
                                     "~~~~",        "<!--",    "-->",  "<<<<<<< x",       ">>>>>>> y", "\t",
                                     "### c",       "    ## ", "\0x",  "t-20260219-k3f9", " - ",       "text",
                                     "\xEF\xBB\xBF"};
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (unsigned i = random() % 40; i > 0; --i) text.append(pieces[random() % std::size(pieces)]);
    const QueueFile file = QueueFile::parse(text);
    ASSERT_EQ(file.print(), text);
    (void)read_queue(file);
  }
}

TEST(QueueFile, ASectionHasItsIdTitleFieldsAndBody) {
  const QueueFile file = QueueFile::parse(kQueue);
  ASSERT_EQ(file.sections().size(), 2u);
  const QueueSection& review = file.sections()[0];
  EXPECT_EQ(review.id(), "t-20260219-k3f9");
  EXPECT_EQ(review.title(), "Weekly review");
  EXPECT_EQ(review.field("colour"), "green");
  EXPECT_EQ(review.field("claim"), "");
  EXPECT_EQ(review.field("timeout"), std::nullopt);
  EXPECT_EQ(review.prompt(), "Review the week.\n\n### How\n\nWith care.");
  EXPECT_EQ(file.line_of(0), 6u);
  EXPECT_EQ(file.line_of(1), 20u);
  EXPECT_EQ(file.find("01JDZ8Q6M3T5V7W9X1Y3Z5A7B9"), 1u);
  EXPECT_EQ(file.find("01JDZ8Q6M3T5V7W9X1Y3Z5A7B8"), std::nullopt);
}

TEST(QueueFile, SettingAFieldChangesItsLineAlone) {
  for (const std::string& text : {kQueue, with(kQueue, "\n", "\r\n")}) {
    QueueFile file = QueueFile::parse(text);
    file.section(0).set("claim", "worker-1 epoch=2");
    file.section(0).set("state", "claimed");
    EXPECT_EQ(file.print(),
              with(with(text, "- claim:", "- claim: worker-1 epoch=2"), "- state: queued", "- state: claimed"));
    file.section(0).set("claim", "");
    file.section(0).set("state", "queued");
    EXPECT_EQ(file.print(), text);
  }
}

TEST(QueueFile, SettingAFieldToWhatItIsChangesNothing) {
  QueueFile file = QueueFile::parse(kQueue);
  file.section(0).set("colour", "green");
  EXPECT_EQ(file.print(), kQueue);
}

TEST(QueueFile, AMissingFieldIsAddedWhereItBelongs) {
  QueueFile file = QueueFile::parse(kQueue);
  file.section(0).set("timeout", "4h");
  file.section(0).set("conflict-priority", "9");
  EXPECT_EQ(file.print(), with(with(kQueue, "- runner: shell\n", "- runner: shell\n- timeout: 4h\n"), "- priority: 5\n",
                               "- priority: 5\n- conflict-priority: 9\n"));
}

TEST(QueueFile, TheFirstFieldIsSetOffByBlankLines) {
  const auto after = [](std::string text) {
    QueueFile file = QueueFile::parse(text);
    file.section(0).set("state", "queued");
    return file.print();
  };
  EXPECT_EQ(after("## a\n\ntext\n"), "## a\n\n- state: queued\n\ntext\n");
  EXPECT_EQ(after("## a\ntext"), "## a\n\n- state: queued\n\ntext");
  EXPECT_EQ(after("## a\r\n\r\n- milk\r\n"), "## a\r\n\r\n- state: queued\r\n\r\n- milk\r\n");
  EXPECT_EQ(after("## a"), "## a\n\n- state: queued\n");
  EXPECT_EQ(after("## a\n\n## b\n"), "## a\n\n- state: queued\n## b\n");
}

TEST(QueueFile, ALineBreakInAValueBecomesABlank) {
  QueueFile file = QueueFile::parse(kQueue);
  file.section(0).set("claim", "a\nb\r\n");
  EXPECT_EQ(QueueFile::parse(file.print()).sections()[0].field("claim"), "a b");
}

TEST(QueueFile, WhatIsInAFenceOrACommentIsNoHeading) {
  const QueueFile file = QueueFile::parse(
      "<!-- an example:\n## Not a task\n-->\n## a\n\n```sh\n## a comment\n````\n\n~~~\n```\n## neither\n~~~ \n## "
      "b\n\ntext\n");
  ASSERT_EQ(file.sections().size(), 2u);
  EXPECT_EQ(file.sections()[1].title(), "b");
  EXPECT_TRUE(read_queue(file).faults.empty());
}

TEST(QueueFile, AForgottenFenceHidesNoTaskBehindIt) {
  const QueueFile file = QueueFile::parse("## a\n\n```\ncode\n\n## t-20260219-k3f9 - b\n\n```\nmore\n```\n");
  ASSERT_EQ(file.sections().size(), 2u);
  const QueueReading reading = read_queue(file);
  ASSERT_EQ(reading.tasks.size(), 1u);
  EXPECT_EQ(reading.tasks[0].text, "```\nmore\n```");
  ASSERT_EQ(reading.faults.size(), 1u);
  EXPECT_EQ(describe(reading.faults[0]),
            "QUEUE.md line 3: '```' opens what nothing closes in this task; close it or indent it");
}

TEST(QueueFile, ATaskIsAddedBehindABlankLineAndTakenOutWhole) {
  for (const std::string& text :
       {kQueue, kQueue.substr(0, kQueue.size() - 1), std::string{kEmptyQueue}, std::string{}}) {
    QueueFile file = QueueFile::parse(text);
    const std::size_t before = file.sections().size();
    QueueTask task;
    task.id = "01JDZ8Q6M3T5V7W9X1Y3Z5A7B0";
    task.title = "Sweep";
    task.text = "Sweep the floor.";
    file.add(section_of(task, file.line_end()));
    EXPECT_TRUE(
        file.print().ends_with("## 01JDZ8Q6M3T5V7W9X1Y3Z5A7B0 - Sweep\n\n- state: queued\n- runner:\n- created:\n- "
                               "claim:\n\nSweep the floor.\n"));
    ASSERT_EQ(QueueFile::parse(file.print()).sections().size(), before + 1);
    EXPECT_EQ(before > 0, file.print().find("it.\n\n## 01JDZ8Q6M3T5V7W9X1Y3Z5A7B0") != std::string::npos);
    file.remove(before);
    EXPECT_EQ(QueueFile::parse(file.print()).sections().size(), before);
    EXPECT_TRUE(file.print().starts_with(text));
  }
}

TEST(QueueFile, AddedLinesEndAsTheFilesDo) {
  QueueFile file = QueueFile::parse("# Queue\r\n\r\n## a\r\n\r\ntext");
  QueueTask task;
  task.id = "01JDZ8Q6M3T5V7W9X1Y3Z5A7B0";
  task.text = "one\ntwo";
  file.add(section_of(task, file.line_end()));
  const std::string text = file.print();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), std::count(text.begin(), text.end(), '\r'));
  EXPECT_EQ(read_queue(QueueFile::parse(text)).tasks[1].text, "one\ntwo");
}

TEST(QueueFile, AnyPromptIsReadBackAsItWas) {
  const std::string prompts[] = {
      "plain",
      "two\n\nparagraphs",
      "## a heading of the file's own kind\ntext",
      "```\nan open fence",
      "```\n## closed\n```",
      "<!-- open",
      "<<<<<<< HEAD\na\n=======\nb\n>>>>>>> c",
      "- state: succeeded\n- claim: me",
      "\n\nblank lines first",
      "    all\n    indented",
      "    \n",
      "blank lines last\n\n\n",
      "## t-20260219-k3f9 - someone's task\n\n- state: queued",
  };
  for (const std::string& prompt : prompts) {
    QueueTask task;
    task.id = "01JDZ8Q6M3T5V7W9X1Y3Z5A7B0";
    task.text = prompt;
    QueueFile file = QueueFile::parse(kQueue);
    file.insert(1, section_of(task, "\n"));
    const QueueReading reading = read_queue(QueueFile::parse(file.print()));
    ASSERT_EQ(reading.tasks.size(), 3u) << prompt;
    EXPECT_TRUE(reading.faults.empty()) << prompt << describe(reading.faults[0]);
    // The end of the last line is no part of what is said.
    EXPECT_EQ(reading.tasks[1].text, prompt.ends_with('\n') ? prompt.substr(0, prompt.size() - 1) : prompt);
  }
}

TEST(QueueFile, AnOrdinaryPromptIsWrittenAsItIs) {
  EXPECT_EQ(prompt_body("Do it.\n\n- a\n- b: c", "\n"), "\nDo it.\n\n- a\n- b: c\n");
  EXPECT_EQ(prompt_body("## Do it.", "\n"), "\n    ## Do it.\n");
}

}  // namespace
}  // namespace detent
