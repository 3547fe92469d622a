#include "ledger/audit/message.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "ledger/text.h"

namespace detent {
namespace {

constexpr std::size_t kTitleMost = 72;
constexpr std::size_t kTypeMost = 64;
constexpr std::size_t kChannelsNamed = 4;
constexpr std::size_t kTypesNamed = 5;
constexpr std::size_t kHeldMost = 4096;

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// "5:3,9": a place, and the number of the signal where it is one.
std::string held_text(const std::vector<Overtaken>& held) {
  if (held.empty()) return "-";
  std::string out;
  for (const Overtaken& one : held) {
    fmt::format_to(std::back_inserter(out), "{}{}", out.empty() ? "" : ",", one.place);
    if (one.seq) fmt::format_to(std::back_inserter(out), ":{}", one.seq);
  }
  return out;
}

std::optional<std::vector<Overtaken>> held_from(std::string_view text) {
  std::vector<Overtaken> held;
  if (text == "-") return held;
  for (;;) {
    const auto comma = text.find(',');
    const std::string_view one = text.substr(0, comma);
    const auto colon = one.find(':');
    const auto place = number(one.substr(0, colon));
    const auto seq = colon == std::string_view::npos ? std::optional<std::uint64_t>{0} : number(one.substr(colon + 1));
    if (!place || !seq || *place == 0 || held.size() == kHeldMost) return std::nullopt;
    if (!held.empty() && held.back().place >= *place) return std::nullopt;
    held.push_back({*place, *seq});
    if (comma == std::string_view::npos) return held;
    text.remove_prefix(comma + 1);
  }
}

/// The names joined, the first few of them spelled out.
template <class Names>
std::string listing(const Names& names) {
  std::string out;
  std::size_t count = 0;
  for (const auto& name : names) {
    if (count++ == kChannelsNamed) {
      out += fmt::format(" and {} more", names.size() - kChannelsNamed);
      break;
    }
    if (!out.empty()) out += ", ";
    out += one_line(name, kTypeMost);
  }
  return out;
}

/// "300 cron.output, 112 heartbeat.ok", most frequent first.
std::string census(const std::vector<const Mention*>& mentions) {
  std::map<std::string_view, std::size_t> counts;
  for (const Mention* mention : mentions) ++counts[mention->type];
  std::vector<std::pair<std::string_view, std::size_t>> order(counts.begin(), counts.end());
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  std::string out;
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i == kTypesNamed) {
      std::size_t rest = 0;
      for (; i < order.size(); ++i) rest += order[i].second;
      out += fmt::format(", {} others", rest);
      break;
    }
    out += fmt::format("{}{} {}", i ? ", " : "", order[i].second, order[i].first);
  }
  return out;
}

/// Where the mentions went: "discord.system", or "telegram, discord.alerts and 3 more".
std::string destinations(const std::vector<const Mention*>& mentions) {
  std::vector<std::string_view> names;
  for (const Mention* mention : mentions) {
    if (!mention->channels.empty() && std::find(names.begin(), names.end(), mention->channels) == names.end()) {
      names.push_back(mention->channels);
      if (names.size() > 16) break;
    }
  }
  return names.empty() ? "" : " -> " + listing(names);
}

}  // namespace

bool ChainState::holds(std::uint64_t at) const {
  const auto it = std::lower_bound(held.begin(), held.end(), Overtaken{at, 0});
  return at <= place && (it == held.end() || it->place != at);
}

std::uint64_t ChainState::complete_to() const { return held.empty() ? place : held.front().place - 1; }

Mention mention_of(const LedgerSignal& signal) {
  return {one_line(signal.type, kTypeMost), one_line(signal.title, kTitleMost), listing(signal.channels)};
}

Mention mention_of(const LedgerReceipt& receipt) {
  return {std::string{name_of(receipt.state)}, one_line(receipt.id, 26), one_line(receipt.channel, kTypeMost)};
}

std::string subject_of(const std::vector<const Mention*>& signals, const std::vector<const Mention*>& receipts) {
  if (signals.size() == 1) {
    const Mention& only = *signals.front();
    return fmt::format("{}: {}{}{}", only.type, only.title, only.channels.empty() ? "" : " -> ", only.channels);
  }
  if (!signals.empty()) return fmt::format("{} signals: {}{}", signals.size(), census(signals), destinations(signals));
  if (receipts.size() == 1) {
    const Mention& only = *receipts.front();
    return fmt::format("receipts: {} {}{}{}", only.type, only.title, only.channels.empty() ? "" : " -> ",
                       only.channels);
  }
  return fmt::format("receipts: {}{}", census(receipts), destinations(receipts));
}

std::string message_of(const CommitNote& note) {
  std::string out = note.subject + "\n\n";
  for (const auto& id : note.ids) out += fmt::format("Signal-Id: {}\n", one_line(id, 64));
  if (note.first_seq == note.last_seq && note.first_seq) {
    out += fmt::format("Detent-Seq: {}\n", note.first_seq);
  } else if (note.first_seq) {
    out += fmt::format("Detent-Seq: {}-{}\n", note.first_seq, note.last_seq);
  }
  const ChainState& state = note.state;
  out += fmt::format("Detent-File: {}\nDetent-State: lines={} last={} place={} held={} hash={}\n", note.file,
                     state.lines, state.last_seq, state.place, held_text(state.held), to_hex(state.hash));
  return out;
}

std::optional<CommitNote> note_of(std::string_view message) {
  const auto gap = message.rfind("\n\n");
  if (gap == std::string_view::npos || !message.ends_with('\n')) return std::nullopt;
  CommitNote note;
  note.subject = std::string{message.substr(0, message.find('\n'))};
  bool stated = false;
  std::string_view rest = message.substr(gap + 2);
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    std::string_view trailer = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    const auto colon = trailer.find(": ");
    if (colon == std::string_view::npos) return std::nullopt;
    const auto key = trailer.substr(0, colon);
    std::string_view value = trailer.substr(colon + 2);
    if (key == "Signal-Id") {
      note.ids.emplace_back(value);
    } else if (key == "Detent-Seq") {
      const auto dash = value.find('-');
      const auto first = number(value.substr(0, dash));
      const auto last = dash == std::string_view::npos ? first : number(value.substr(dash + 1));
      if (!first || !last || *last < *first) return std::nullopt;
      note.first_seq = *first;
      note.last_seq = *last;
    } else if (key == "Detent-File") {
      note.file = std::string{value};
    } else if (key == "Detent-State") {
      while (!value.empty()) {
        const auto space = value.find(' ');
        std::string_view word = value.substr(0, space);
        value.remove_prefix(space == std::string_view::npos ? value.size() : space + 1);
        const auto equals = word.find('=');
        if (equals == std::string_view::npos) return std::nullopt;
        const auto name = word.substr(0, equals);
        word.remove_prefix(equals + 1);
        if (name == "hash") {
          const auto hash = hash_from_hex(word);
          if (!hash) return std::nullopt;
          note.state.hash = *hash;
          stated = true;
        } else if (name == "held") {
          auto held = held_from(word);
          if (!held) return std::nullopt;
          note.state.held = std::move(*held);
        } else {
          const auto value_of = number(word);
          if (!value_of) return std::nullopt;
          if (name == "lines") note.state.lines = *value_of;
          if (name == "last") note.state.last_seq = *value_of;
          if (name == "place") note.state.place = *value_of;
        }
      }
    }
  }
  if (!stated || note.file.empty()) return std::nullopt;
  return note;
}

}  // namespace detent
