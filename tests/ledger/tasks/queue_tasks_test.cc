#include "ledger/tasks/queue_tasks.h"

#include <gtest/gtest.h>

#include "base/units.h"
#include "ledger/tasks/queue_values.h"
#include "ledger/tasks/task_id.h"

namespace detent {
namespace {

std::vector<std::string> faults_of(std::string_view text) {
  std::vector<std::string> faults;
  for (const QueueFault& fault : read_queue(QueueFile::parse(text)).faults) faults.push_back(describe(fault));
  return faults;
}

constexpr std::string_view kSound = "\n## 01JDZ8Q6M3T5V7W9X1Y3Z5A7B9 - Sound\n\n- state: queued\n\nText.\n";

/// That `text` is the one bad task beside a sound one, which is served.
void expect_fault(std::string_view text, std::string_view fault) {
  const std::string whole = std::string{text} + std::string{kSound};
  const QueueReading reading = read_queue(QueueFile::parse(whole));
  ASSERT_EQ(reading.tasks.size(), 1u) << text;
  EXPECT_EQ(reading.tasks[0].title, "Sound");
  ASSERT_GE(reading.faults.size(), 1u) << text;
  EXPECT_EQ(describe(reading.faults[0]), "QUEUE.md line " + std::string{fault});
}

TEST(QueueTasks, EachFieldIsRead) {
  const QueueReading reading =
      read_queue(QueueFile::parse("## 01jdz8q6m3t5v7w9x1y3z5a7b9 — Weekly review\r\n"
                                  "\r\n"
                                  "- State: queued\r\n"
                                  "- priority: -5\r\n"
                                  "- runner: shell\r\n"
                                  "- created: 2026-02-19T10:00:00Z by main\r\n"
                                  "- not_before: 2026-02-20 08:30 +01:00\r\n"
                                  "- after: t-20260218-aaaa, 01JDZ8Q6M3T5V7W9X1Y3Z5A7B8\r\n"
                                  "- timeout: 4h\r\n"
                                  "- retries: 3\r\n"
                                  "- labels: gpu=yes, place=the attic\r\n"
                                  "- claim: worker-1 epoch=2 since 2026-02-19T10:07:00Z\r\n"
                                  "\r\n"
                                  "Task text.\r\n"));
  ASSERT_TRUE(reading.faults.empty()) << describe(reading.faults[0]);
  ASSERT_EQ(reading.tasks.size(), 1u);
  QueueTask wanted;
  wanted.id = "01JDZ8Q6M3T5V7W9X1Y3Z5A7B9";
  wanted.title = "Weekly review";
  wanted.state = QueueState::queued;
  wanted.priority = -5;
  wanted.runner = "shell";
  wanted.created = "2026-02-19T10:00:00Z by main";
  wanted.not_before = Millis{1'771'572'600'000};
  wanted.after = {"t-20260218-aaaa", "01JDZ8Q6M3T5V7W9X1Y3Z5A7B8"};
  wanted.timeout = std::chrono::hours{4};
  wanted.retries = 3;
  wanted.labels = {{"gpu", "yes"}, {"place", "the attic"}};
  wanted.claim = "worker-1 epoch=2 since 2026-02-19T10:07:00Z";
  wanted.text = "Task text.";
  wanted.line = 1;
  EXPECT_EQ(reading.tasks[0], wanted);
}

TEST(QueueTasks, ASectionMadeOfATaskIsReadBackAsThatTask) {
  QueueTask task;
  task.id = "01JDZ8Q6M3T5V7W9X1Y3Z5A7B9";
  task.title = "- a title: with marks -";
  task.state = QueueState::timed_out;
  task.priority = 7;
  task.runner = "openclaw";
  task.created = "2026-02-19T10:00:00Z by main";
  task.not_before = Millis{1'771'572'600'000};
  task.after = {"01JDZ8Q6M3T5V7W9X1Y3Z5A7B8"};
  task.timeout = Millis{90'000};
  task.retries = 2;
  task.labels = {{"gpu", "yes"}, {"place", "the attic"}};
  task.text = "## All of it";
  QueueFile file = QueueFile::parse(kEmptyQueue);
  file.add(section_of(task, "\n"));
  const QueueReading reading = read_queue(QueueFile::parse(file.print()));
  ASSERT_EQ(reading.tasks.size(), 1u);
  task.line = reading.tasks[0].line;
  EXPECT_EQ(reading.tasks[0], task);
}

TEST(QueueTasks, AHandWrittenHeadingWithTextIsATaskAndIsGivenAnIdByOneLineAndFields) {
  QueueFile file = QueueFile::parse("# Queue\n\n## Do X\n\nIt matters.\n");
  const QueueReading reading = read_queue(file);
  ASSERT_EQ(reading.tasks.size(), 1u);
  EXPECT_EQ(reading.tasks[0].id, "");
  EXPECT_EQ(reading.tasks[0].state, std::nullopt);
  adopt(file.section(0), "01JDZ8Q6M3T5V7W9X1Y3Z5A7B9", QueueState::queued, "2026-02-19T10:00:00Z by hand");
  EXPECT_EQ(file.print(),
            "# Queue\n\n## 01JDZ8Q6M3T5V7W9X1Y3Z5A7B9 - Do X\n\n- state: queued\n- created: 2026-02-19T10:00:00Z by "
            "hand\n\nIt matters.\n");
}

TEST(QueueTasks, ATextThatIsAListIsNoFields) {
  const QueueReading reading = read_queue(QueueFile::parse("## Shopping\n\n- milk: two\n- bread\n"));
  EXPECT_TRUE(reading.faults.empty());
  ASSERT_EQ(reading.tasks.size(), 1u);
  EXPECT_EQ(reading.tasks[0].text, "- milk: two\n- bread");
}

TEST(QueueTasks, ABadLineIsNamedAndTheRestIsServed) {
  expect_fault("# Q\n\n## a\n\n- state: queued\n- priority 5\n\ntext\n",
               "6: '- priority 5' is no field; write it as '- name: value', or put a blank line before it");
  expect_fault("## a\n- runer: shell\n\ntext\n", "2: there is no field 'runer'; did you mean 'runner'?");
  expect_fault("## a\n- runner: a\n- runner: b\n\ntext\n", "3: the field 'runner' is given twice; keep one of them");
  expect_fault("## a\n\n- runner: a\n\n- timeout: 4h\n\ntext\n",
               "5: the field 'timeout' stands behind the blank line that ends the fields; move it up");
}

TEST(QueueTasks, ABadValueIsNamedWithWhatItMustBe) {
  expect_fault("## a\n\n- state: done\n\ntext\n",
               "3: state is 'done'; it must be one of queued, running, succeeded, failed, timed_out, cancelled, lost");
  expect_fault("## a\n\n- state:\n- priority: high\n\ntext\n",
               "4: priority is 'high'; it must be a whole number, higher ones first");
  expect_fault("## a\n\n- not-before: tomorrow\n\ntext\n",
               "3: not-before is 'tomorrow'; it must be a moment such as 2026-02-19T10:00:00Z");
  expect_fault("## a\n\n- timeout: long\n\ntext\n", "3: timeout is 'long'; it must be a duration such as 90m or 4h");
  expect_fault("## a\n\n- retries: -1\n\ntext\n", "3: retries is '-1'; it must be a whole number from 0 to 1000");
  expect_fault("## a\n\n- after: the other\n\ntext\n",
               "3: after is 'the'; it must be ids of tasks, with commas between");
  expect_fault("## a\n\n- labels: gpu\n\ntext\n",
               "3: labels is 'gpu'; it must be of the form key=value, with commas between");
}

TEST(QueueTasks, ATaskWithoutTextIsAFaultUntilItIsOver) {
  expect_fault("## Do X\n\n", "1: the task 'Do X' has no text; write below its heading what is to be done");
  expect_fault("## \n\ntext\n", "1: the heading has no words; say in it what is to be done");
  EXPECT_TRUE(faults_of("## t-20260219-k3f9 - a\n\n- state: succeeded\n").empty());
}

TEST(QueueTasks, OfTwoEqualIdsTheFirstStaysValid) {
  const QueueReading reading = read_queue(QueueFile::parse(
      "## t-20260219-k3f9 - a\n\n- state: queued\n\none\n\n## t-20260219-k3f9 - b\n\n- state: queued\n\ntwo\n"));
  ASSERT_EQ(reading.tasks.size(), 1u);
  EXPECT_EQ(reading.tasks[0].title, "a");
  ASSERT_EQ(reading.faults.size(), 1u);
  EXPECT_EQ(describe(reading.faults[0]),
            "QUEUE.md line 7: t-20260219-k3f9 is also the id of the task in line 1, which is the one that counts; "
            "delete this "
            "one, or its id to make it a task of its own");
  EXPECT_EQ(reading.faults[0].section, 1u);
}

TEST(QueueTasks, WhatAnUnresolvedMergeLeftCostsTheTasksItIsIn) {
  const QueueReading reading = read_queue(QueueFile::parse(
      "## a\n\none\n<<<<<<< HEAD\n\n## b\n\ntwo\n=======\n\n## c\n\nthree\n>>>>>>> main\n\n## d\n\nfour\n"));
  ASSERT_EQ(reading.tasks.size(), 1u);
  EXPECT_EQ(reading.tasks[0].title, "d");
  EXPECT_EQ(describe(reading.faults[0]),
            "QUEUE.md line 4: '<<<<<<< HEAD' is what an unresolved merge left; resolve it by hand");
  EXPECT_EQ(describe(reading.faults[1]),
            "QUEUE.md line 6: the task is part of the unresolved merge that begins in line 4");
}

TEST(QueueTasks, ConflictMarkersInAFenceAreText) {
  EXPECT_TRUE(faults_of("## a\n\n```\n<<<<<<< HEAD\n```\n").empty());
  EXPECT_TRUE(faults_of("## a\n\nTitle\n=======\n").empty());
}

TEST(QueueTasks, AFileInUtf16IsSaidToBe) {
  const auto faults = faults_of(std::string("\xFF\xFE#\0\n\0", 6));
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0], "QUEUE.md line 1: the file is not UTF-8 text and nothing in it is read; save it as UTF-8");
}

TEST(QueueTasks, MomentsAreReadAsPeopleWriteThem) {
  const Millis morning{1'771'491'600'000};  // 2026-02-19T09:00:00Z
  for (const char* text : {"2026-02-19T09:00:00Z", "2026-02-19 09:00", "2026-02-19T10:00:00+01:00",
                           "2026-02-19 03:30-05:30", "2026-02-19t09:00:00.000z", "2026-02-19 09:00 UTC"})
    EXPECT_EQ(parse_moment(text), morning) << text;
  EXPECT_EQ(parse_moment("2026-02-19"), morning - std::chrono::hours{9});
  EXPECT_EQ(parse_moment("2026-02-19T09:00:00.2575Z"), morning + Millis{257});
  for (const char* text : {"", "2026-2-19", "2026-02-30", "2026-02-19T24:00Z", "2026-02-19T09:00 CET",
                           "2026-02-19T09:00:00.Z", "2026-02-19T09:00+1"})
    EXPECT_EQ(parse_moment(text), std::nullopt) << text;
}

TEST(QueueTasks, ADurationIsWrittenInTheLargestUnitThatFits) {
  for (const Millis span : {Millis{1}, Millis{1500}, Millis{90'000}, Millis{7'200'000}, Millis{86'400'000}, Millis{0}})
    EXPECT_EQ(parse_duration(duration_text(span)), span);
  EXPECT_EQ(duration_text(Millis{14'400'000}), "4h");
}

TEST(TaskId, IsAUlidOrMadeByHandAndAlwaysSafeAsAFilesName) {
  EXPECT_EQ(task_id("01jdz8q6m3t5v7w9x1y3z5a7b9"), "01JDZ8Q6M3T5V7W9X1Y3Z5A7B9");
  EXPECT_EQ(task_id("t-20260219-k3f9"), "t-20260219-k3f9");
  for (const char* word : {"", "t", "t-2026-k3f9", "t-20260219-", "t-20260219-k3/9", "../20260219-k3f9",
                           "T-20260219-k3f9", "Publish", "01JDZ8Q6M3T5V7W9X1Y3Z5A7B", "81JDZ8Q6M3T5V7W9X1Y3Z5A7B9"})
    EXPECT_EQ(task_id(word), std::nullopt) << word;
}

}  // namespace
}  // namespace detent
