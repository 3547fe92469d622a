// Sub-agents as OpenClaw's hooks tell of them: that one began (its label), that it ended (how; at once), what its
// requester was told (the text), and that this is settled (why it failed; once the requester was told, or cannot be).
// They are joined by the run's id into one signal.
import { announcedRun, signalOfSubagent } from "./signals.js";

export class Subagents {
  /**
   * `publish` gets each signal once. `answerMs`: how long the text of a run that ended well is waited for, and `causeMs`
   * the cause of one that failed.
   */
  constructor({ publish, source, now = Date.now, answerMs = 180_000, causeMs = 5_000, maxRuns = 1_000 }) {
    Object.assign(this, { publish, source, now, answerMs, causeMs, maxRuns, runs: new Map() });
  }

  spawned({ runId, childSessionKey, label, agentId, resolvedModel }) {
    if (!runId || this.runs.get(runId)?.startedAt) return; // the plugin may be loaded several times in one process
    Object.assign(this.#run(runId), { childSessionKey, label, agentId, model: resolvedModel, startedAt: this.now() });
  }

  progress({ phase, runId, outcome }) {
    if (phase === "ended" && runId) this.#ended(runId, { outcome: outcome ?? "unknown" });
  }

  ended({ runId, outcome, reason, error, endedAt }) {
    if (!runId) return;
    this.#ended(runId, { outcome: outcome ?? (reason === "subagent-complete" ? "ok" : reason ?? "unknown"), error, endedAt });
    if (error) void this.#done(runId); // nobody waits in a hook
  }

  /** `channel`: where it went. One that came by Detent's own channel as a sub-agent's result is a signal already. */
  told({ runId, to, content, success }, channel) {
    const id = announcedRun(runId);
    const run = id && this.runs.get(id);
    if (!run || run.done || !success) return;
    run.said = channel === "detent" && /^(detent:)?subagent\./.test(to ?? "");
    run.text = content ?? "";
    if (run.outcome) void this.#done(id);
  }

  /** Publishes what waits for its text: the process is about to end. */
  async close() {
    const waiting = [...this.runs].filter(([, run]) => run.outcome && !run.done).map(([runId]) => this.#done(runId));
    await Promise.all(waiting);
  }

  #ended(runId, { outcome, error, endedAt }) {
    const run = this.#run(runId);
    if (run.done) return;
    Object.assign(run, { outcome: run.outcome ?? outcome, error: error ?? run.error, endedAt: endedAt ?? run.endedAt ?? this.now() });
    if (run.text !== undefined) return void this.#done(runId);
    // The requester's model words the answer first, which takes as long as a turn; one that is killed is not told of.
    run.timer ??= setTimeout(() => this.#done(runId), run.outcome === "ok" ? this.answerMs : this.causeMs);
    run.timer.unref?.();
  }

  #run(runId) {
    if (!this.runs.has(runId)) {
      // Those that are done are remembered only so that late and repeated events are recognised.
      if (this.runs.size >= this.maxRuns) this.runs.delete(this.runs.keys().next().value);
      this.runs.set(runId, {});
    }
    return this.runs.get(runId);
  }

  async #done(runId) {
    const run = this.runs.get(runId);
    if (!run || run.done) return;
    clearTimeout(run.timer);
    run.done = true;
    if (!run.said) await this.publish(signalOfSubagent({ runId, ...run }, { source: this.source }));
  }
}
