#include <hiredis/hiredis.h>

#include <deque>
#include <memory>

#include "base/result.h"
#include "bench/figures.h"
#include "bench/measurements.h"
#include "bench/signals.h"

namespace detent::bench {

namespace {
using Context = std::unique_ptr<redisContext, void (*)(redisContext*)>;

void take_reply(redisContext* context) {
  void* reply = nullptr;
  if (redisGetReply(context, &reply) != REDIS_OK) throw Failure(std::string("redis: ") + context->errstr);
  const bool refused = static_cast<redisReply*>(reply)->type == REDIS_REPLY_ERROR;
  const std::string why = refused ? static_cast<redisReply*>(reply)->str : "";
  freeReplyObject(reply);
  if (refused) throw Failure("redis: " + why);
}
}  // namespace

void redis(int port, uint64_t count, int clients, int depth) {
  struct Client {
    Context context;
    uint64_t under_way = 0;
  };
  std::vector<Client> all;
  for (int i = 0; i < clients; ++i) {
    Context context(redisConnect("127.0.0.1", port), redisFree);
    if (!context || context->err) throw Failure("redis: cannot connect");
    all.push_back({std::move(context)});
  }
  redisAppendCommand(all[0].context.get(), "DEL signals");
  take_reply(all[0].context.get());

  Signals signals;
  const double cpu = cpu_seconds();
  const auto begin = Clock::now();
  uint64_t sent = 0, answered = 0;
  while (answered < count) {
    for (Client& client : all) {
      for (; client.under_way < static_cast<uint64_t>(depth) && sent < count; ++client.under_way, ++sent) {
        const auto signal = signals.next();
        const char* words[] = {"XADD", "signals", "*", "s", signal.data()};
        const size_t sizes[] = {4, 7, 1, 1, signal.size()};
        if (redisAppendCommandArgv(client.context.get(), 5, words, sizes) != REDIS_OK)
          throw Failure("redis: out of memory");
      }
      for (int done = 0; !done;) {
        if (redisBufferWrite(client.context.get(), &done) != REDIS_OK) throw Failure("redis: cannot write");
      }
    }
    for (Client& client : all) {
      for (; client.under_way > 0; --client.under_way, ++answered) take_reply(client.context.get());
    }
  }
  Figures().set("rate", static_cast<double>(count) / seconds_since(begin)).set("cpu", cpu_seconds() - cpu).print();
}

}  // namespace detent::bench
