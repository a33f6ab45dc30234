#!/usr/bin/env python3
"""Measures Leveret and the distribution's RabbitMQ on this machine with `leveret perf`, and prints a table.

    bench/run.py [--seconds 8] [--repeat 3] [--only NAME,...] [--update-readme]

Both brokers have their default settings, listen on 127.0.0.1 only, and start on an empty folder for each repetition;
they take turns, so that a slow drift of the machine hits both alike. The figures are medians. Every run is verified:
one that loses, doubles or reorders a message, or does not end, is reported as failed and has no figures.

RabbitMQ is left out where it is not installed (Debian: apt-get install rabbitmq-server). It is not run as a service and
what it keeps is deleted.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LEVERET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "leveret"
RABBITMQ = pathlib.Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
MARKS = ("<!-- figures: begin -->", "<!-- figures: end -->")
DURABLE = ["--durable", "--persistent"]

# name, what it shows, arguments of `leveret perf`
SCENARIOS = [
    ("transient", "1 producer, 1 consumer, 1 KiB, transient, acknowledged", []),
    ("small", "the same with 16 bytes, without acknowledgement", ["--size", "16", "--auto-ack"]),
    ("confirmed", "1 producer, 1 consumer, 1 KiB, persistent, confirm window 1000", [*DURABLE, "--confirm", "1000"]),
    ("confirmed-4", "the same with 4 producers, 4 consumers, 4 queues",
     [*DURABLE, "--confirm", "1000", "--producers", "4", "--consumers", "4", "--queues", "4"]),
    ("fan-out", "1 producer, 10 queues, 10 consumers, 100 bytes, transient",
     ["--pattern", "fan-out", "--queues", "10", "--consumers", "10", "--size", "100", "--auto-ack"]),
    ("topic", "1 producer, topic exchange, 10 queues, 100 bytes, transient",
     ["--pattern", "topic", "--queues", "10", "--consumers", "2", "--size", "100", "--auto-ack"]),
    ("latency", "5,000 messages a second, 1 KiB, persistent, confirmed, each acknowledged",
     [*DURABLE, "--confirm", "1000", "--rate", "5000", "--ack-every", "1"]),
]


class Broker:
    """A broker in a session of its own, on an empty folder."""

    def __init__(self, name):
        self.name, self.port = name, free_port()
        self.folder = tempfile.mkdtemp(prefix=f"bench-{name}-")
        command, environment = self.leveret() if name == "leveret" else self.rabbitmq()
        self.log = open(os.path.join(self.folder, "log"), "wb")
        self.process = subprocess.Popen(command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log, start_new_session=True)
        try:
            self.await_start()
        except BaseException:
            self.stop()
            raise

    def leveret(self):
        environment = {key: value for key, value in os.environ.items() if not key.startswith("LEVERET_")}
        bind = f"127.0.0.1:{self.port}"
        return [LEVERET, "serve", "--data-dir", "data", "--amqp-bind", bind, "--http-bind", ""], environment

    def rabbitmq(self):
        home = os.path.join(self.folder, "home")
        os.mkdir(home)
        for name, text in (("enabled_plugins", "[].\n"), ("rabbitmq.conf", "")):
            pathlib.Path(self.folder, name).write_text(text)
        return [RABBITMQ], {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": home, "RABBITMQ_HOME_DIR": home,
            "RABBITMQ_NODENAME": f"bench_{self.port}@localhost", "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port), "RABBITMQ_DIST_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1", "RABBITMQ_MNESIA_BASE": f"{self.folder}/mnesia",
            "RABBITMQ_LOG_BASE": f"{self.folder}/logs", "RABBITMQ_CONF_ENV_FILE": f"{self.folder}/none",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{self.folder}/enabled_plugins",
            "RABBITMQ_CONFIG_FILE": f"{self.folder}/rabbitmq",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }

    def await_start(self):
        deadline = time.time() + 90
        while time.time() < deadline:
            if self.process.poll() is not None:
                tail = pathlib.Path(self.log.name).read_text(errors="replace")[-500:]
                raise RuntimeError(f"{self.name} ended with {self.process.returncode}: {tail}")
            if self.speaks():
                return
            time.sleep(0.2)
        raise RuntimeError(f"{self.name} does not answer")

    def speaks(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                connection.settimeout(5)
                return connection.recv(1) == b"\x01"
        except OSError:
            return False

    def cpu_seconds(self):
        """CPU time of the broker's session so far."""
        ticks = 0
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == self.process.pid:
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def stop(self):
        """Ends what this has started, the session it leads."""
        self.process.terminate()
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def free_port():
    """A port below those that the system hands out to clients, which could take it before the broker does."""
    for port in range(5680, 6680):
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in free_port.given:
            free_port.given.add(port)
            return port
    raise RuntimeError("no free port")


free_port.given = set()


