#include "ledger/tasks/result_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace detent {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Fault = FrontMatter::Fault;

TaskResult full() {
  TaskResult result;
  result.id = "01JDZ8Q6M3T5V7W9X1Y3Z5A7B9";
  result.title = "Weekly: the \"review\" # 7";
  result.runner = "openclaw";
  result.worker = "worker-1";
  result.epoch = 3;
  result.state = "timed_out";
  result.started = Millis{1'771'491'600'123};
  result.ended = Millis{1'771'495'200'123};
  result.took = std::chrono::hours{1};
  result.exit_code = -15;
  result.needs_response = true;
  result.severity = "warning";
  result.output_bytes = 104'857'600;
  result.output_sha256 = std::string(64, 'f');
  result.error = "no answer within 1h";
  result.body = "---\nneeds_response: false\n---\n\n# Review\n\nAll is well.\n";
  return result;
}

TEST(ResultFile, IsAFrontMatterThatPeopleCanReadAndTheAnswer) {
  EXPECT_EQ(print_result(full()),
            "---\n"
            "id: 01JDZ8Q6M3T5V7W9X1Y3Z5A7B9\n"
            "title: \"Weekly: the \\\"review\\\" # 7\"\n"
            "runner: openclaw\n"
            "worker: worker-1\n"
            "epoch: 3\n"
            "state: timed_out\n"
            "started: 2026-02-19T09:00:00.123Z\n"
            "ended: 2026-02-19T10:00:00.123Z\n"
            "took: 1h\n"
            "exit_code: -15\n"
            "needs_response: true\n"
            "severity: warning\n"
            "output_bytes: 104857600\n"
            "output_sha256: " +
                std::string(64, 'f') +
                "\n"
                "error: no answer within 1h\n"
                "---\n"
                "\n"
                "---\nneeds_response: false\n---\n\n# Review\n\nAll is well.\n");
}

TEST(ResultFile, IsReadBackAsItWasWritten) {
  TaskResult few;
  few.id = "t-20260219-k3f9";
  few.state = "failed";
  TaskResult odd = few;
  for (const std::string title : {"true", "- a", "'", "#", "a: b", "ends:", "ü", "[x]", "null", "1e3", "\\", "a #b"}) {
    odd.title = title;
    EXPECT_EQ(read_result(print_result(odd)).result, odd) << title;
  }
  for (const TaskResult& result : {full(), few}) {
    const ResultReading reading = read_result(print_result(result));
    EXPECT_EQ(reading.result, result);
    EXPECT_THAT(reading.faults, IsEmpty());
  }
}

TEST(ResultFile, ATitleThatYamlWouldTakeForSomethingElseIsQuoted) {
  TaskResult result;
  for (const std::string title : {"yes", "null", "2026-11-22", "12:30", "0x1F", "1e3", "7", "a: b", "- a", "a #b"}) {
    result.title = title;
    EXPECT_NE(print_result(result).find("title: \"" + title + "\"\n"), std::string::npos) << title;
  }
  result.title = "3 reviews";
  EXPECT_NE(print_result(result).find("title: 3 reviews\n"), std::string::npos);
}

TEST(ResultFile, ALineBreakInATitleMakesNoEntryOfItsOwn) {
  TaskResult result = full();
  result.title = "a\n---\nneeds_response: true";
  EXPECT_EQ(read_result(print_result(result)).result.title, "a --- needs_response: true");
}

TEST(ResultFile, WhatIsMalformedIsNamedByItsLineAndTheRestIsRead) {
  const ResultReading reading = read_result(
      "---\nid: ../../etc\nepoch: two\nstate: done\nexit_code: 0\nneeds_response: maybe\nwhat is this\ntitle: "
      "\"open\nid: x\n---\nBody");
  EXPECT_EQ(reading.result.exit_code, 0);
  EXPECT_EQ(reading.result.id, "");
  EXPECT_EQ(reading.result.body, "Body");
  EXPECT_THAT(reading.faults,
              ElementsAre(Fault{7, "'what is this' is no 'key: value'"}, Fault{8, "the quotes of 'title' do not close"},
                          Fault{9, "'id' is given twice; the first counts"},
                          Fault{2, "id is '../../etc'; it must be the id of a task"},
                          Fault{3, "epoch is 'two'; it must be a whole number"},
                          Fault{4, "state is 'done'; it must be a state"},
                          Fault{6, "needs_response is 'maybe'; it must be true or false"}));
}

TEST(ResultFile, AFileWithoutAFrontMatterIsAllBody) {
  for (const std::string text :
       {"", "text", "---", "---\nid: t-20260219-k3f9\nnever closed", "---\n\ntext\n\n---\n", "---\n---\n"}) {
    const ResultReading reading = read_result(text);
    EXPECT_EQ(reading.result.body, text);
    EXPECT_THAT(reading.faults, ElementsAre(Fault{1, "the file has no front matter between two lines of '---'"}))
        << text;
  }
}

TEST(RunnerAnswer, SaysThatItNeedsAResponse) {
  const RunnerAnswer answer =
      read_answer("---\nneeds_response: true\nseverity: error\ntitle: 'Shall I?'\n---\n\nShall I go on?\n");
  EXPECT_TRUE(answer.needs_response);
  EXPECT_EQ(answer.severity, 3);
  EXPECT_EQ(answer.title, "Shall I?");
  EXPECT_EQ(answer.body, "Shall I go on?\n");
  EXPECT_THAT(answer.faults, IsEmpty());
}

TEST(RunnerAnswer, IsReadWithCarriageReturnsAndAByteOrderMark) {
  const RunnerAnswer answer = read_answer("\xEF\xBB\xBF\r\n---\r\nneeds_response: YES  # please\r\n...\r\nText\r\n");
  EXPECT_TRUE(answer.needs_response);
  EXPECT_EQ(answer.body, "Text\r\n");
  EXPECT_THAT(answer.faults, IsEmpty());
}

TEST(RunnerAnswer, AHeadThatSaysMoreIsObeyedAndStays) {
  const std::string text = "---\nlayout: post\ntags:\n  - a\n- b\nneeds_response: true\n---\nText\n";
  const RunnerAnswer answer = read_answer(text);
  EXPECT_TRUE(answer.needs_response);
  EXPECT_EQ(answer.body, text);
  EXPECT_THAT(answer.faults, IsEmpty());
}

TEST(RunnerAnswer, WithoutSuchAFrontMatterIsLeftWhole) {
  for (const std::string text :
       {"needs_response: true", "---\nA rule, and text.\n---\n", "---\nlayout: post\ntitle: A post\n---\ntext",
        "text\n---\nneeds_response: true\n---\n", "---\nneeds_response: true\n"}) {
    const RunnerAnswer answer = read_answer(text);
    EXPECT_FALSE(answer.needs_response) << text;
    EXPECT_EQ(answer.body, text);
  }
}

TEST(RunnerAnswer, AnUnknownSeverityIsNamedAndTheResponseStillAskedFor) {
  const RunnerAnswer answer = read_answer("---\nneeds_response: true\nseverity: terrible\n---\n");
  EXPECT_TRUE(answer.needs_response);
  EXPECT_EQ(answer.severity, std::nullopt);
  EXPECT_THAT(
      answer.faults,
      ElementsAre(Fault{3, "severity is 'terrible'; it must be one of info, notice, warning, error, critical"}));
}

}  // namespace
}  // namespace detent
