#!/usr/bin/env python3
"""Measures what Leveret takes of memory and disk under loads that grow: long backlogs, and clients that do not keep up.

    bench/memory.py [--only NAME ...] [--list] [--scale 1.0] [--update-readme]

Each load has a broker of its own, just started on an empty folder. Memory is the most that was resident at any time; the
data folder is looked at when the load is complete, and a minute after everything was consumed.
"""

import argparse
import contextlib
import json
import pathlib
import signal
import subprocess
import sys
import time

import readme
from brokers import LEVERET, Broker, provenance
from idle import allow_open_files
from wire import Connection

MIB = 2**20
PERSISTENT = ("--durable", "--persistent", "--confirm", "10000")
# Seconds after the last message was consumed at which the data folder is looked at again.
REST = 60
LOADS = {}


def load(title):
    def register(measure):
        LOADS[measure.__name__.replace("_", "-")] = (title, measure)
        return measure
    return register


class Load:
    """A broker under a load, and what was noticed."""

    def __init__(self, broker, scale):
        self.broker, self.scale, self.notes = broker, scale, []

    def scaled(self, count):
        return max(1, int(count * self.scale))

    def perf(self, *flags, keep=True, meanwhile=lambda process: None):
        uri = f"amqp://guest:guest@127.0.0.1:{self.broker.port}/"
        command = [LEVERET, "perf", "--uri", uri, "--format", "json", *map(str, flags), *(["--keep"] if keep else [])]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            meanwhile(process)
            result, errors = process.communicate(timeout=3600)
        if process.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))}: {errors[-500:]}")
        return json.loads(result)

    def publish(self, messages, *flags, size=100):
        flags = ("--consumers", 0, "--size", size, "--messages", self.scaled(messages), *flags)
        result = self.perf(*flags)
        self.note(f"published {result['publish_rate']:,.0f}/s")

    def drain(self, messages, *flags):
        count, seen = self.scaled(messages), []

        def watch(process):
            with Connection(self.broker.port) as connection:
                while process.poll() is None:
                    seen.append((time.monotonic(), connection.messages("leveret.perf.0")))
                    time.sleep(0.01)

        result = self.perf("--producers", 0, "--messages", count, *flags, meanwhile=watch)
        self.note(f"drained {result['delivery_rate']:,.0f}/s, the last tenth at {tenths(seen, count):.2f} of the first's rate")

    def note(self, text):
        self.notes.append(text)

    def note_disk(self, when):
        data = pathlib.Path(self.broker.folder, "data")
        size = sum(file.stat().st_blocks * 512 for file in data.rglob("*") if file.is_file())
        self.note(f"data folder {when} {size / MIB:,.0f} MiB")


def tenths(seen, count):
    """Of a queue that is emptied: how fast the last tenth of so many messages went, compared with the first."""
    def when(left):
        """When so many were left, between the looks before and after."""
        late = next(index for index, (_, ready) in enumerate(seen) if ready <= left)
        (early_at, more), (late_at, less) = seen[max(0, late - 1)], seen[late]
        return late_at if more == less else early_at + (late_at - early_at) * (more - left) / (more - less)

    first = when(count * 0.9) - when(count * 0.999)
    last = when(count * 0.001) - when(count * 0.1)
    return first / last


def backlog(load, messages, *flags, size=100):
    load.publish(messages, *flags, size=size)
    load.note_disk("full")
    load.drain(messages, *flags)
    time.sleep(REST)
    load.note_disk("a minute after")


@load("10,000,000 persistent messages of 100 bytes in one queue; killed, started, consumed")
def one_queue(load):
    count = 10_000_000
    load.publish(count, *PERSISTENT)
    load.note_disk("full")
    load.note(f"peak before the kill {load.broker.memory().peak / MIB:,.0f} MiB")
    load.broker.crash()
    begin = time.monotonic()
    load.broker.start()
    with Connection(load.broker.port) as connection:
        connection.get("leveret.perf.0")
        load.note(f"first delivery {time.monotonic() - begin:.2f} s after the start")
    load.drain(count, *PERSISTENT)
    time.sleep(REST)
    load.note_disk("a minute after")


@load("the same, transient")
def one_queue_transient(load):
    backlog(load, 10_000_000)


@load("10,000,000 persistent messages of 100 bytes in one queue with 10 priorities")
def priorities(load):
    backlog(load, 10_000_000, "--queue-argument", "x-max-priority=10", *PERSISTENT)


@load("10,000 queues of 1,000 persistent messages of 100 bytes")
def many_queues(load):
    load.publish(10_000_000, "--queues", 10_000, *PERSISTENT)
    load.note_disk("full")


@load("the same, transient")
def many_queues_transient(load):
    load.publish(10_000_000, "--queues", 10_000)
    load.note_disk("full")


@load("100,000 durable queues of one message; killed and started")
def single_messages(load):
    count = load.scaled(100_000)
    load.publish(100_000, "--queues", count, *PERSISTENT)
    load.broker.crash()
    begin = time.monotonic()
    load.broker.start()
    load.note(f"ready {time.monotonic() - begin:.2f} s after the start")


