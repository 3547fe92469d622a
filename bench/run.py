"""Runs detent-bench against servers of its own, in rounds, and makes the table. Started by script/bench."""

import argparse
import ctypes
import datetime
import json
import os
import pathlib
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = ROOT / "build/release/bin"
CHANNEL = "discord.system"
ANY_SIZE = "64GiB"


def die_with_parent():
    ctypes.CDLL("libc.so.6").prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: also where this program is killed


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port, process, patience=60):
    until = time.monotonic() + patience
    while time.monotonic() < until:
        if process.poll() is not None:
            sys.exit(f"{process.args[0]} ended at once: see its output above")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    sys.exit(f"{process.args[0]} does not listen on port {port}")


class Server:
    """A process that is up inside a `with`, and its folder."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.process = None

    def start(self, command, port=None):
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=open(self.folder / "log", "ab"),
                                        start_new_session=True, preexec_fn=die_with_parent)
        if port:
            wait_for_port(port, self.process)

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def cpu(self):
        """Seconds of user and system time so far."""
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def pss(self):
        """Bytes."""
        with open(f"/proc/{self.process.pid}/smaps_rollup") as rollup:
            for line in rollup:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
        return 0

    def pss_at_rest(self, patience=15):
        """Bytes, once it has not fallen for two seconds: what a burst leaves in the allocator goes back by then."""
        least, since = self.pss(), time.monotonic()
        until = since + patience
        while time.monotonic() < min(until, since + 2):
            time.sleep(0.1)
            if (now := self.pss()) < least * 0.99:
                least, since = now, time.monotonic()
        return self.pss()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


class Broker(Server):
    def __init__(self, folder, sandbox="http://127.0.0.1:9"):
        super().__init__(folder)
        self.http = free_port()
        self.endpoint = f"tcp://127.0.0.1:{self.port}"
        self.config = self.folder / "detent.toml"
        (self.folder / "token").write_text("bench-token")
        (self.folder / "token").chmod(0o600)
        self.config.write_text(f"""
state = "{self.folder}/state"
[log]
level = "warn"
[broker]
listen = "{self.endpoint}"
http = "127.0.0.1:{self.http}"
max_backlog = {{ bytes = "{ANY_SIZE}", age = "30d" }}
[ledger]
max_lag = "{ANY_SIZE}"
[discord]
api = "{sandbox}/discord/api/v10"
token_file = "{self.folder}/token"
requests_per_second = 50
[discord.channels]
system = "1100000000000000004"
""")
        self.up()

    def up(self):
        self.start([str(BIN / "detent-broker"), "--config", str(self.config)], self.port)
        wait_for_port(self.http, self.process)
        self.wait_for_spares()

    def wait_for_spares(self, wanted=2, patience=60):
        """Until the segments that it keeps ready are there: what fills them with zeros costs the disk."""
        until = time.monotonic() + patience
        while time.monotonic() < until:
            names = os.listdir(self.folder / "state/journal")
            spares = [name for name in names if name.startswith("spare-")]
            if len(spares) >= wanted and not any(name.endswith(".making") for name in names):
                return
            time.sleep(0.01)
        sys.exit(f"{self.folder}/state/journal has no {wanted} spare segments after {patience} s: is the disk full?")

    def status(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/v1/status", timeout=60) as answer:
            return json.load(answer)


class Nats(Server):
    def __init__(self, folder):
        super().__init__(folder)
        self.url = f"nats://127.0.0.1:{self.port}"
        self.start(["nats-server", "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(self.folder)], self.port)


class Redis(Server):
    def __init__(self, folder):
        super().__init__(folder)
        self.start(["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder), "--appendonly",
                    "yes", "--appendfsync", "always", "--save", "", "--daemonize", "no", "--logfile", ""], self.port)


class Sandbox(Server):
    def __init__(self, folder):
        super().__init__(folder)
        self.url = f"http://127.0.0.1:{self.port}"
        self.start([str(BIN / "detent-sandbox"), "--listen", f"127.0.0.1:{self.port}", "--discord-limit", "off",
                    "--discord-global", "off"], self.port)


def bench(*words, server=None):
    """Runs one measurement; its figures, with the server's CPU time as "server_cpu"."""
    before = server.cpu() if server else 0
    command = [str(BIN / "detent-bench"), *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True,
                          preexec_fn=die_with_parent) as running:
        try:
            out, _ = running.communicate(timeout=900)
        except BaseException:
            os.killpg(running.pid, signal.SIGKILL)
            raise
    if running.returncode != 0:
        if server and (server.folder / "log").exists():
            sys.stderr.write((server.folder / "log").read_text()[-2000:])
        sys.exit(f"{' '.join(command)} failed")
    figures = json.loads(out)
    if server:
        figures["server_cpu"] = server.cpu() - before
    return figures


