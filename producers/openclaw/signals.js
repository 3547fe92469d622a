// From what OpenClaw hands over to signals in the JSON form of POST /v1/signals. Pure: no clock, no disk, no network.
import { createHash } from "node:crypto";

const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const MAX_TITLE = 200; // characters; the broker takes 512 bytes
const MAX_BODY = 256 * 1024; // characters; the broker takes 4 MiB
const TYPE = /^[a-z0-9_-]+(\.[a-z0-9_-]+)+$/;

export const digest = (...words) => createHash("sha256").update(JSON.stringify(words)).digest("hex");

/** A ULID of `timeMs` whose other 80 bits are of `words`: the same for the same. */
export function idOf(timeMs, ...words) {
  let bits = (BigInt(Math.trunc(timeMs)) << 80n) | BigInt("0x" + digest(...words).slice(0, 20));
  let text = "";
  for (let i = 0; i < 26; ++i, bits >>= 5n) text = CROCKFORD[Number(bits & 31n)] + text;
  return text;
}

/** "heartbeat.ok", "team.report": a type. "alerts", "+49…", "some chat": none. */
export const isType = (target) => target.length <= 64 && TYPE.test(target);

/** What the channel's targets are without its own name in front: "detent:chat.message". */
export const targetOf = (raw) => String(raw ?? "").trim().replace(/^detent:/i, "");

/** A heartbeat's answer when nothing wants attention. */
export const isAllClear = (text) => /^[\s*`]*HEARTBEAT_OK[\s*`.!]*$/.test(text);

const cut = (text, most) => {
  if (text.length <= most) return text;
  const end = /[\uD800-\uDBFF]/.test(text[most - 1]) ? most - 1 : most;
  return text.slice(0, end);
};

const bodyOf = (text) => (text.length > MAX_BODY ? cut(text, MAX_BODY) + "\n\n(cut)" : text);

/** The first line as a title, the rest as the body; the whole text as the body where its first line is too long. */
export function titled(text) {
  const whole = text.trim();
  const [first] = whole.split(/\r?\n/, 1);
  const title = first.replace(/^#+\s+/, "").replace(/[\x00-\x1f\x7f]/g, " ").trim();
  if (title && title.length <= MAX_TITLE) {
    const body = whole.slice(first.length).trim();
    return body ? { title, body: bodyOf(body) } : { title };
  }
  return { title: title ? cut(title, MAX_TITLE - 1) + "…" : "(no text)", body: bodyOf(whole) };
}

/**
 * A message for a target, without its id. A target that is a signal's type is that; any other is a chat's name. What
 * comes to `heartbeat.ok` and is no all-clear is one of the things that the heartbeat is there to find.
 */
export function signalOfMessage({ to, text, part = 0, parts = 1 }, { source, heartbeatNeedsResponse }) {
  const target = targetOf(to);
  if (isAllClear(text)) return { type: "heartbeat.ok", source, title: "Nothing needs attention" };
  const said = titled(text);
  if (parts > 1) said.title = `${cut(said.title, MAX_TITLE - 12)} (${part + 1}/${parts})`;
  if (target === "heartbeat.ok") {
    return {
      type: "incident.detected", source, severity: "warning", needs_response: heartbeatNeedsResponse,
      labels: { origin: "heartbeat" }, ...said,
    };
  }
  if (isType(target)) return { type: target, source, ...said };
  return { type: "chat.message", source, ...(target ? { labels: { target: cut(target, 64) } } : {}), ...said };
}

/** A call of the tool, without its id where it names none. Throws where an argument cannot be one. */
export function signalOfCall(call, { source }) {
  const { type, title, body, severity, fields, labels, thread, needs_response, id } = call;
  if (typeof type !== "string" || !type) throw new Error("detent_publish: type is missing");
  if (typeof title !== "string" || !title) throw new Error("detent_publish: title is missing");
  const signal = { type, source, title, body, severity, fields, labels, thread, needs_response, id };
  return Object.fromEntries(Object.entries(signal).filter(([, value]) => value !== undefined && value !== null));
}

/** How a sub-agent's run ended; its id is that of the run. `text` is what its requester was told of it. */
export function signalOfSubagent({ runId, label, agentId, outcome, error, endedAt, startedAt, model, text }, { source }) {
  const ok = outcome === "ok";
  const name = cut(titled(label || agentId || "sub-agent").title, 120);
  const signal = {
    id: idOf(endedAt, "subagent", runId), type: ok ? "subagent.completed" : "subagent.failed", source,
    severity: ok ? "info" : "error", title: `${name} ${ok ? "is done" : outcome === "timeout" ? "ran out of time" : "failed"}`,
  };
  if (text) signal.body = bodyOf(text.trim());
  if (agentId) signal.agent = cut(agentId, 64);
  if (label) signal.task = cut(label, 64);
  if (startedAt && endedAt >= startedAt) signal.took_ms = endedAt - startedAt;
  const cause = error || (outcome === "error" ? "" : outcome); // "error" says nothing that the type does not
  if (!ok && cause) signal.error = cut(cause, 200);
  if (model) signal.fields = { Model: cut(model, 200) };
  return signal;
}

/** The run that an announcement is about: "announce:v1:<session>:<run>". */
export function announcedRun(runId) {
  const found = /^announce:v1:.*:([^:]+)$/.exec(runId ?? "");
  return found ? found[1] : undefined;
}
