// The plugin's own parts, without OpenClaw: node --test tests/openclaw/plugin.test.mjs
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Publisher } from "../../producers/openclaw/publisher.js";
import { announcedRun, idOf, isAllClear, signalOfCall, signalOfMessage, signalOfSubagent, titled } from "../../producers/openclaw/signals.js";
import { Spool } from "../../producers/openclaw/spool.js";
import { Subagents } from "../../producers/openclaw/subagents.js";

const mine = { source: "openclaw", heartbeatNeedsResponse: true };
const message = (to, text, more = {}) => signalOfMessage({ to, text, ...more }, mine);

test("an id is of its time and its words", () => {
  assert.match(idOf(1795652785757, "a"), /^[0-9A-Z]{26}$/);
  assert.equal(idOf(1795652785757, "a"), idOf(1795652785757, "a"));
  assert.notEqual(idOf(1795652785757, "a"), idOf(1795652785757, "b"));
  assert.equal(idOf(1795652785757, "a").slice(0, 10), idOf(1795652785757, "b").slice(0, 10));
  assert.equal(idOf(0, "a").slice(0, 10), "0000000000");
});

test("a target that is a type is the type, any other is a chat's name", () => {
  assert.equal(message("cron.output", "x").type, "cron.output");
  assert.equal(message("detent:team.report", "x").type, "team.report");
  assert.deepEqual(message("alerts", "x"), { type: "chat.message", source: "openclaw", labels: { target: "alerts" }, title: "x" });
});

test("an all-clear is a heartbeat wherever it goes, and a heartbeat that is none wants attention", () => {
  for (const text of ["HEARTBEAT_OK", " **HEARTBEAT_OK**\n", "HEARTBEAT_OK."]) assert.ok(isAllClear(text), text);
  for (const text of ["HEARTBEAT_OK, but the disk is full", "not HEARTBEAT_OK", ""]) assert.ok(!isAllClear(text), text);
  assert.equal(message("alerts", "HEARTBEAT_OK").type, "heartbeat.ok");
  const alert = message("heartbeat.ok", "The disk is full\nof logs");
  assert.deepEqual([alert.type, alert.severity, alert.needs_response], ["incident.detected", "warning", true]);
  assert.deepEqual([alert.title, alert.body], ["The disk is full", "of logs"]);
});

test("a title is one line, and nothing of a long one is lost", () => {
  assert.deepEqual(titled("# Report\n\nAll is well."), { title: "Report", body: "All is well." });
  const long = "word ".repeat(100).trim();
  assert.equal(titled(long).body, long);
  assert.ok(titled(long).title.length <= 200);
  assert.deepEqual(titled("  \n"), { title: "(no text)", body: "" });
  assert.ok(titled("😀".repeat(150)).title.isWellFormed?.() ?? true);
  assert.match(message("a.b", "x", { part: 1, parts: 3 }).title, /\(2\/3\)$/);
});

test("a call without a type or a title is refused", () => {
  assert.throws(() => signalOfCall({ title: "x" }, mine), /type is missing/);
  assert.throws(() => signalOfCall({ type: "a.b" }, mine), /title is missing/);
  assert.deepEqual(signalOfCall({ type: "a.b", title: "x" }, mine), { type: "a.b", source: "openclaw", title: "x" });
});

test("all events of a run are one signal", () => {
  assert.equal(announcedRun("announce:v1:agent:main:subagent:1:run-1"), "run-1");
  assert.equal(announcedRun("run-1"), undefined);
  const published = [];
  const all = new Subagents({ source: "openclaw", publish: (signal) => published.push(signal), now: () => 5_000 });
  for (let twice = 0; twice < 2; ++twice) {
    all.spawned({ runId: "run-1", childSessionKey: "s", label: "look around", agentId: "main" });
    all.progress({ phase: "ended", runId: "run-1", outcome: "ok" });
    all.ended({ runId: "run-1", outcome: "ok", endedAt: 9_000 });
    all.told({ runId: "announce:v1:s:run-1", to: "chat", content: "It is fine.", success: true }, "detent");
  }
  assert.equal(published.length, 1);
  const [{ type, title, body, took_ms, severity, id }] = published;
  assert.deepEqual([type, title, body, took_ms, severity], ["subagent.completed", "look around is done", "It is fine.", 4_000, "info"]);
  assert.equal(id, idOf(9_000, "subagent", "run-1"));
});