def measure(broker, arguments, seconds):
    """One run; a dictionary of figures, or with the key error."""
    uri = f"amqp://guest:guest@127.0.0.1:{broker.port}/"
    command = [LEVERET, "perf", "--uri", uri, "--verify", "--time", str(seconds), "--format", "json", *arguments]
    before = broker.cpu_seconds()
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=seconds * 5 + 120)
    except subprocess.TimeoutExpired:
        return {"error": "does not end"}
    if ended.returncode != 0:
        return {"error": ended.stderr.strip().splitlines()[-1] if ended.stderr.strip() else "failed"}
    report = json.loads(ended.stdout)
    messages = max(report["published"], report["delivered"], 1)
    return {
        "rate": report["delivery_rate"],
        "end_to_end": (report["end_to_end"]["p50_us"] / 1000, report["end_to_end"]["p99_us"] / 1000),
        "confirm": report["confirm"] and (report["confirm"]["p50_us"] / 1000, report["confirm"]["p99_us"] / 1000),
        "cpu_us": (broker.cpu_seconds() - before) * 1e6 / messages,
    }


def collect(options, scenarios, brokers):
    runs = {}
    for repetition in range(options.repeat):
        for name in brokers:
            broker = Broker(name)
            try:
                for scenario, _, arguments in scenarios:
                    run = measure(broker, arguments, options.seconds)
                    runs.setdefault((scenario, name), []).append(run)
                    print(f"{repetition + 1}/{options.repeat} {name} {scenario}: {run}", file=sys.stderr, flush=True)
            finally:
                broker.stop()
    return runs


def median(runs, key, index=None):
    values = [run[key] if index is None else run[key][index] for run in runs if run.get(key)]
    return statistics.median(values) if values else None


def number(value, digits=0):
    return "-" if value is None else f"{value:,.{digits}f}"


def pair(runs, key):
    return " / ".join(number(median(runs, key, index), 2) for index in (0, 1)) if median(runs, key, 0) else "-"


def row(what, name, runs, reference):
    good = [run for run in runs if "error" not in run]
    rate, reference_rate = median(good, "rate"), median(reference, "rate")
    ratio = f"{rate / reference_rate:.2f}" if rate and reference_rate else "-"
    errors = [run["error"] for run in runs if "error" in run]
    failed = f" ({len(errors)} of {len(runs)} failed: {errors[0]})" if errors else ""
    cells = [what + failed, name, number(rate), ratio, pair(good, "confirm"), pair(good, "end_to_end"),
             number(median(good, "cpu_us"), 1)]
    return "| " + " | ".join(cells) + " |"


def table(scenarios, brokers, runs):
    lines = [
        "| | broker | messages/s | times RabbitMQ's | confirm ms, p50 / p99 | end to end ms, p50 / p99 | broker CPU µs a message |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for scenario, what, _ in scenarios:
        reference = [run for run in runs.get((scenario, "rabbitmq"), []) if "error" not in run]
        for name in brokers:
            these = runs[scenario, name]
            lines.append(row(what, name, these, [] if name == "rabbitmq" else reference))
    return "\n".join(lines)


def version(name):
    if name == "leveret":
        return subprocess.run([LEVERET, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    listed = subprocess.run(["dpkg-query", "-W", "-f=${Version}", "rabbitmq-server"], capture_output=True, text=True)
    return "RabbitMQ " + (listed.stdout.split("-")[0] or "of unknown version")


def conditions(options, brokers):
    processor = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    processor = processor.group(1) if processor else platform.machine()
    return (f"{', '.join(version(name) for name in brokers)}; {datetime.date.today()}; {os.cpu_count()} cores "
            f"({processor}), Linux {platform.release()}; medians of {options.repeat} runs of {options.seconds} s, "
            f"broker and client on the same machine, load before {os.getloadavg()[0]:.1f}.")


def update_readme(text):
    readme = ROOT / "README.md"
    before, _, rest = readme.read_text().partition(MARKS[0])
    _, found, after = rest.partition(MARKS[1])
    if not found:
        raise SystemExit("README.md has no place for figures")
    readme.write_text(f"{before}{MARKS[0]}\n\n{text}\n\n{MARKS[1]}{after}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=8, help="length of a run")
    parser.add_argument("--repeat", type=int, default=3, help="number of repetitions")
    parser.add_argument("--only", default="", help="scenarios, separated by commas: " + ", ".join(s[0] for s in SCENARIOS))
    parser.add_argument("--brokers", default="leveret,rabbitmq")
    parser.add_argument("--update-readme", action="store_true", help="put the table into README.md")
    options = parser.parse_args()
    # A terminated run stops the broker that it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    brokers = [name for name in options.brokers.split(",") if name != "rabbitmq" or RABBITMQ.exists()]
    scenarios = [s for s in SCENARIOS if not options.only or s[0] in options.only.split(",")]
    text = conditions(options, brokers) + "\n\n"
    text += table(scenarios, brokers, collect(options, scenarios, brokers))
    print(text)
    if options.update_readme:
        update_readme(text)


if __name__ == "__main__":
    main()
