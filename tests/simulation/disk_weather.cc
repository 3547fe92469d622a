#include "tests/simulation/disk_weather.h"

#include <cerrno>
#include <iterator>

namespace detent::test {

namespace {

/// Whether the system answers this call with this error.
bool may_fail(Call call, int code) {
  switch (call) {
    case Call::kOpen:
    case Call::kList:
      return true;
    case Call::kSyncDirectory:  // opens it
    case Call::kLock:
      return code != EACCES;
    case Call::kRead:
    case Call::kWrite:
    case Call::kSync:
      return code == EIO || code == ENOMEM;
    case Call::kTruncate:
    case Call::kRename:
    case Call::kRemove:
    case Call::kMakeDirectory:
      return code != EMFILE;
    case Call::kSize:
    case Call::kFreeBytes:
      return code == EIO || code == ENOMEM;
  }
  return false;
}

}  // namespace

DiskWeather::DiskWeather(MemoryDisk& disk, Dice& dice) : disk_(disk), dice_(dice) {
  const bool calm = dice_.chance(0.2);
  errs_ = !calm && dice_.chance(0.5);
  fills_ = !calm && dice_.chance(0.4);
  rots_ = !calm && dice_.chance(0.3);
  replacing_fails_ = calm ? 0 : dice_.chance(0.3) ? 0.4 : 0.05;
  disk_.fail_when([this](Call call, const std::string& path) {
    const int code = fails(call, path);
    failed_ += code != 0;
    return code;
  });
}

int DiskWeather::fails(Call call, const std::string& path) {
  if (aside_) return 0;
  if (erring_ && may_fail(call, code_) && dice_.chance(chance_)) return code_;
  const bool replaced = call == Call::kOpen && path.ends_with(".tmp");
  return replaced && dice_.chance(replacing_fails_) ? ENOSPC : 0;
}

void DiskWeather::turn(Now now, uint64_t step) {
  if (erring_ && now.mono >= errs_until_) erring_ = false;
  if (full_ && now.mono >= full_until_) {
    full_ = false;
    disk_.set_capacity(UINT64_MAX);
  }
  if (errs_ && !erring_ && dice_.chance(0.005)) {
    static constexpr int kCodes[] = {EIO, EMFILE, ENOMEM, EACCES};
    static constexpr double kChances[] = {0.05, 0.3, 1};
    erring_ = true;
    code_ = kCodes[dice_.below(std::size(kCodes))];
    chance_ = kChances[dice_.below(std::size(kChances))];
    errs_until_ = now.mono + Millis{1 + dice_.below(5000)};
  }
  if (fills_ && !full_ && dice_.chance(0.003)) {
    full_ = true;
    ++filled_;
    disk_.set_capacity(disk_.used() + dice_.below(4 * step));
    full_until_ = now.mono + Millis{1 + dice_.below(20'000)};
  }
}

void DiskWeather::clear() {
  errs_ = fills_ = rots_ = erring_ = full_ = false;
  disk_.set_capacity(UINT64_MAX);
}

}  // namespace detent::test