test("a run whose text never comes is published without it, and one that was told as a signal is not told again", async () => {
  const published = [];
  let seen;
  const first = new Promise((done) => (seen = done));
  const all = new Subagents({ source: "openclaw", publish: (signal) => seen(published.push(signal)), causeMs: 20 });
  const running = setInterval(() => {}, 1_000); // the plugin's own timers keep no process alive
  all.progress({ phase: "ended", runId: "r0", outcome: "error" }); // its requester cannot be told: no more will come
  await first;
  all.progress({ phase: "ended", runId: "r1", outcome: "error" });
  all.ended({ runId: "r1", outcome: "error", error: "boom", endedAt: 9 });
  clearInterval(running);
  assert.deepEqual(published.map(({ type, severity, error }) => [type, severity, error]), [["subagent.failed", "error", undefined], ["subagent.failed", "error", "boom"]]);
  all.spawned({ runId: "r2" });
  all.ended({ runId: "r2", outcome: "ok", endedAt: 9 });
  all.told({ runId: "announce:v1:s:r2", to: "subagent.completed", content: "x", success: true }, "detent");
  all.ended({ runId: "r3", outcome: "timeout", endedAt: 9 });
  await all.close();
  assert.deepEqual(published.slice(2).map(({ title }) => title), ["sub-agent ran out of time"]);
  assert.equal(signalOfSubagent({ runId: "r", outcome: "killed", endedAt: 9 }, mine).type, "subagent.failed");
});

