// Signals that wait on disk while the broker is away: one file each, in their order. Several processes may use the same
// folder (the gateway and each `openclaw` command load the plugin); what two of them send, the broker knows by its id.
import { mkdir, open, readFile, readdir, rename, stat, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";

const FILE = /^(\d{15})-(\d{6})-(\d+)-([0-9A-Z]{26})\.json$/;
const gone = (error) => {
  if (error.code !== "ENOENT") throw error;
};

export class Spool {
  /** `limits`: how many signals and bytes it holds, and for how long the same content is the same signal. */
  constructor(folder, { maxSignals = 10_000, maxBytes = 64 << 20, repeatMs = 120_000, maxRefused = 100 } = {}) {
    Object.assign(this, { folder, maxSignals, maxBytes, repeatMs, maxRefused, count: 0 });
  }

  /** Oldest first: {name, id, bytes}. Other files are none of ours. */
  async waiting() {
    const names = await readdir(this.folder).catch((error) => (gone(error), []));
    return names.sort().flatMap((name) => {
      const [, , , bytes, id] = FILE.exec(name) ?? [];
      return id ? [{ name, id, bytes: Number(bytes) }] : [];
    });
  }

  /** On disk, synced, when it returns. Throws where it is full or the disk does not take it. */
  async put(signal, now) {
    const all = await this.waiting();
    if (all.some((one) => one.id === signal.id)) return;
    const text = JSON.stringify(signal);
    const bytes = Buffer.byteLength(text);
    const held = all.reduce((sum, one) => sum + one.bytes, bytes);
    if (all.length >= this.maxSignals || held > this.maxBytes)
      throw new Error(`detent: the spool ${this.folder} is full (${all.length} signals, ${held - bytes} bytes); is the broker running?`);
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    // Never before what waits already, whatever the clock says.
    const last = all.length ? Number(FILE.exec(all.at(-1).name)[1]) : 0;
    const number = String((this.count = (this.count + 1) % 1_000_000)).padStart(6, "0");
    const when = Math.max(now, last + 1);
    const name = `${String(when).padStart(15, "0")}-${number}-${bytes}-${signal.id}.json`;
    const temporary = join(this.folder, `.${process.pid}-${name}`);
    try {
      await this.#write(temporary, text);
      await rename(temporary, join(this.folder, name));
      await this.#sync(this.folder);
    } catch (error) {
      await unlink(temporary).catch(() => {}); // it may not be there
      throw error;
    }
  }

  /** The signal, or nothing where another process took it away. */
  async read({ name }) {
    const text = await readFile(join(this.folder, name), "utf8").catch(gone);
    return text === undefined ? undefined : JSON.parse(text);
  }

  async remove({ name }) {
    await unlink(join(this.folder, name)).catch(gone);
  }

  /** What the broker refuses for good is kept aside, the latest of them, for a person to look at. */
  async setAside({ name }) {
    const aside = join(this.folder, "refused");
    await mkdir(aside, { recursive: true, mode: 0o700 });
    await rename(join(this.folder, name), join(aside, name)).catch(gone);
    const names = (await readdir(aside)).sort();
    for (const old of names.slice(0, Math.max(0, names.length - this.maxRefused))) await unlink(join(aside, old)).catch(gone);
  }

  /**
   * When content with this digest was first seen, within the last while: also by another process, and before a
   * restart. What is said again later is another signal.
   */
  async firstSeen(digest, now) {
    const folder = join(this.folder, "seen");
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, digest.slice(0, 32));
    try {
      await writeFile(path, String(now), { flag: "wx", mode: 0o600 });
      return now;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    const then = Number(await readFile(path, "utf8").catch(gone));
    if (then > 0 && now >= then && now - then < this.repeatMs) return then;
    await writeFile(path, String(now), { mode: 0o600 });
    return now;
  }

  /** Removes what was seen too long ago to matter, and what a process that was killed left half written. */
  async forgetOld(now) {
    const forget = async (folder, ours, olderMs) => {
      for (const name of await readdir(folder).catch((error) => (gone(error), []))) {
        const found = ours(name) && (await stat(join(folder, name)).catch(gone));
        if (found && now - found.mtimeMs > olderMs) await unlink(join(folder, name)).catch(gone);
      }
    };
    await forget(join(this.folder, "seen"), () => true, this.repeatMs);
    await forget(this.folder, (name) => /^\.\d+-.*\.json$/.test(name), 3_600_000);
  }

  async #write(path, text) {
    const file = await open(path, "wx", 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  async #sync(folder) {
    const directory = await open(folder, "r");
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }
}