@load("10 GB: 10,000,000 persistent messages of 1,000 bytes in one queue")
def ten_gigabytes(load):
    backlog(load, 10_000_000, *PERSISTENT, size=1000)


@load("1,000,000 messages of 1 KiB to a consumer without prefetch limit that never acknowledges")
def never_acknowledged(load):
    load.publish(1_000_000, *PERSISTENT, size=1024)
    load.perf("--producers", 0, "--prefetch", 0, "--ack-every", 10**9, "--messages", load.scaled(1_000_000), *PERSISTENT)


@load("100 subscribers that do not read, and 20,000 messages of 1 KiB for each")
def unread(load):
    with contextlib.ExitStack() as stack:
        # Declares the queues and the exchange.
        fan_out = ("--pattern", "fan-out", "--queues", 100)
        load.publish(1, *fan_out, size=1024)
        for index in range(100):
            connection = stack.enter_context(Connection(load.broker.port))
            connection.consume(f"leveret.perf.{index}")
        load.publish(20_000, *fan_out, size=1024)


@load("1,000 connections that each begin a message of 16 MiB and do not end it")
def incomplete(load):
    with contextlib.ExitStack() as stack:
        for _ in range(load.scaled(1000)):
            connection = stack.enter_context(Connection(load.broker.port))
            connection.begin_message("nowhere", 16 * MIB, 12_000_000)
        time.sleep(2)


@load("one persistent message of 16 MiB to 1,000 durable queues")
def large_fan_out(load):
    durable = ("--durable", "--persistent", "--confirm", 1, "--patience", 600)
    begin = time.monotonic()
    load.publish(1, "--pattern", "fan-out", "--queues", load.scaled(1000), *durable, size=16 * MIB - 1024)
    load.note(f"confirmed after {time.monotonic() - begin:.0f} s")
    load.note_disk("full")


@load("a consumer that puts back all of 1,000,000 messages of 100 bytes, over and over for 30 s")
def requeued(load):
    load.publish(1_000_000, *PERSISTENT)
    count, end = 0, time.monotonic() + 30
    with Connection(load.broker.port) as connection:
        connection.consume("leveret.perf.0")
        while time.monotonic() < end:
            count += connection.read_for(0.2)
            connection.requeue_all()
    load.note(f"{count / MIB / 30:,.0f} MiB/s delivered")
    load.note_disk("then")


@load("200,000 persistent messages of 1 KiB a second for 10 minutes, consumed at once")
def steady(load):
    flags = ("--rate", 200_000, "--size", 1024, "--time", max(1, int(150 * load.scale)), *PERSISTENT)
    for quarter in range(1, 5):
        result = load.perf(*flags, keep=False)
        load.note(f"quarter {quarter}: {result['delivery_rate']:,.0f}/s, "
                  f"{load.broker.memory().resident / MIB:,.0f} MiB resident")
        load.note_disk("then")


@load("10,000,000 delayed messages of 100 bytes, due over an hour; killed, started, and 20,000 more a second due for a minute")
def delayed(load):
    load.publish(10_000_000, "--delay-ms", 3_600_000, *PERSISTENT)
    load.note_disk("full")
    load.note(f"peak before the kill {load.broker.memory().peak / MIB:,.0f} MiB")
    load.broker.crash()
    begin = time.monotonic()
    load.broker.start()
    load.note(f"takes connections {time.monotonic() - begin:.2f} s after the start")
    late = load.perf("--queue-prefix", "late", "--delay-ms", 20_000, "--rate", 20_000, "--time",
                     max(1, int(60 * load.scale)), *PERSISTENT, keep=False)["end_to_end"]
    load.note("late: " + ", ".join(f"{name} {late[key] / 1000:.2f} ms" for name, key in
                                   (("p50", "p50_us"), ("p99", "p99_us"), ("p99.9", "p999_us"))))


def measure(name, scale):
    title, drive = LOADS[name]
    broker = Broker("leveret")
    try:
        load = Load(broker, scale)
        drive(load)
        memory = broker.memory()
        return f"| {title} | {memory.peak / MIB:,.0f} | {memory.resident / MIB:,.0f} | {'; '.join(load.notes)} |"
    finally:
        broker.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=LOADS, metavar="NAME", default=list(LOADS), help="these loads")
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument("--scale", type=float, default=1.0, help="a part of each load")
    parser.add_argument("--update-readme", action="store_true", help="put the table into README.md")
    options = parser.parse_args()
    if options.list:
        print("\n".join(f"{name}: {title}" for name, (title, _) in LOADS.items()))
        return
    # A terminated run stops the broker that it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    allow_open_files(1000)
    lines = [provenance(["leveret"]) + ".", "", "| load | most MiB resident | MiB resident at the end | |",
             "|---|---:|---:|---|"]
    print("\n".join(lines), flush=True)
    for name in options.only:
        lines.append(measure(name, options.scale))
        print(lines[-1], flush=True)
    if options.update_readme:
        readme.update("memory", "\n".join(lines))


if __name__ == "__main__":
    main()
