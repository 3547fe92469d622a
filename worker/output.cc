#include "worker/output.h"

#include <sodium/utils.h>
#include <spdlog/fmt/fmt.h>

#include <array>

#include "base/utf8.h"

namespace detent {

namespace {

constexpr std::size_t kLineMost = 4 << 10;
constexpr std::size_t kPaceMost = 64 << 10;  // bytes of lines in a second
constexpr std::size_t kCostOfLine = 64;      // beside its bytes
constexpr Millis kSecond{1'000};

void keep_end(std::string& kept, std::string_view piece, std::size_t most) {
  if (piece.size() >= most) {
    kept.assign(piece.substr(piece.size() - most));
    return;
  }
  kept.append(piece);
  if (kept.size() > 2 * most) kept.erase(0, kept.size() - most);
}

std::string end_of(const std::string& kept, std::size_t most) {
  return kept.size() > most ? kept.substr(kept.size() - most) : kept;
}

}  // namespace

Output::Output(std::size_t keep_out, std::size_t keep_all, Line line) : keep_all_{keep_all}, line_{std::move(line)} {
  out_.keep = keep_out;
  for (Source* source : {&out_, &err_}) crypto_hash_sha256_init(&source->hash);
}

void Output::add(Child::Stream stream, std::string_view piece, Millis mono) {
  if (mono - second_ >= kSecond) {
    second_ = mono;
    passed_ = 0;
    tell_dropped();
  }
  Source& source = stream == Child::Stream::out ? out_ : err_;
  source.bytes += piece.size();
  crypto_hash_sha256_update(&source.hash, reinterpret_cast<const unsigned char*>(piece.data()), piece.size());
  keep_end(source.kept, piece, source.keep);
  keep_end(all_, piece, keep_all_);
  if (line_) split(stream, source, piece);
}

void Output::split(Child::Stream stream, Source& source, std::string_view piece) {
  while (!piece.empty()) {
    const auto end = piece.find('\n');
    const std::string_view part = piece.substr(0, end);
    if (const std::size_t room = kLineMost - source.line.size(); !source.cut) {
      source.line.append(part.substr(0, room));
      source.cut = part.size() > room;
    }
    if (end == std::string_view::npos) return;
    pass_on(stream, source);
    piece.remove_prefix(end + 1);
  }
}

void Output::pass_on(Child::Stream stream, Source& source) {
  if (passed_ + source.line.size() + kCostOfLine > kPaceMost) {
    ++dropped_;
  } else {
    passed_ += source.line.size() + kCostOfLine;
    if (source.line.ends_with('\r')) source.line.pop_back();
    if (source.cut) source.line.resize(head_of(source.line, source.line.size() - 1).size());
    line_(stream, to_utf8(source.line) + (source.cut ? "…" : ""));
  }
  source.line.clear();
  source.cut = false;
}

void Output::tell_dropped() {
  if (dropped_ == 0) return;
  line_(Child::Stream::err, fmt::format("… {} lines came too fast to be shown", dropped_));
  dropped_ = 0;
}

void Output::end() {
  if (!line_) return;
  tell_dropped();
  if (!out_.line.empty()) pass_on(Child::Stream::out, out_);
  if (!err_.line.empty()) pass_on(Child::Stream::err, err_);
}

Output::Stream Output::result_of(const Source& source) {
  crypto_hash_sha256_state state = source.hash;
  std::array<unsigned char, crypto_hash_sha256_BYTES> hash{};
  crypto_hash_sha256_final(&state, hash.data());
  std::array<char, 2 * crypto_hash_sha256_BYTES + 1> hex{};
  sodium_bin2hex(hex.data(), hex.size(), hash.data(), hash.size());
  return {.bytes = source.bytes, .sha256 = hex.data(), .tail = end_of(source.kept, source.keep)};
}

std::string Output::tail() const { return to_utf8(end_of(all_, keep_all_)); }

}  // namespace detent