class Bench:
    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.found = {}  # measurement -> figures of each round
        self.redis_shape = None
        self.count = 100_000 if options.quick else 1_000_000

    def wants(self, name):
        return not self.options.only or self.options.only in name

    def note(self, name, figures):
        self.found.setdefault(name, []).append(figures)
        shown = ", ".join(f"{key} {value:,.6g}" for key, value in figures.items())
        print(f"  {name}: {shown}", flush=True)

    # ---- in rounds

    def publish(self):
        with Nats(self.folder / "nats") as nats:
            self.note("publish.jetstream", bench("jetstream", "--at", nats.url, "--count", self.count, server=nats))
        self.publish_to_detent("publish.packed")
        with Redis(self.folder / "redis") as redis:
            if not self.redis_shape:
                tried = {}
                for shape in ((1, 64), (1, 512), (1, 4096), (4, 512), (16, 64), (50, 16), (50, 64), (50, 256)):
                    tried[shape] = bench("redis", "--port", redis.port, "--clients", shape[0], "--depth", shape[1], "--count",
                                         self.count // 10)["rate"]
                self.redis_shape = max(tried, key=tried.get)
                print("  redis: clients x depth: " + ", ".join(f"{c}x{d} {rate:,.0f}/s" for (c, d), rate in tried.items()))
            clients, depth = self.redis_shape
            self.note("publish.redis", bench("redis", "--port", redis.port, "--clients", clients, "--depth", depth, "--count",
                                             self.count, server=redis))
        self.note("publish.zeromq", bench("zeromq", "--count", self.count))
        self.publish_to_detent("publish.single", "--one-a-frame")

    def publish_to_detent(self, name, *more):
        with Broker(self.folder / "broker") as broker:
            figures = bench("publish", "--at", broker.endpoint, "--count", self.count, *more, server=broker)
            figures["ledger_behind"] = broker.status()["ledger"]["behind"]
            self.note(name, figures)

    def deliver(self):
        count = self.count // 2
        with Nats(self.folder / "nats") as nats:
            self.note("deliver.jetstream", bench("jetstream-deliver", "--at", nats.url, "--count", count, server=nats))
        with Broker(self.folder / "broker") as broker:
            figures = bench("deliver", "--at", broker.endpoint, "--channel", CHANNEL, "--count", count, server=broker)
            figures["ledger_behind"] = broker.status()["ledger"]["behind"]
            self.note("deliver.detent", figures)

    def alone(self):
        # In small slices: a disk's mood changes within seconds, by far more than what is to be told here.
        count = self.count // 1000
        with Broker(self.folder / "broker") as broker:
            for _ in range(10):
                self.note("alone.sync", bench("sync", "--directory", self.folder, "--count", count))
                self.note("alone.detent", bench("alone", "--at", broker.endpoint, "--count", count))
                self.note("alone.round_trip", bench("round-trip", "--count", count))

    def visible(self):
        with Sandbox(self.folder / "sandbox") as sandbox, Broker(self.folder / "broker", sandbox.url) as broker, \
                Server(self.folder / "discord") as discord:
            discord.start([str(BIN / "detent-discord"), "--config", str(broker.config), "--channel", "system"])
            self.note("visible.detent", bench("visible", "--at", broker.endpoint, "--sandbox", sandbox.url, "--count",
                                              self.count // 10_000, server=broker))

    def restart(self):
        with Broker(self.folder / "broker") as broker:
            figures = {"pss_idle": broker.pss()}
            bench("publish", "--at", broker.endpoint, "--count", self.count)
            figures["pss_after_burst"] = broker.pss()
            figures["pss_backlog"] = broker.pss_at_rest()
            broker.stop(signal.SIGKILL)
            words = ("restart", "--at", broker.endpoint, "--channel", CHANNEL, "--broker", BIN / "detent-broker", "--config",
                     broker.config)
            figures["after_kill"] = bench(*words)["delivered"]
            broker.up()
            figures["pss_backlog"] = max(figures["pss_backlog"], broker.pss_at_rest())
            broker.stop()
            figures["after_stop"] = bench(*words)["delivered"]
            self.note("restart.detent", figures)

    # ---- once

    def ledger(self):
        count = self.count * 5
        limit = 10 if self.options.quick else 60
        with Broker(self.folder / "broker") as broker:
            bench("publish", "--at", broker.endpoint, "--count", count)
            broker.stop(signal.SIGKILL)
            shutil.rmtree(broker.folder / "state/ledger.git")  # all of the journal is its backlog
            broker.up()
            begin, first = time.monotonic(), broker.status()["ledger"]["last_seq"]
            before, took, last = broker.cpu(), 0, first
            while took < limit and last < count:
                time.sleep(0.25)
                last = broker.status()["ledger"]["last_seq"]
                took = time.monotonic() - begin
            self.note("ledger.detent", {"rate": (last - first) / took, "seconds": took, "signals": last - first,
                                        "server_cpu": broker.cpu() - before})

    def run(self):
        rounds = 1 if self.options.quick else self.options.rounds
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", flush=True)
            for name in ("publish", "deliver", "alone", "restart", "visible"):
                if self.wants(name):
                    getattr(self, name)()
        if self.wants("ledger"):
            print("once", flush=True)
            self.ledger()

    # ---- what came out

    def median(self, name, figure):
        return statistics.median(each[figure] for each in self.found[name])

    def ratio(self, ours, reference):
        """Median over the rounds of the ratio within each."""
        return statistics.median(a["rate"] / b["rate"] for a, b in zip(self.found[ours], self.found[reference]))

    def rows(self):
        def per_second(name):
            return f"{self.median(name, 'rate'):,.0f}/s"

        def against(work, ours, reference, called, at_least):
            ratio = self.ratio(ours, reference)
            return (work, per_second(ours), f"{called}: {per_second(reference)}", f"{ratio:.2f}x", f"at least {at_least}x",
                    ratio >= at_least)

        def no_more(work, value, limit, unit, reference="–"):
            return work, f"{value:.3g} {unit}", reference, "–", f"at most {limit} {unit}", value <= limit

        table = []
        if "publish.packed" in self.found:
            clients, depth = self.redis_shape
            millions = f"{self.count:,} signals"
            table += [
                against(f"publish, pipelined and packed, {millions}", "publish.packed", "publish.jetstream",
                        "JetStream file stream (no fsync)", 6),
                against("", "publish.packed", "publish.redis",
                        f"Redis Streams, appendfsync always, {clients} clients x {depth} deep", 3),
                against("", "publish.packed", "publish.zeromq", "raw ZeroMQ, one signal a frame", 0.6),
                against("the same, one signal a frame", "publish.single", "publish.zeromq", "raw ZeroMQ, one signal a frame", 0.4),
            ]
        if "deliver.detent" in self.found:
            table.append(against("publish -> deliver -> settle, one channel", "deliver.detent", "deliver.jetstream",
                                 "JetStream publish -> deliver -> ack", 6))
        if "alone.detent" in self.found:
            ratio = statistics.median(
                ours["ack_p50"] / (sync["sync_p50"] + trip["round_trip_p50"]) for ours, sync, trip in
                zip(self.found["alone.detent"], self.found["alone.sync"], self.found["alone.round_trip"]))
            table.append(("one publish at a time, p50 to durable ack", f"{self.median('alone.detent', 'ack_p50'):.0f} µs",
                          f"fdatasync p50 {self.median('alone.sync', 'sync_p50'):.0f} µs + ZeroMQ round trip p50 "
                          f"{self.median('alone.round_trip', 'round_trip_p50'):.0f} µs", f"{ratio:.2f}x", "at most 1.5x",
                          ratio <= 1.5))
        if "restart.detent" in self.found:
            killed, stopped = self.median("restart.detent", "after_kill"), self.median("restart.detent", "after_stop")
            backlog = f"{self.count:,} undelivered signals"
            table += [
                no_more(f"restart with {backlog}, after kill -9 -> first delivery", killed, 1, "s"),
                no_more("the same after SIGTERM", stopped, 1, "s"),
                no_more("broker's memory (PSS), idle", self.median("restart.detent", "pss_idle") / 2**20, 20, "MB"),
                no_more(f"broker's memory (PSS) at rest, {backlog} (at the end of the burst: "
                        f"{self.median('restart.detent', 'pss_after_burst') / 2**20:.0f} MB)", self.median("restart.detent", "pss_backlog") / 2**20, 128, "MB"),
            ]
        if "visible.detent" in self.found:
            table.append(no_more("publish -> visible in the sandbox's Discord, p50",
                                 self.median("visible.detent", "visible_p50") / 1000, 5, "ms"))
        if "ledger.detent" in self.found:
            rate, found = self.median("ledger.detent", "rate"), self.found["ledger.detent"][0]
            table.append((f"ledger draining a backlog ({found['seconds']:.0f} s, {found['signals']:,.0f} signals)",
                          f"{rate:,.0f}/s", "–", "–", "at least 50,000/s", rate >= 50_000))
        return table

    def table(self):
        lines = ["| work | detent | reference in the same round | ratio | wanted | |", "|---|---|---|---|---|---|"]
        for work, ours, reference, ratio, wanted, met in self.rows():
            lines.append(f"| {work} | {ours} | {reference} | {ratio} | {wanted} | {'met' if met else '**below**'} |")
        return lines

    def details(self):
        """Spreads and CPU time."""
        names = {"publish.packed": "publish, packed", "publish.single": "publish, one signal a frame",
                 "publish.jetstream": "JetStream publish", "publish.redis": "Redis XADD", "publish.zeromq": "raw ZeroMQ",
                 "deliver.detent": "publish -> deliver -> settle", "deliver.jetstream": "JetStream publish -> deliver -> ack",
                 "alone.detent": "one publish at a time", "alone.sync": "fdatasync of 512 bytes",
                 "alone.round_trip": "ZeroMQ round trip", "visible.detent": "publish -> visible"}
        lines = ["| | p50 µs | p99 µs | p99.9 µs | CPU s per million, client | server | signals that the ledger was behind at the end |",
                 "|---|---|---|---|---|---|---|"]
        for key, name in names.items():
            if key not in self.found:
                continue
            figures = {figure: self.median(key, figure) for figure in self.found[key][0]}
            for spread, shown in (("ack", name), ("library", name + ", through the publisher library"), ("sync", name),
                                  ("round_trip", name), ("visible", name), (None, name)):
                if spread is None and any(figure.endswith("_p50") for figure in figures):
                    continue
                if spread and f"{spread}_p50" not in figures:
                    continue
                micros = [f"{figures[f'{spread}_{part}']:,.0f}" if spread else "–" for part in ("p50", "p99", "p999")]
                count = self.count // 2 if key.startswith("deliver") else self.count
                cpu = [f"{figures[side] / count * 1e6:.2f}" if side in figures and "rate" in figures else "–"
                       for side in ("cpu", "server_cpu")]
                behind = f"{figures['ledger_behind']:,.0f}" if "ledger_behind" in figures else "–"
                lines.append(f"| {shown} | {' | '.join(micros)} | {' | '.join(cpu)} | {behind} |")
        return lines


def output_of(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "?"


def machine():
    model = "?"
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    changed = " with local changes" if output_of("git", "status", "--porcelain", "--untracked-files=no") else ""
    return [
        f"- Machine: {model}, {os.cpu_count()} cores, {memory:.0f} GiB, {output_of('findmnt', '-no', 'FSTYPE', '-T', str(BIN))}; "
        f"Linux {platform.release()}",
        f"- Versions: {output_of('nats-server', '--version')}; {output_of('redis-server', '--version').split(' sha')[0]}; "
        f"libzmq {output_of('pkg-config', '--modversion', 'libzmq')}; libnats {output_of('pkg-config', '--modversion', 'libnats')}; "
        f"{output_of('g++', '--version').splitlines()[0]}",
        f"- Commit {output_of('git', 'rev-parse', '--short=12', 'HEAD')}{changed}, "
        f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC",
    ]


NOTES = """\
Every ratio is the median over the rounds of the ratio within a round, whose measurements run one after another; so the
machine's moods cancel out, and absolute figures are only that machine's in those minutes. Signals are 256 bytes, the
ledger is on. Acknowledgements of Detent and of Redis (`appendfsync always`) come after the sync; nats-server as packaged
cannot sync before it acknowledges, so its figures are of writes to the page cache. "One publish at a time" speaks over a bare
connection, as the ZeroMQ round trip does; the publisher library's own thread adds what its row in the second table shows.
CPU time is of all threads, the ledger's share included.
"""


def main():
    parser = argparse.ArgumentParser(prog="script/bench")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--no-build", action="store_true")
    options = parser.parse_args()

    def stopped(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stopped)
    if not (BIN / "detent-bench").exists():
        sys.exit("build/release/bin/detent-bench is not there: script/bootstrap --bench installs what it needs, "
                 "script/build release builds it")
    # Beside the build, not in /tmp: that may be memory, and then a sync costs nothing.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=ROOT / "build/release"))
    work = Bench(options, folder)
    try:
        work.run()
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    table, details = work.table(), work.details()
    print()
    print("\n".join(table + [""] + details))
    if not options.quick and not options.only:
        (ROOT / "bench/RESULTS.md").write_text("\n".join(
            ["# What script/bench found", "", *machine(), f"- Rounds: {options.rounds}, of which the median counts", "", *table, "", *details, "", NOTES]))
        print("\nwritten to bench/RESULTS.md")


if __name__ == "__main__":
    main()
