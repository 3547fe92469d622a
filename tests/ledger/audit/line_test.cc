#include "ledger/audit/line.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "tests/ledger/bench.h"

namespace detent {
namespace {

std::string sealed(const LedgerSignal& signal, Hash& chain, bool first = true) {
  std::string open, out;
  append_open_line(open, signal);
  append_sealed(out, open, first, chain);
  return out;
}

std::string_view without_newline(const std::string& text) { return std::string_view{text}.substr(0, text.size() - 1); }

TEST(Line, HoldsTheReadableFieldsAndTheJournalledBytes) {
  const auto one = test::made(42, "cron.output", "nightly \"backup\"");
  LedgerSignal signal = one.signal(7, 42, test::kNoon);
  signal.labels = {{"host", "robo-server-1"}, {"ü", "\n"}};
  signal.needs_response = true;
  Hash chain{};
  const std::string text = sealed(signal, chain);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  const auto fields = boost::json::parse(text).as_object();
  EXPECT_EQ(fields.at("seq").as_int64(), 42);
  EXPECT_EQ(fields.at("type").as_string(), "cron.output");
  EXPECT_EQ(fields.at("title").as_string(), "nightly \"backup\"");
  EXPECT_EQ(fields.at("body").as_string(), "a body\nof two lines");
  EXPECT_EQ(fields.at("journalled").as_string(), "2026-11-22T12:00:00.000Z");
  EXPECT_TRUE(fields.at("needs_response").as_bool());
  EXPECT_EQ(fields.at("labels").as_object().at("ü").as_string(), "\n");
  EXPECT_EQ(fields.at("channels").as_array().size(), 1u);
  const auto line = parse_line(without_newline(text));
  ASSERT_TRUE(line) << line.error().what;
  EXPECT_EQ(line->raw, one.raw);
  EXPECT_EQ(line->before, Hash{});
  EXPECT_EQ(line->hash, chain);
  EXPECT_EQ(link(Hash{}, line->hashed), line->hash);
}

TEST(Line, AReceiptSaysWhatBecameOfItsSignal) {
  LedgerReceipt receipt;
  receipt.seq = 42;
  receipt.id = "01JD";
  receipt.channel = "telegram";
  receipt.state = ReceiptState::dead;
  receipt.cause = "403 Forbidden";
  std::string open, text;
  append_open_line(open, receipt);
  Hash chain = hash_of("before");
  append_sealed(text, open, false, chain);
  const auto line = parse_line(without_newline(text));
  ASSERT_TRUE(line) << line.error().what;
  EXPECT_TRUE(line->receipt);
  EXPECT_EQ(line->seq, 42u);
  EXPECT_EQ(line->channel, "telegram");
  EXPECT_EQ(boost::json::parse(text).as_object().at("receipt").as_string(), "dead");
  EXPECT_FALSE(line->before);
}

TEST(Line, AFlippedBitIsFound) {
  Hash chain = hash_of("before");
  const std::string text = sealed(test::made(1).signal(1, 1, test::kNoon), chain);
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    for (const int bit : {0, 1, 4, 5}) {
      std::string other = text;
      other[i] = static_cast<char>(other[i] ^ 1 << bit);
      const auto line = parse_line(without_newline(other));
      EXPECT_TRUE(!line || link(hash_of("before"), line->hashed) != line->hash || line->hash != chain) << i;
    }
  }
}

TEST(Line, ALineCutShortOrNotJsonIsAnError) {
  Hash chain{};
  const std::string text = sealed(test::made(1).signal(1, 1, test::kNoon), chain);
  for (std::size_t length = 0; length + 1 < text.size(); ++length)
    EXPECT_FALSE(parse_line(text.substr(0, length))) << length;
}

}  // namespace
}  // namespace detent