/** A broker that answers with `status` and a folder for the spool. */
async function scene(t, options = {}) {
  const broker = { status: 200, taken: [], answer: "{}" };
  const server = createServer((request, response) => {
    let raw = "";
    request.on("data", (part) => (raw += part)).on("end", () => {
      if (broker.status === 200) broker.taken.push(JSON.parse(raw));
      response.writeHead(broker.status).end(broker.answer);
      if (broker.status === 200) broker.told?.();
    });
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const folder = mkdtempSync(join(tmpdir(), "detent-spool-"));
  t.after(() => (server.closeAllConnections(), server.close(), rmSync(folder, { recursive: true })));
  const clock = { now: 1_000_000 };
  const said = [];
  const log = { info: (text) => said.push(text), warn: (text) => said.push(text), error: (text) => said.push(text) };
  const url = `http://127.0.0.1:${server.address().port}/`;
  const make = () => new Publisher({ url, spool: new Spool(join(folder, "spool"), options), log, now: () => clock.now, everyMs: 3_600_000 });
  return { broker, folder: join(folder, "spool"), clock, said, make, publisher: make() };
}
const files = (folder) => readdirSync(folder).filter((name) => name.endsWith(".json"));

test("the same content is one id for a while, also for another process, and later another", async (t) => {
  const { broker, clock, make, publisher } = await scene(t);
  const signal = { type: "a.b", title: "x" };
  const { id } = await publisher.publish(signal);
  clock.now += 60_000;
  assert.equal((await make().publish(signal)).id, id);
  assert.notEqual((await publisher.publish({ ...signal, title: "y" })).id, id);
  clock.now += 120_000;
  assert.notEqual((await publisher.publish(signal)).id, id);
  assert.equal((await publisher.publish({ ...signal, id: "01ARZ3NDEKTSV4RRFFQ69G5FAV" })).id, "01ARZ3NDEKTSV4RRFFQ69G5FAV");
  assert.equal(broker.taken.length, 5);
});

test("what is published while the broker is away waits in its order, for its owner's eyes only, and is sent once", async (t) => {
  const { broker, folder, clock, publisher, make } = await scene(t);
  broker.status = 503;
  for (const title of ["one", "two", "two", "three"]) assert.ok((await publisher.publish({ type: "a.b", title })).spooled);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  assert.equal(files(folder).length, 3);
  for (const name of files(folder)) assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600);
  clock.now += 60_000;
  assert.equal(await publisher.flush(), 3);
  broker.status = 200;
  clock.now += 60_000;
  await Promise.all([publisher.flush(), publisher.flush()]);
  assert.deepEqual(broker.taken.map(({ title }) => title), ["one", "two", "three"]);
  assert.equal(files(folder).length, 0);
  assert.equal(await make().flush(), 0);
});

test("what comes later does not overtake what waits", async (t) => {
  const { broker, clock, publisher } = await scene(t);
  broker.status = 500;
  await publisher.publish({ type: "a.b", title: "one" });
  broker.status = 200;
  clock.now += 60_000;
  assert.ok((await publisher.publish({ type: "a.b", title: "two" })).spooled);
  await publisher.flush();
  assert.deepEqual(broker.taken.map(({ title }) => title), ["one", "two"]);
});

test("what waits is sent by itself when the broker is back", async (t) => {
  const { broker, folder, publisher } = await scene(t);
  Object.assign(publisher, { everyMs: 10, timeoutMs: 200, now: Date.now });
  const running = setInterval(() => {}, 1_000); // the plugin's own timers keep no process alive
  t.after(() => clearInterval(running));
  broker.status = 503;
  await publisher.publish({ type: "a.b", title: "one" });
  broker.status = 200;
  await new Promise((done) => (broker.told = done));
  assert.deepEqual(broker.taken.map(({ title }) => title), ["one"]);
  await publisher.flush();
  assert.equal(files(folder).length, 0);
});

test("a broker that refuses the connection is away; a full spool is an error", async (t) => {
  const { folder, said } = await scene(t);
  const server = createServer();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  const spool = new Spool(folder, { maxSignals: 2 });
  const publisher = new Publisher({ url: `http://127.0.0.1:${port}`, spool, log: { warn: (text) => said.push(text) }, everyMs: 3_600_000 });
  await publisher.publish({ type: "a.b", title: "one" });
  assert.match(said[0], /does not answer: ECONNREFUSED/);
  await publisher.publish({ type: "a.b", title: "two" });
  await assert.rejects(publisher.publish({ type: "a.b", title: "three" }), /full \(2 signals/);
  assert.equal(readdirSync(folder).filter((name) => name.startsWith(".")).length, 0);
});

test("a signal that the broker refuses for good is an error, and in the spool it is kept aside and stops nobody", async (t) => {
  const { broker, folder, clock, said, publisher } = await scene(t);
  broker.status = 503;
  await publisher.publish({ type: "a.b", title: "bad" });
  broker.status = 422;
  broker.answer = '{"error":"TITLE"}';
  clock.now += 60_000;
  await publisher.flush();
  assert.equal(files(folder).length, 0);
  assert.equal(files(join(folder, "refused")).length, 1);
  assert.match(said.find((line) => line.includes("refused")), /TITLE/);
  await assert.rejects(publisher.publish({ type: "a.b", title: "worse" }), /refused the signal: .*TITLE/);
});

test("a file that is damaged is kept aside, and what is not ours is left alone", async (t) => {
  const { broker, folder, clock, publisher } = await scene(t);
  broker.status = 503;
  await publisher.publish({ type: "a.b", title: "x" });
  writeFileSync(join(folder, files(folder)[0]), "{");
  writeFileSync(join(folder, "note.json"), "mine");
  broker.status = 200;
  clock.now += 60_000;
  assert.equal(await publisher.flush(), 0);
  assert.deepEqual(files(folder), ["note.json"]);
  assert.equal(broker.taken.length, 0);
});
