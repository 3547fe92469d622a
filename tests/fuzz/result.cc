// Any bytes in place of a result or of a runner's answer are read; what is written of them is read back as the same.
#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "ledger/tasks/result_file.h"
#include "ledger/tasks/result_folder.h"

using namespace detent;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const TaskResult read = read_result(text).result;
  // What is no UTF-8, and control characters in the values, are not kept.
  const ResultReading once = read_result(print_result(read));
  const ResultReading twice = read_result(print_result(once.result));
  CHECK(once.result == twice.result, "what is written is read back");
  CHECK(once.result.body == read.body || once.result.body == read.body + "\n", "a body is kept as it is");
  CHECK(once.result.epoch == read.epoch && once.result.needs_response == read.needs_response, "values are kept");
  CHECK(read.id.empty() == (once.faults.size() == 1) && once.faults.size() <= 1,
        "only a missing id is a fault of ours");

  const RunnerAnswer answer = read_answer(text);
  CHECK(text.ends_with(answer.body), "an answer's body is the end of it");
  if (const auto name = parse_result_name(text)) {
    const std::string path =
        name->stale_epoch ? stale_result_path(name->id, *name->stale_epoch) : result_path(name->id);
    CHECK(path.substr(0, path.rfind('/')) == kResultsFolder, "no name leaves its folder");
  }
  return 0;
}
