#include "cli/ledger_story.h"

#include <gmock/gmock.h>

#include "base/ulid.h"
#include "ledger/audit/audit_log.h"
#include "proto/signal.pb.h"
#include "tests/cli/invoke.h"
#include "tests/running/running.h"

namespace detent {

using testing::EndsWith;
using testing::HasSubstr;

namespace {

/// A ledger with one signal of two channels, delivered in one of them, and a broker whose journal has let it go.
struct LetGo {
  Folder folder;
  test::StartedBroker broker;
  const Ulid id = UlidSource().next(Millis{1'800'000'000'000});

  LetGo() {
    Signal proto;
    proto.set_id(std::string(id.view()));
    proto.set_type("incident.detected");
    proto.set_source("web-1");
    proto.set_payload(
        "\n\x08"
        "disk 95%");
    const std::string raw = proto.SerializeAsString(), text = id.text();
    LedgerSignal signal;
    signal.seq = 7;
    signal.place = 1;
    signal.journalled = id.time();
    signal.id = text;
    signal.type = proto.type();
    signal.severity = "info";
    signal.source = proto.source();
    signal.title = "disk 95%";
    signal.channels = {"discord.alerts", "telegram"};
    signal.raw = raw;
    LedgerReceipt receipt;
    receipt.seq = 7;
    receipt.place = 2;
    receipt.id = text;
    receipt.channel = "discord.alerts";
    receipt.time = id.time() + Millis{2'000};
    receipt.link = "https://discord.example/1";
    const Now now = system_now();
    auto log = AuditLog::open({.repository = folder.path / "ledger.git"}, now).value();
    log->add(signal, now);
    log->add(receipt, now);
    log->flush(now).value();
  }
  Invoked trace(const std::string& which, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"--config", folder.write("detent.toml", "[ledger]\nrepository = \"ledger.git\"\n"),
                               "trace", which, "--broker", broker.endpoint()});
    return invoke(more);
  }
};

TEST(Trace, TellsFromTheLedgerWhatTheJournalHasLetGo) {
  LetGo past;
  const Invoked told = past.trace(past.id.text());
  EXPECT_EQ(told.exit, 0) << told.err;
  EXPECT_THAT(told.out, HasSubstr("incident.detected: disk 95%\n"));
  EXPECT_THAT(told.out,
              HasSubstr("as the ledger has it: signal " + past.id.text() + " is not in the journal (any more)\n"));
  EXPECT_THAT(told.out, EndsWith("\njournalled at 08:00:00 -> discord.alerts, delivered at 08:00:02 "
                                 "(https://discord.example/1); -> telegram, without a receipt since 08:00:00\n"));
  EXPECT_THAT(past.trace(past.id.text(), {"--json"}).out, HasSubstr("\"seq\":7"));
}

TEST(Trace, FailsWhereTheLedgerDoesNotHaveItEither) {
  LetGo past;
  const Invoked told = past.trace("01ARZ3NDEKTSV4RRFFQ69G5FAV");
  EXPECT_EQ(told.exit, 1);
  EXPECT_EQ(told.err,
            "detent trace: signal 01ARZ3NDEKTSV4RRFFQ69G5FAV is not in the journal (any more), and the ledger does not "
            "have it\n");
}

}  // namespace

}  // namespace detent
