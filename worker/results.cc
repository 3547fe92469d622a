#include "worker/results.h"

#include <charconv>
#include <optional>

#include "worker/attempt_record.h"

namespace detent {

namespace {

constexpr std::string_view kSuffix = ".result";

/// "TASK.EPOCH.result"
std::optional<Results::Key> key_of(std::string_view name) {
  if (!name.ends_with(kSuffix)) return std::nullopt;
  name.remove_suffix(kSuffix.size());
  const auto dot = name.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  Results::Key key{.task = std::string(name.substr(0, dot))};
  const std::string_view epoch = name.substr(dot + 1);
  const auto [end, error] = std::from_chars(epoch.data(), epoch.data() + epoch.size(), key.epoch);
  if (error != std::errc{} || end != epoch.data() + epoch.size()) return std::nullopt;
  const auto again = attempt_name(key.task, key.epoch);
  if (!again || *again != name) return std::nullopt;
  return key;
}

Result<std::string> file_name(const Results::Key& key) {
  auto name = attempt_name(key.task, key.epoch);
  if (!name) return name.error();
  return *name + std::string(kSuffix);
}

}  // namespace

Result<Results> Results::open(Disk& disk, const std::string& folder) {
  Results out(disk, folder);
  if (const auto made = disk.make_directory(folder); !made) return made.error();
  const auto names = disk.list(folder);
  if (!names) return names.error();
  for (const std::string& name : *names) {
    if (auto key = key_of(name)) {
      out.waiting_.insert(std::move(*key));
    } else if (name.ends_with(std::string(kSuffix) + ".tmp")) {
      // Never was whole: the power went, or the worker, while it was written.
      if (const auto removed = disk.remove(out.path_of(name)); !removed) return removed.error();
    }
  }
  return out;
}

Result<> Results::keep(const Key& key, std::string_view bytes) {
  const auto name = file_name(key);
  if (!name) return name.error();
  waiting_.erase(key);
  if (const auto kept = replace_file(*disk_, path_of(*name), bytes); !kept) return kept.error();
  waiting_.insert(key);
  return {};
}

Result<std::string> Results::read(const Key& key) const {
  const auto name = file_name(key);
  if (!name) return name.error();
  return read_file(*disk_, path_of(*name));
}

Result<> Results::acknowledged(const Key& key) {
  if (!waiting_.contains(key)) return {};
  const auto name = file_name(key);
  if (!name) return name.error();
  if (const auto removed = disk_->remove(path_of(*name)); !removed) return removed.error();
  waiting_.erase(key);
  return {};
}

}  // namespace detent
