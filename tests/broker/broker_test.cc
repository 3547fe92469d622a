// The whole broker: the loop, its threads, the journal, the dead letters and the ledger together.
#include <gmock/gmock.h>

#include "base/crc32c.h"
#include "broker/config.h"
#include "ledger/audit/audit_reader.h"
#include "ledger/config.h"
#include "tests/running/running.h"

namespace detent::test {
namespace {

using testing::HasSubstr;

const std::string kChannel = "discord.chat";

const std::string kWhole(200 << 10, 'x');  // a body that fills a segment

/// Publishes `count` signals, each of which has a segment of its own; returns them.
std::vector<std::string> publish_segments(Caller& caller, int count) {
  std::vector<std::string> signals;
  for (int i = 0; i < count; ++i) {
    signals.push_back(signal_of("number " + std::to_string(i + 1), kWhole));
    caller.publish({signals.back()});
  }
  return signals;
}

bool is_in_the_ledger(const boost::json::value& status) {
  return status.at("ledger").at("behind").to_number<int>() == 0;
}

uint64_t segments(const boost::json::value& status) {
  return status.at("journal").at("segments").to_number<uint64_t>();
}

TEST(Broker, SaysThatUndeliveredSignalsAreMissingFromTheJournal) {
  Running running;
  running.start();
  {
    Caller caller(running.endpoint());
    publish_segments(caller, 4);
  }
  running.stop();  // with a snapshot
  running.disk.remove("state/journal/" + running.files("journal").front()).value();
  running.start();
  auto status = running.status();
  EXPECT_THAT(boost::json::serialize(status.at("alarms")), HasSubstr("damage/journal"));
  running.stop();
  running.start();
  ASSERT_TRUE(running.wait_for([](const auto& now) { return now.at("alarms").as_array().empty(); }));
}

TEST(Broker, AnswersAQuestionWithAnOddNumber) {
  Running running;
  running.start();
  Caller caller(running.endpoint());
  for (const auto& number :
       {boost::json::value(-1), boost::json::value(1.5), boost::json::value(1e30), boost::json::value("1")}) {
    EXPECT_EQ(caller.ask({{"command", "dead.show"}, {"delivery", number}}),
              "\"delivery\" must be a dead letter's number");
  }
}

TEST(Broker, KeepsASegmentUntilTheDeadLetterInItIsWritten) {
  Running running;
  running.start();
  {
    Caller producer(running.endpoint());
    publish_segments(producer, 5);
    ASSERT_TRUE(running.wait_for(
        [&](const auto& status) { return is_in_the_ledger(status) && running.files("ids").size() >= 3; }));
  }

  Caller caller(running.endpoint(), Link::Role::Consumer, {kChannel});
  caller.credit(kChannel, 1);
  ASSERT_TRUE(caller.until([&] { return caller.deliveries.size() == 1; }));
  // While the loop reads the next body, the first delivery is given up and the time comes to look after segments: one
  // turn sees both.
  running.disk.close_gate();
  caller.credit(kChannel, 1);
  ASSERT_TRUE(caller.until([&] { return running.disk.held_up() > 0; }));
  caller.give_up(kChannel, caller.deliveries.front().id());
  caller.until([start = system_now().mono] { return system_now().mono - start > Millis{1200}; });
  running.disk.open_gate();

  boost::json::value letter;
  Caller asking(running.endpoint());
  ASSERT_TRUE(asking.until([&] {
    letter = asking.ask({{"command", "dead.show"}, {"delivery", 1}});
    return letter.is_object();
  })) << letter;
  EXPECT_EQ(letter.at("cause").as_string(), "400");
  EXPECT_TRUE(letter.at("signals").at(0).at("body").as_string().starts_with(kWhole.substr(0, 64 << 10)));
}

bool stands(const boost::json::value& status, std::string_view alarm) {
  const auto& alarms = status.at("alarms").as_array();
  return std::any_of(alarms.begin(), alarms.end(),
                     [&](const auto& one) { return one.at("name").as_string() == alarm; });
}

/// No file of the journal can be opened or read, as with the descriptors used up or a disk that hangs for a moment.
MemoryDisk::Failing segments_fail(int code) {
  return [code](Call call, const std::string& path) {
    const bool reads = call == Call::kOpen || call == Call::kRead;
    return reads && path.starts_with("state/journal/") && path.ends_with(".segment") ? code : 0;
  };
}

TEST(Broker, ATextThatCannotBeReadForAMomentIsDeliveredLater) {
  for (const int code : {EMFILE, EIO, ENOMEM, EACCES}) {
    Running running;
    running.start();
    std::vector<std::string> signals;
    {
      Caller producer(running.endpoint());
      signals = publish_segments(producer, 5);
      ASSERT_TRUE(running.wait_for(is_in_the_ledger));
    }
    running.disk.fail_when(segments_fail(code));
    Caller caller(running.endpoint(), Link::Role::Consumer, {kChannel});
    caller.credit(kChannel, 10);
    caller.until([] { return true; });
    ASSERT_TRUE(running.wait_for([](const auto& now) { return stands(now, "journal-read"); }, Millis{10'000}));
    running.disk.heal();
    ASSERT_TRUE(caller.until([&] { return caller.deliveries.size() == signals.size(); }));
    for (size_t i = 0; i < signals.size(); ++i) EXPECT_EQ(caller.deliveries[i].signals(0).signal(), signals[i]);
    ASSERT_TRUE(running.wait_for([](const auto& now) { return !stands(now, "journal-read"); }));
    EXPECT_EQ(running.status().at("counters").at("dead_letters").to_number<int>(), 0);
  }
}

TEST(Broker, ADeadLetterWaitsUntilItsTextCanBeRead) {
  Running running;
  running.start();
  std::vector<std::string> signals;
  {
    Caller producer(running.endpoint());
    signals = publish_segments(producer, 5);
    ASSERT_TRUE(running.wait_for(is_in_the_ledger));
  }
  Caller caller(running.endpoint(), Link::Role::Consumer, {kChannel});
  caller.credit(kChannel, 5);
  ASSERT_TRUE(caller.until([&] { return caller.deliveries.size() == 5; }));
  running.disk.fail_when(segments_fail(EMFILE));
  for (const auto& delivery : caller.deliveries) caller.give_up(kChannel, delivery.id());
  caller.until([] { return true; });
  ASSERT_TRUE(running.wait_for([](const auto& now) { return stands(now, "journal-read"); }, Millis{10'000}));
  EXPECT_GE(segments(running.status()), 5u) << "they hold what is open";
  running.stop();
  running.disk.heal();
  running.start();
  Caller again(running.endpoint(), Link::Role::Consumer, {kChannel});
  again.credit(kChannel, 5);
  ASSERT_TRUE(again.until([&] { return again.deliveries.size() == 5; })) << "what was not kept is still open";
  running.disk.fail_when(segments_fail(EMFILE));
  for (const auto& delivery : again.deliveries) again.give_up(kChannel, delivery.id());
  again.until([] { return true; });
  ASSERT_TRUE(running.wait_for([](const auto& now) { return stands(now, "journal-read"); }, Millis{10'000}));
  running.disk.heal();
  ASSERT_TRUE(running.wait_for(
      [](const auto& now) { return !stands(now, "journal-read") && stands(now, "dead-letters/" + kChannel); }));
  Caller asking(running.endpoint());
  for (int number = 1; number <= 5; ++number) {
    const auto letter = asking.ask({{"command", "dead.show"}, {"delivery", number}});
    ASSERT_TRUE(letter.is_object()) << letter;
    EXPECT_EQ(letter.at("cause").as_string(), "400");
    EXPECT_TRUE(letter.at("signals").at(0).at("body").as_string().starts_with(kWhole.substr(0, 64 << 10)));
  }
}

TEST(Broker, AFullDiskRefusesPublishersBeforeTheReserveIsTouched) {
  Running running;
  // What is taken in and not written yet, 16 MiB at most, fits above the reserve.
  running.disk.set_capacity(48 << 20);
  running.config.of<BrokerConfig>().low_water = 24 << 20;
  running.start();
  Caller caller(running.endpoint());
  // Faster than anyone looks after the disk once a second.
  for (int i = 0; i < 1000 && !caller.held.resume(); ++i) caller.try_to_publish({signal_of("fills", kWhole)});
  ASSERT_TRUE(caller.until([&] { return caller.held.resume() != 0; }));
  EXPECT_EQ(caller.held.reason(), DISK_LOW);
  const auto journal = running.status().at("journal");
  EXPECT_TRUE(journal.at("reserve_held").as_bool());
  EXPECT_GT(journal.at("disk_free").to_number<uint64_t>(), uint64_t{1} << 20);
}

TEST(Broker, ADiskThatIsLowAtTheStartRefusesTheFirstPublish) {
  Running running;
  running.disk.set_capacity(4 << 20);
  running.config.of<BrokerConfig>().low_water = 8 << 20;
  running.start();
  Caller caller(running.endpoint());
  caller.try_to_publish({signal_of("first", "")});
  ASSERT_TRUE(caller.until([&] { return caller.held.resume() != 0; }));
  EXPECT_EQ(caller.held.reason(), DISK_LOW);
  running.disk.set_capacity(64 << 20);
  EXPECT_TRUE(running.wait_for([](const auto& now) { return now.at("publishers").as_string() == "accepted"; }));
}

TEST(Broker, StartsOnAFullDiskDeliversAndSoMakesRoom) {
  Running running;
  running.start();
  {
    Caller caller(running.endpoint());
    publish_segments(caller, 14);
    ASSERT_TRUE(running.wait_for(is_in_the_ledger));
  }
  running.stop();
  running.disk.set_capacity(running.disk.used());
  running.config.of<BrokerConfig>().low_water = 1 << 20;
  running.start();
  EXPECT_TRUE(stands(running.status(), "disk-low"));
  Caller consumer(running.endpoint(), Link::Role::Consumer, {kChannel});
  consumer.credit(kChannel, 14);
  ASSERT_TRUE(consumer.until([&] { return consumer.deliveries.size() == 14; }));
  for (const auto& delivery : consumer.deliveries) consumer.settle(kChannel, delivery.id());
  consumer.until([] { return true; });
  ASSERT_TRUE(running.wait_for(
      [](const auto& now) { return now.at("publishers").as_string() == "accepted" && !stands(now, "disk-low"); }));
  Caller(running.endpoint()).publish({signal_of("there is room again", kWhole)});
}

TEST(Broker, WaitsForRoomInsteadOfEndingWhereNotASegmentFits) {
  Running running;
  running.start();
  Caller caller(running.endpoint());
  caller.publish({signal_of("one", "")});
  running.disk.fail_when([](Call call, const std::string& path) {
    return (call == Call::kOpen || call == Call::kWrite) && path.starts_with("state/journal/") ? EMFILE : 0;
  });
  caller.try_to_publish({signal_of("two", kWhole), signal_of("three", kWhole)});
  ASSERT_TRUE(running.wait_for([](const auto& now) { return stands(now, "journal-write"); }));
  running.disk.heal();
  EXPECT_TRUE(caller.until([&] { return caller.is_acknowledged(); }));
}

TEST(Broker, GivesWhatAConsumerHeldThatDiedToAnother) {
  Running running;
  running.start();
  Caller(running.endpoint()).publish({signal_of("one", "")});
  auto first = std::make_unique<Caller>(running.endpoint(), Link::Role::Consumer, std::vector{kChannel});
  first->credit(kChannel, 1);
  ASSERT_TRUE(first->until([&] { return first->deliveries.size() == 1; }));
  Caller other(running.endpoint(), Link::Role::Consumer, {kChannel});
  other.credit(kChannel, 1);
  other.until([] { return true; });
  first.reset();  // without a BYE, as a process that was killed
  ASSERT_TRUE(other.until([&] { return other.deliveries.size() == 1; }));
  EXPECT_EQ(other.deliveries[0].attempt(), 2u);
}

TEST(Broker, TakesAnAlarmThatTheLedgerRaisesWhileItStops) {
  Running running;
  running.start();
  Caller caller(running.endpoint());
  caller.publish({signal_of("one", "")});
  ASSERT_TRUE(running.wait_for(is_in_the_ledger));
  caller.publish({signal_of("gathered until the end", "", "heartbeat.ok")});
  ASSERT_TRUE(std::filesystem::remove(running.config.of<LedgerConfig>().repository / "refs/heads/detent/ledger"));
  running.stop();
  EXPECT_TRUE(std::filesystem::exists(running.config.of<LedgerConfig>().repository / "refs/heads/detent/ledger"));
}

TEST(Broker, DropsAfterARestartWhatWasSealedBeforeIt) {
  Running running;
  running.start();
  {
    Caller caller(running.endpoint());
    publish_segments(caller, 14);
    ASSERT_TRUE(running.wait_for(
        [&](const auto& status) { return is_in_the_ledger(status) && running.files("ids").size() >= 12; }));
  }
  running.stop();
  running.start();
  Caller caller(running.endpoint());
  caller.ask({{"command", "channel.drop"}, {"channel", kChannel}});
  EXPECT_TRUE(running.wait_for([](const auto& status) { return segments(status) <= 3; }));
}

TEST(Broker, KnowsASignalAgainWhoseIdFileCouldNotBeWrittenAtFirst) {
  Running running;
  running.start();
  running.disk.no_room_for_ids = true;
  std::vector<std::string> signals;
  {
    Caller caller(running.endpoint());
    signals = publish_segments(caller, 4);
    EXPECT_TRUE(running.files("ids").empty());
    running.disk.no_room_for_ids = false;
    publish_segments(caller, 3);
    caller.ask({{"command", "channel.drop"}, {"channel", kChannel}});
    ASSERT_TRUE(running.wait_for([](const auto& status) { return segments(status) <= 3; }));
  }
  running.stop();
  running.start();
  Caller caller(running.endpoint());
  for (const auto& signal : signals) caller.publish({signal});
  EXPECT_EQ(running.status().at("counters").at("repeats").to_number<uint64_t>(), signals.size());
}

TEST(Broker, ReadsTheIdsOfADamagedFileFromTheJournalAgain) {
  Running running;
  running.start();
  std::vector<std::string> signals;
  {
    Caller caller(running.endpoint());
    signals = publish_segments(caller, 5);
    ASSERT_TRUE(running.wait_for([&](const auto&) { return running.files("ids").size() >= 3; }));
  }
  running.stop();
  running.disk.set_content("state/ids/" + running.files("ids").front(), "damaged");
  running.start();
  Caller caller(running.endpoint());
  for (const auto& signal : signals) caller.publish({signal});
  EXPECT_EQ(running.status().at("counters").at("repeats").to_number<uint64_t>(), signals.size());
}

TEST(Broker, EndsTheAlarmOfADamageThatTheNextStartDoesNotFind) {
  Running running;
  running.start();
  {
    Caller caller(running.endpoint());
    publish_segments(caller, 3);
    ASSERT_TRUE(running.wait_for([&](const auto&) { return running.files("ids").size() >= 1; }));
  }
  running.stop();
  running.disk.set_content("state/ids/000000000001.ids", "damaged");
  running.start();
  EXPECT_TRUE(stands(running.status(), "damage/ids/000000000001.ids"));
  EXPECT_EQ(running.status().at("alarms").as_array().size(), 1u);
  running.stop();
  running.start();
  EXPECT_EQ(running.status().at("alarms"), boost::json::array());
}

TEST(Broker, SaysWhatHappenedToTheLedgerEachTimeAndDoesNotLetItStand) {
  Running running;
  running.start();
  Caller caller(running.endpoint());
  for (uint64_t times = 0; times <= 2; ++times) {
    caller.publish({signal_of("one", "")});
    ASSERT_TRUE(running.wait_for([&](const auto& status) {
      return is_in_the_ledger(status) && status.at("counters").at("alarms").template to_number<uint64_t>() == times;
    }));
    EXPECT_EQ(running.status().at("alarms"), boost::json::array());
    std::filesystem::remove(running.config.of<LedgerConfig>().repository / "refs/heads/detent/ledger");
  }
}

TEST(Broker, SaysThatTheLedgerLostWhatTheJournalHasLetGo) {
  Running running;
  running.start();
  {
    Caller caller(running.endpoint());
    publish_segments(caller, 6);
    caller.ask({{"command", "channel.drop"}, {"channel", kChannel}});
    ASSERT_TRUE(running.wait_for([](const auto& status) { return segments(status) <= 4; }));
  }
  running.stop();
  std::filesystem::remove_all(running.config.of<LedgerConfig>().repository);
  running.start();
  EXPECT_TRUE(running.wait_for(
      [](const auto& status) { return status.at("counters").at("alarms").template to_number<uint64_t>() == 1; }));
}

TEST(Broker, AJournalThatBeginsAnewBesideItsLedgerGivesNoNumberTwice) {
  Running running;
  running.start();
  Caller(running.endpoint()).publish({signal_of("one", ""), signal_of("two", "")});
  ASSERT_TRUE(running.wait_for(is_in_the_ledger));
  running.stop();
  for (const std::string folder : {"journal", "ids", "dead"}) {
    for (const auto& name : running.files(folder)) ASSERT_TRUE(running.disk.remove("state/" + folder + "/" + name));
  }
  for (const char* title : {"three", "four"}) {
    running.start();
    Caller(running.endpoint()).publish({signal_of(title, "")});
    EXPECT_TRUE(running.wait_for(is_in_the_ledger));
    running.stop();
  }
  const auto ledger = AuditReader::open(running.config.of<LedgerConfig>().repository);
  EXPECT_THAT(ledger->show(2).value().at(0).text, HasSubstr("two"));
  EXPECT_THAT(ledger->show(3).value().at(0).text, HasSubstr("the ledger has 2 signals, and the journal knows of 0"));
  EXPECT_THAT(ledger->show(4).value().at(0).text, HasSubstr("three"));
  EXPECT_THAT(ledger->show(5).value().at(0).text, HasSubstr("four"));
  EXPECT_TRUE(ledger->verify({.first_seq = 1}).value().whole());
}

TEST(Broker, RefusesToStartFromASnapshotOfALaterVersion) {
  Running running;
  running.start();
  running.stop();
  const auto files = running.files("journal");
  const auto name = std::find_if(files.begin(), files.end(), [](const auto& f) { return f.starts_with("snapshot-"); });
  ASSERT_NE(name, files.end());
  std::string bytes = *running.disk.content("state/journal/" + *name);
  bytes[8] = 9;
  const uint32_t crc = crc32c(0, bytes.data() + 8, bytes.size() - 8);
  bytes.replace(4, 4, reinterpret_cast<const char*>(&crc), 4);
  running.disk.set_content("state/journal/" + *name, bytes);
  try {
    running.start();
    FAIL() << "it started";
  } catch (const Failure& failure) {
    EXPECT_THAT(failure.what(), HasSubstr("has format 9, written by a later version of Detent"));
  }
}

TEST(Broker, WritesWhatTheOperatorDroppedAsDroppedIntoTheLedger) {
  Running running;
  running.start();
  Caller caller(running.endpoint());
  caller.publish({signal_of("one", "")});
  caller.ask({{"command", "channel.drop"}, {"channel", kChannel}});
  ASSERT_TRUE(running.wait_for(is_in_the_ledger));
  running.stop();
  const auto places = AuditReader::open(running.config.of<LedgerConfig>().repository)->show(1).value();
  ASSERT_EQ(places.size(), 2u);
  EXPECT_THAT(places[1].text, HasSubstr(R"({"receipt":"dropped","seq":1,)"));
}

TEST(Broker, AnswersThatAChannelIsDroppedOnceThatIsDurable) {
  Running running;
  running.start();
  Caller caller(running.endpoint());
  caller.publish({signal_of("one", "")});
  running.disk.hold_writes(true);
  const uint64_t dropping = caller.begin_to_ask({{"command", "channel.drop"}, {"channel", kChannel}});
  caller.ask({{"command", "status"}});
  const auto is_answered = [&] {
    return std::any_of(caller.answers.begin(), caller.answers.end(),
                       [&](const AdminReply& answer) { return answer.request() == dropping; });
  };
  EXPECT_FALSE(is_answered()) << "what came after it is answered";
  running.disk.hold_writes(false);
  EXPECT_TRUE(caller.until(is_answered));
  EXPECT_EQ(boost::json::parse(caller.answers.back().json()),
            (boost::json::value{{"channel", kChannel}, {"dropped", 1}, {"open", 0}}));
}

TEST(Broker, CutsATextThatWouldMakeAnAnswerLargerThanAFrame) {
  Running running;
  running.config.of<BrokerConfig>().segment = 8 << 20;
  running.start();
  Caller caller(running.endpoint());
  const Ulid id = UlidSource().next(system_now().wall);
  caller.publish({signal_of("large", std::string(3 << 19, '\0'), "chat.message", id)});
  const auto told = caller.ask({{"command", "trace"}, {"id", id.text()}});
  ASSERT_TRUE(told.is_object()) << told;
  const auto& body = told.at("signal").at("body").as_string();
  EXPECT_THAT(std::string(body.c_str() + (64 << 10), body.size() - (64 << 10)), "… (the first 65536 of 1572864 bytes)");
  EXPECT_EQ(caller.lost, 0);
}

TEST(Broker, TailsSignalsThatTogetherAreMoreThanAFrame) {
  Running running;
  running.config.of<BrokerConfig>().segment = 8 << 20;
  running.start();
  Caller caller(running.endpoint());
  for (int i = 0; i < 3; ++i) caller.publish({signal_of("large", std::string(3 << 20, 'x'))});
  caller.tail(1);
  EXPECT_TRUE(caller.until([&] { return caller.tailed.size() == 3; }));
  EXPECT_EQ(caller.lost, 0);
}

TEST(Broker, TailsATypeAndWhatElseNamedSourcesSay) {
  Running running;
  running.start();
  Caller caller(running.endpoint());
  const auto publish = [&](const char* type, const char* source) {
    Signal signal;
    signal.ParseFromString(signal_of("one", "", type));
    signal.set_source(source);
    caller.publish({signal.SerializeAsString()});
  };
  publish("heartbeat.ok", "web");
  publish("cron.output", "web");
  publish("cron.output", "backup");
  caller.tail(1, "heartbeat.*", {"backup", "nobody"});
  ASSERT_TRUE(caller.until([&] { return caller.tailed.size() >= 2; }));
  publish("cron.output", "web");
  publish("heartbeat.ok", "backup");
  ASSERT_TRUE(caller.until([&] { return caller.tailed.size() >= 3; }));
  std::vector<std::string> got;
  for (const auto& tailed : caller.tailed) {
    Signal signal;
    signal.ParseFromString(tailed.signal());
    got.push_back(signal.type() + " " + signal.source());
  }
  EXPECT_EQ(got, (std::vector<std::string>{"heartbeat.ok web", "cron.output backup", "heartbeat.ok backup"}));
}

TEST(Broker, ReadsNoFurtherForATailThanItsReaderDoes) {
  Running running;
  running.config.of<BrokerConfig>().segment = 8 << 20;
  running.start();
  {
    Caller producer(running.endpoint());
    for (int i = 0; i < 40; ++i) producer.publish({signal_of("large", std::string(1 << 20, 'x'))});
  }
  // Whoever is silent while the ledger takes all this loses its session.
  ASSERT_TRUE(running.wait_for(is_in_the_ledger));
  Caller caller(running.endpoint());
  const std::size_t before = running.disk.bytes_read();
  caller.tail(1);
  // Each answer is a turn of the loop, in which it could read on.
  Caller other(running.endpoint());
  for (int turn = 0; turn < 100; ++turn) other.ask({{"command", "status"}});
  EXPECT_LT(running.disk.bytes_read() - before, std::size_t{12} << 20);
  EXPECT_TRUE(caller.until([&] { return caller.caught_up; }));
  EXPECT_EQ(caller.tailed.size(), 40u);
  EXPECT_EQ(caller.lost, 0);
}

}  // namespace
}  // namespace detent::test
