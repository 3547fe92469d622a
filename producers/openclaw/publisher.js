// Signals to the broker: over HTTP where it answers, else into the spool, and from there later, in order.
import { readFile } from "node:fs/promises";
import { digest, idOf } from "./signals.js";

const REFUSED = new Set([400, 413, 422]); // about this signal; anything else is about the broker or the way to it

export class Publisher {
  constructor({ url, tokenFile, spool, log, now = Date.now, fetch = globalThis.fetch, timeoutMs = 5_000, everyMs = 10_000 }) {
    Object.assign(this, { url: url.replace(/\/+$/, ""), tokenFile, spool, log, now, fetch, timeoutMs, everyMs });
    this.awayUntil = 0;
  }

  /**
   * Returns {id, spooled} once the signal is safe: on the broker's disk, or on ours. Throws where the broker refuses it
   * for good, or where neither takes it. Without an id it gets one of its content.
   */
  async publish(given) {
    const words = digest(given);
    const signal = given.id ? given : { id: idOf(await this.spool.firstSeen(words, this.now()), words), ...given };
    // What waits goes first, and a broker that did not answer just now is not waited for again.
    const behind = this.now() < this.awayUntil || (await this.spool.waiting()).length > 0;
    if (!behind) {
      const answer = await this.#post(signal);
      if (answer.stored) return { id: signal.id, spooled: false };
      if (answer.refused) throw new Error(`detent refused the signal: ${answer.refused}`);
      this.log.warn(`detent: ${answer.away}; signals wait in ${this.spool.folder}`);
    }
    await this.spool.put(signal, this.now());
    this.flushIn(this.now() < this.awayUntil ? this.everyMs : 0);
    return { id: signal.id, spooled: true };
  }

  /** Sends what waits until all is sent or the broker is away. How many are left. */
  async flush() {
    this.flushing ??= this.#flush().finally(() => (this.flushing = undefined));
    return this.flushing;
  }

  /** Looks at the spool now and then; a process that has nothing else to do may end all the same. */
  start() {
    this.ticking ??= setInterval(() => this.flushIn(0), this.everyMs).unref();
    this.flushIn(0);
  }

  /** Flushes within `ms`, and again and again until nothing waits. */
  flushIn(ms) {
    const due = this.now() + ms;
    if (this.timer && this.due <= due) return;
    clearTimeout(this.timer);
    this.due = due;
    this.timer = setTimeout(async () => {
      this.timer = undefined;
      try {
        if (await this.flush()) this.flushIn(this.everyMs);
      } catch (error) {
        this.log.error(`detent: the spool ${this.spool.folder}: ${error.message}`);
      }
    }, ms).unref();
  }

  async #flush() {
    if (this.now() < this.awayUntil) return (await this.spool.waiting()).length;
    const all = await this.spool.waiting();
    let sent = 0;
    for (const entry of all) {
      const answer = await this.#post(await this.spool.read(entry).catch((error) => ({ unreadable: error.message })));
      if (answer.away) break;
      if (answer.refused) {
        this.log.error(`detent refused ${entry.id}: ${answer.refused}; it is kept in ${this.spool.folder}/refused`);
        await this.spool.setAside(entry);
      } else {
        await this.spool.remove(entry);
      }
      ++sent;
    }
    if (sent) this.log.info(`detent: ${sent} of ${all.length} spooled signals sent`);
    await this.spool.forgetOld(this.now());
    return all.length - sent;
  }

  /** {stored}, {refused: why} or {away: why}; never throws. */
  async #post(signal) {
    if (!signal) return { stored: true }; // another process was faster
    if (signal.unreadable) return { refused: signal.unreadable };
    try {
      const headers = { "content-type": "application/json" };
      if (this.tokenFile) headers.authorization = `Bearer ${(await readFile(this.tokenFile, "utf8")).trim()}`;
      const response = await this.fetch(`${this.url}/v1/signals`, {
        method: "POST", headers, body: JSON.stringify(signal), redirect: "error", signal: AbortSignal.timeout(this.timeoutMs),
      });
      const text = (await response.text()).slice(0, 500);
      if (response.status === 200) return { stored: true };
      if (REFUSED.has(response.status)) return { refused: text.trim() };
      this.awayUntil = this.now() + this.timeoutMs;
      return { away: `${this.url} answers ${response.status} ${text.trim()}` };
    } catch (error) {
      this.awayUntil = this.now() + this.timeoutMs;
      return { away: `${this.url} does not answer: ${error.cause?.code ?? error.cause?.message ?? error.message}` };
    }
  }
}
