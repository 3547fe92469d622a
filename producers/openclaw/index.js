// The plugin: an outbound channel `detent`, a tool `detent_publish`, and sub-agents' results by hooks. docs/openclaw.md
// has its settings. It is written for OpenClaw 2026.9.6, whose plugin interfaces may change with any version.
import { homedir } from "node:os";
import { join } from "node:path";
import { createChannelPluginBase, createChatChannelPlugin } from "openclaw/plugin-sdk/channel-core";
import { definePluginEntry } from "openclaw/plugin-sdk/plugin-entry";
import { Publisher } from "./publisher.js";
import { signalOfCall, signalOfMessage, targetOf } from "./signals.js";
import { Spool } from "./spool.js";
import { Subagents } from "./subagents.js";

function account(cfg) {
  const given = cfg?.channels?.detent ?? {};
  return {
    accountId: "default",
    enabled: given.enabled !== false,
    url: given.url ?? "http://127.0.0.1:7480",
    tokenFile: given.tokenFile,
    spool: given.spool ?? join(process.env.OPENCLAW_STATE_DIR ?? join(homedir(), ".openclaw"), "detent-spool"),
    source: given.source ?? "openclaw",
    heartbeatNeedsResponse: given.heartbeatNeedsResponse !== false,
  };
}

// One of each for the process, however often OpenClaw loads this file.
const shared = (globalThis[Symbol.for("detent.openclaw")] ??= { publishers: new Map(), log: console });

function publisherOf(cfg) {
  const { url, tokenFile, spool } = account(cfg);
  const key = JSON.stringify([url, tokenFile, spool]);
  if (!shared.publishers.has(key)) {
    const log = Object.fromEntries(["info", "warn", "error"].map((level) => [level, (text) => shared.log[level]?.(text)]));
    shared.publishers.set(key, new Publisher({ url, tokenFile, spool: new Spool(spool), log }));
  }
  return shared.publishers.get(key);
}

/** Publishes what a hook saw. Nobody waits for it, so a failure is told in the log. */
const publishSeen = (signal) =>
  publisherOf(shared.config).publish(signal).catch((error) => shared.log.error?.(`detent: ${signal.type} "${signal.title}": ${error.message}`));

const channel = createChatChannelPlugin({
  base: {
    ...createChannelPluginBase({
      id: "detent",
      meta: { id: "detent", label: "Detent", selectionLabel: "Detent", docsPath: "/channels/detent", blurb: "Typed signals to a Detent broker." },
      capabilities: { chatTypes: ["channel"] },
      config: {
        listAccountIds: () => ["default"],
        resolveAccount: account,
        inspectAccount: (cfg) => ({ enabled: account(cfg).enabled, configured: Boolean(cfg?.channels?.detent) }),
        isConfigured: (_account, cfg) => Boolean(cfg?.channels?.detent),
      },
      setup: { applyAccountConfig: ({ cfg }) => cfg },
    }),
    messaging: { normalizeTarget: targetOf, targetResolver: { looksLikeId: () => true, hint: "<a signal's type, or a chat's name>" } },
    // Nothing comes in. An account that ends is restarted again and again, and /readyz never turns good.
    gateway: {
      startAccount: (ctx) => new Promise((done) => {
        publisherOf(ctx.cfg).start();
        ctx.setStatus?.({ ...ctx.getStatus?.(), accountId: ctx.accountId, running: true, connected: true, lastStartAt: Date.now() });
        if (ctx.abortSignal.aborted) return done();
        ctx.abortSignal.addEventListener("abort", () => done(), { once: true });
      }),
    },
  },
  outbound: {
    base: { deliveryMode: "direct" },
    attachedResults: {
      channel: "detent",
      sendText: async ({ cfg, to, text, deliveryPartIndex: part, deliveryPartCount: parts }) => {
        const { id } = await publisherOf(cfg).publish(signalOfMessage({ to, text, part, parts }, account(cfg)));
        return { messageId: id };
      },
    },
  },
});

const texts = (description) => ({ type: "object", additionalProperties: { type: "string" }, description });
const parameters = {
  type: "object",
  required: ["type", "title"],
  additionalProperties: false,
  properties: {
    type: { type: "string", description: "incident.detected, cron.output, briefing.morning, memory.updated, chat.message, or one of your own (a.b)." },
    title: { type: "string", description: "One line: what happened." },
    body: { type: "string", description: "More of it, in Markdown." },
    severity: { type: "string", enum: ["info", "notice", "warning", "error", "critical"] },
    fields: texts("Short facts, such as the host."),
    labels: texts("What the operator's routes look at."),
    thread: { type: "string", description: "Signals with the same key are shown together." },
    needs_response: { type: "boolean", description: "The operator must do something: it reaches their phone." },
    id: { type: "string", description: "A ULID; the same id is the same signal." },
  },
};

export default definePluginEntry({
  id: "detent",
  name: "Detent",
  description: "Outbound channel and tool that publish signals to a Detent broker.",
  register(api) {
    if (api.registrationMode === "cli-metadata") return;
    if (api.logger) shared.log = api.logger;
    shared.config = api.config; // a reload registers anew
    if (api.registrationMode !== "tool-discovery") api.registerChannel({ plugin: channel });
    api.registerTool({
      name: "detent_publish",
      description: "Publish a typed signal to Detent, which keeps it until it has reached the place where it belongs.",
      parameters,
      async execute(_call, given) {
        const { id, spooled } = await publisherOf(api.config).publish(signalOfCall(given, account(api.config)));
        return { content: [{ type: "text", text: `${id} ${spooled ? "spooled: the broker is away" : "journalled"}` }], details: {} };
      },
    });
    // In every mode: in an agent's turn the plugin is loaded for discovery only, and that is where the hooks fire.
    const { source } = account(api.config);
    const subagents = (shared.subagents ??= new Subagents({ source, publish: publishSeen }));
    api.on("subagent_spawned", (event) => subagents.spawned(event));
    api.on("subagent_progress", (event) => subagents.progress(event));
    api.on("subagent_ended", (event) => subagents.ended(event));
    api.on("message_sent", (event, ctx) => subagents.told(event, ctx?.channelId));
    api.on("gateway_stop", () => subagents.close());
    publisherOf(api.config).flushIn(0);
  },
});
