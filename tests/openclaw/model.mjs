// A model of the test's own behind OpenAI's chat completions: it does what the conversation's last order says.
//   node model.mjs            prints its port, serves until it is ended
// An order stands in a user message as order(BASE64 of JSON): {"say": "text"}, or {"call": "tool", "args": {…}, "then":
// "text"}, or {"fail": 400}, an HTTP status; after the tool has answered, `then` is said (else what the tool answered). Without an order it says "Hello.".
import { createServer } from "node:http";

const textOf = (content) => (typeof content === "string" ? content : (content ?? []).map((part) => part.text ?? "").join(""));

/** What to answer: {say} or {call, args}. */
function answerTo(messages) {
  // OpenClaw puts user messages of its own behind the one that counts.
  const at = messages.findLastIndex(({ role, content }) => role === "user" && /order\([\w+/=]+\)/.test(textOf(content)));
  if (at < 0) return { say: "Hello." };
  const found = [...textOf(messages[at].content).matchAll(/order\(([\w+/=]+)\)/g)].at(-1)[1];
  const order = JSON.parse(Buffer.from(found, "base64").toString());
  const result = messages.slice(at + 1).findLast(({ role }) => role === "tool");
  if (!order.call || !result) return order;
  return { say: order.then ?? textOf(result.content).slice(0, 2_000) };
}

function messageOf({ say, call, args }) {
  if (!call) return [{ role: "assistant", content: say }, "stop"];
  const made = { index: 0, id: `call_${Date.now()}`, type: "function", function: { name: call, arguments: JSON.stringify(args) } };
  return [{ role: "assistant", content: null, tool_calls: [made] }, "tool_calls"];
}

const server = createServer((request, response) => {
  let raw = "";
  request.on("data", (part) => (raw += part)).on("end", () => {
    if (request.method === "GET") return response.end(JSON.stringify({ object: "list", data: [{ id: "fake", object: "model" }] }));
    const { messages = [], model, stream, tools = [] } = JSON.parse(raw);
    const order = answerTo(messages);
    if (order.fail) return response.writeHead(order.fail, { "content-type": "application/json" }).end('{"error":{"message":"ordered to fail"}}');
    const [message, finish] = messageOf(order);
    if (process.env.MODEL_LOG) console.error(JSON.stringify({ tools: tools.map((tool) => tool.function?.name), message, last: textOf(messages.at(-1)?.content).slice(0, 300) }));
    const head = { id: `cmpl-${Date.now()}`, created: Math.floor(Date.now() / 1000), model };
    const usage = { prompt_tokens: 100, completion_tokens: 10, total_tokens: 110 };
    if (!stream) {
      response.setHeader("content-type", "application/json");
      return response.end(JSON.stringify({ ...head, object: "chat.completion", usage, choices: [{ index: 0, message, finish_reason: finish }] }));
    }
    response.setHeader("content-type", "text/event-stream");
    const send = (rest) => response.write(`data: ${JSON.stringify({ ...head, object: "chat.completion.chunk", ...rest })}\n\n`);
    send({ choices: [{ index: 0, delta: message, finish_reason: null }] });
    send({ choices: [{ index: 0, delta: {}, finish_reason: finish }], usage });
    response.end("data: [DONE]\n\n");
  });
});
server.listen(Number(process.argv[2] ?? 0), "127.0.0.1", () => console.log(`model: http://127.0.0.1:${server.address().port}`));
