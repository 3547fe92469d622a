#include "proto/signal_validator.h"

#include <gtest/gtest.h>

#include "base/redact.h"
#include "base/ulid.h"
#include "proto/frame.h"
#include "proto/reader.h"
#include "proto/signal.pb.h"
#include "proto/wire.pb.h"

namespace detent {
namespace {

Signal good() {
  Signal signal;
  signal.set_id(std::string(UlidSource(1).next(Millis{1'795'000'000'000}).view()));
  signal.set_type("incident.detected");
  signal.set_source("web-1");
  signal.set_severity(ERROR);
  Incident incident;
  incident.set_title("disk 95%");
  incident.set_host("web-1");
  signal.set_payload(incident.SerializeAsString());
  return signal;
}

struct Checked {
  std::string bytes;
  std::optional<Rejection> fault;
  SignalHeader head;
};

Checked check(const Signal& signal, SignalValidator::Mask mask = {}) {
  Checked checked{signal.SerializeAsString(), {}, {}};
  SignalValidator validator(std::move(mask));
  checked.fault = validator.check(checked.bytes, checked.head);
  return checked;
}

TEST(SignalValidator, LetsAGoodSignalPassAndReadsItsHead) {
  const auto checked = check(good());
  ASSERT_FALSE(checked.fault) << checked.fault->text;
  EXPECT_EQ(checked.head.type, "incident.detected");
  EXPECT_EQ(checked.head.severity, 3u);
  EXPECT_EQ(payload_title(checked.head.payload), "disk 95%");
}

TEST(SignalValidator, HoldsFramesToTheLimitsOfTheirFields) {
  SignalValidator validator(SignalValidator::Mask{});
  Settle settle;
  settle.set_channel("discord.alerts");
  auto* settled = settle.add_settled();
  settled->set_cause(std::string(512, 'c'));
  settled->add_parts()->set_link(std::string(512, 'l'));
  EXPECT_EQ(validator.check_frame(Frame::kSettle, settle.SerializeAsString()), std::nullopt);
  settled->mutable_parts(0)->set_link(std::string(513, 'l'));
  EXPECT_EQ(validator.check_frame(Frame::kSettle, settle.SerializeAsString()),
            "Settle.Settled.Part.link: 513 bytes, over the limit of 512");
  settled->mutable_parts(0)->clear_link();
  settle.mutable_circuit()->set_why(std::string(513, 'w'));
  EXPECT_TRUE(validator.check_frame(Frame::kSettle, settle.SerializeAsString()));

  Begun begun;
  begun.mutable_part()->set_place(std::string(65, 'p'));
  EXPECT_TRUE(validator.check_frame(Frame::kBegun, begun.SerializeAsString()));
  Hello hello;
  for (int i = 0; i < 33; ++i) hello.add_channels("c");
  EXPECT_EQ(validator.check_frame(Frame::kHello, hello.SerializeAsString()), "Hello.channels: more than 32");
  Publish publish;
  publish.add_signals(std::string(100, 's'));
  EXPECT_FALSE(validator.check_frame(Frame::kPublish, publish.SerializeAsString()));
  EXPECT_FALSE(validator.check_frame(Frame::kPing, {}));
}

TEST(SignalValidator, MasksNothingInAFrameThatItOnlyChecks) {
  SignalValidator validator([](std::span<char> text) {
    std::fill(text.begin(), text.end(), '*');
    return true;
  });
  AdminRequest ask;
  ask.set_json("{}");
  const std::string bytes = ask.SerializeAsString();
  const std::string before(bytes.data(), bytes.size());
  EXPECT_FALSE(validator.check_frame(Frame::kAdminRequest, bytes));
  EXPECT_EQ(bytes, before);
}

TEST(SignalValidator, RefusesAnIdOfAnyOtherSize) {
  auto signal = good();
  signal.set_id("short");
  EXPECT_EQ(check(signal).fault.value().reason, BAD_SIGNAL);
}

TEST(SignalValidator, RefusesATypeThatIsNotWordsJoinedByDots) {
  for (const char* type : {"", "Incident", "incident detected", ".x", "x.", "ünï"}) {
    auto signal = good();
    signal.set_type(type);
    EXPECT_TRUE(check(signal).fault) << type;
  }
}

TEST(SignalValidator, NamesTheFieldThatIsOverItsLimit) {
  Incident incident;
  incident.set_title(std::string(513, 'x'));
  auto signal = good();
  signal.set_payload(incident.SerializeAsString());
  const auto checked = check(signal);
  ASSERT_TRUE(checked.fault);
  EXPECT_EQ(checked.fault->reason, BAD_PAYLOAD);
  EXPECT_NE(checked.fault->text.find("Incident.title"), std::string::npos) << checked.fault->text;
  EXPECT_NE(checked.fault->text.find("513"), std::string::npos) << checked.fault->text;
}

TEST(SignalValidator, RefusesAPayloadThatIsNotWhatTheTypeAsksFor) {
  auto signal = good();
  signal.set_payload("\x0a\xff");  // a title longer than the payload
  EXPECT_EQ(check(signal).fault.value().reason, BAD_PAYLOAD);
  signal.set_payload("\x08\x01");  // the title as a number
  EXPECT_EQ(check(signal).fault.value().reason, BAD_PAYLOAD);
}

TEST(SignalValidator, RefusesMoreElementsThanAllowed) {
  Note note;
  for (int i = 0; i < 26; ++i) note.add_fields()->set_name("n");
  auto signal = good();
  signal.set_type("some.thing");
  signal.set_payload(note.SerializeAsString());
  EXPECT_NE(check(signal).fault.value().text.find("Note.fields: more than 25"), std::string::npos);
}

TEST(SignalValidator, RefusesTextThatIsNotUtf8) {
  std::string bytes = good().SerializeAsString();
  bytes[bytes.find("web-1")] = '\xff';
  SignalValidator validator({});
  SignalHeader head;
  EXPECT_TRUE(validator.check(bytes, head));
}

TEST(SignalValidator, PassesOnAFieldItDoesNotKnow) {
  auto signal = good();
  signal.set_payload(signal.payload() + std::string("\xfa\x3e\x03new", 6));  // field 1007
  EXPECT_FALSE(check(signal).fault);
}

TEST(SignalValidator, MasksASecretInPlaceAndRefusesOneInAFieldItDoesNotKnow) {
  const auto patterns = Patterns::compile({}).value();
  const SignalValidator::Mask mask = [&](std::span<char> text) { return redact(text, patterns); };
  const std::string token = "ghp_0123456789abcdefghijABCDEFGHIJ456789";
  Incident incident;
  incident.set_title("pushed with " + token + " as usual");
  auto signal = good();
  signal.set_payload(incident.SerializeAsString());
  const auto checked = check(signal, mask);
  ASSERT_FALSE(checked.fault);
  EXPECT_EQ(checked.bytes.size(), signal.ByteSizeLong());
  EXPECT_EQ(checked.bytes.find(token), std::string::npos);
  EXPECT_NE(payload_title(checked.head.payload).find("[redacted]"), std::string::npos);

  signal = good();
  signal.set_payload(signal.payload() + "\xfa\x3e" + static_cast<char>(token.size()) + token);
  EXPECT_TRUE(check(signal, mask).fault);
}

TEST(SignalValidator, RefusesAFieldThatIsGivenTwice) {
  // The last one counts, so that a secret in the first would pass unread.
  Note note;
  note.set_title("hunter2");
  SignalValidator validator({});
  const auto refused = [&](std::string bytes) {
    SignalHeader head;
    const auto fault = validator.check(bytes, head);
    return fault ? fault->text : std::string();
  };
  const auto with = [](uint32_t field, std::string_view value) {
    std::string out;
    wire::bytes(out, field, value);
    return out;
  };
  EXPECT_EQ(refused(with(Signal::kPayloadFieldNumber, note.SerializeAsString()) + good().SerializeAsString()),
            "Signal.payload: more than one");
  EXPECT_EQ(
      refused(good().SerializeAsString() + with(Signal::kThreadFieldNumber, "") + with(Signal::kThreadFieldNumber, "")),
      "Signal.thread: more than one");
  auto signal = good();
  signal.set_payload(signal.payload() + with(Note::kTitleFieldNumber, "again"));
  EXPECT_EQ(refused(signal.SerializeAsString()), "payload of incident.detected: Incident.title: more than one");
  signal.set_payload(with(Note::kFieldsFieldNumber, with(2, "hunter2") + with(1, "password") + with(2, "x")));
  EXPECT_EQ(refused(signal.SerializeAsString()), "payload of incident.detected: Incident.Field.value: more than one");
}

TEST(SignalValidator, MasksTheValueOfAFieldOrLabelWhoseNameCallsItASecret) {
  const SignalValidator::Mask mask = [](std::span<char> text) { return redact(text, {}); };
  auto signal = good();
  Incident incident;
  for (const auto& [name, value] : {std::pair{"password", "hunter2"},
                                    {"API_KEY", "one \"two\" three"},
                                    {"authorization", "Bearer abcdefgh"},
                                    {"monkey", "hunter3"},
                                    {"max_tokens", "150000"}}) {
    auto* field = incident.add_fields();
    field->set_name(name);
    field->set_value(value);
  }
  signal.set_payload(incident.SerializeAsString());
  auto* label = signal.add_labels();
  label->set_key("token");
  label->set_value("correct horse");
  const auto checked = check(signal, mask);
  ASSERT_FALSE(checked.fault);
  ASSERT_TRUE(incident.ParseFromString(std::string(checked.head.payload)));
  EXPECT_EQ(incident.fields(0).value(), "*******");
  EXPECT_EQ(incident.fields(1).value(), "[redacted]*****");
  EXPECT_EQ(incident.fields(2).value(), "Bearer ********");
  EXPECT_EQ(incident.fields(3).value(), "hunter3");
  EXPECT_EQ(incident.fields(4).value(), "150000");
  EXPECT_EQ(checked.head.labels.at(0).second, "[redacted]***");
}

TEST(SignalValidator, SurvivesEveryByteChanged) {
  const std::string bytes = good().SerializeAsString();
  SignalValidator validator({});
  size_t refused = 0;
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
      SignalHeader head;
      refused += validator.check(changed, head).has_value();
    }
  }
  EXPECT_GT(refused, bytes.size());
}

TEST(Frame, OpensWhatItSealed) {
  FrameView frame;
  const std::string sealed = seal(7, 9, Frame::kPublish, "body");
  ASSERT_TRUE(open_frame(sealed, frame));
  EXPECT_EQ(frame.session, 7u);
  EXPECT_EQ(frame.number, 9u);
  EXPECT_EQ(frame.field, uint32_t{Frame::kPublish});
  EXPECT_EQ(frame.body, "body");
  EXPECT_FALSE(open_frame("", frame));
  EXPECT_FALSE(open_frame("nonsense", frame));
  EXPECT_FALSE(open_frame(sealed + sealed, frame));
}

}  // namespace
}  // namespace detent
