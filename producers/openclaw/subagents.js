// Sub-agents as OpenClaw's hooks tell of them, in three events: that one began (its label), that it ended (how), and
// what its requester was told (the text). They are joined by the run's id into one signal.
import { announcedRun, signalOfSubagent } from "./signals.js";

export class Subagents {
  /** `publish` gets each signal once. `answerMs`: how long the text of a run that ended is waited for. */
  constructor({ publish, source, now = Date.now, answerMs = 180_000, maxRuns = 1_000 }) {
    Object.assign(this, { publish, source, now, answerMs, maxRuns, runs: new Map() });
  }

  spawned({ runId, childSessionKey, label, agentId, resolvedModel }) {
    if (!runId || this.runs.get(runId)?.startedAt) return; // the plugin may be loaded several times in one process
    Object.assign(this.#run(runId), { childSessionKey, label, agentId, model: resolvedModel, startedAt: this.now() });
  }

  ended({ runId, outcome, reason, error, endedAt }) {
    const run = runId && this.#run(runId);
    if (!run || run.outcome) return;
    run.outcome = outcome ?? (reason === "subagent-complete" ? "ok" : reason ?? "unknown");
    Object.assign(run, { error, endedAt: endedAt ?? this.now() });
    // The requester's model words the answer first, which takes as long as a turn; one that is killed is not told of.
    if (run.text !== undefined) return void this.#done(runId); // nobody waits in a hook
    run.timer = setTimeout(() => this.#done(runId), this.answerMs);
    run.timer.unref?.();
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
