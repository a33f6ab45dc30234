#!/usr/bin/env python3
"""Measures the memory that idle connections and idle queues take, of Leveret and of the distribution's RabbitMQ.

    bench/idle.py [--connections 10000] [--queues 100000] [--rabbitmq-queues 10000] [--only NAME] [--update-readme]

How many devices may stay connected to a broker, and how many queues may wait in it, is a matter of memory and not of
rates. Connections have one channel each; queues are durable and empty, and the connection that declared them is closed.
Each kind is measured on a broker just started. Memory is that of the broker's process: what the kernel keeps for
sockets is not in it. RabbitMQ declares queues slowly, and so gets fewer.
"""

import argparse
import contextlib
import resource
import select
import signal
import sys
import time

import readme
from brokers import Broker, installed, provenance
from wire import Connection

# Seconds: RabbitMQ's processes free memory once they have been idle for some ten, and Leveret may still be compacting.
SETTLE = 20
BATCH = 1000


@contextlib.contextmanager
def connections(port, count):
    with contextlib.ExitStack() as stack:
        readable = select.poll()
        for _ in range(count):
            readable.register(stack.enter_context(Connection(port)).socket, select.POLLIN)
        yield
        if ended := len(readable.poll(0)):
            raise RuntimeError(f"{ended:,} of {count:,} connections did not stay idle")


@contextlib.contextmanager
def queues(port, count):
    names = [f"idle-{index}" for index in range(count)]
    with Connection(port) as connection:
        for begin in range(0, count, BATCH):
            connection.declare(names[begin:begin + BATCH])
        for name in (names[0], names[count // 2], names[-1]):
            connection.messages(name)
    yield


def measure(name, kind, count):
    """The memory of a broker before and after it has got so many of a kind."""
    broker = Broker(name)
    try:
        before, begin = settled_memory(broker), time.monotonic()
        with kind(broker.port, count):
            print(f"{name}: {count:,} {kind.__name__} in {time.monotonic() - begin:.1f} s", file=sys.stderr, flush=True)
            return before, settled_memory(broker)
    finally:
        broker.stop()


def settled_memory(broker):
    time.sleep(SETTLE)
    return broker.memory()


def row(name, what, count, before, after):
    kinds = [(before.anonymous, after.anonymous), (before.resident, after.resident)]
    mebibytes = (f"{old / 2**20:,.1f} / {new / 2**20:,.1f}" for old, new in kinds)
    each = (f"{(new - old) / count:,.0f}" for old, new in kinds)
    return f"| {count:,} {what} | {name} | {' | '.join(mebibytes)} | {' | '.join(each)} |"


def table(options, names):
    lines = [
        "| | broker | RssAnon MiB, before / after | VmRSS MiB, before / after "
        "| RssAnon, bytes each | VmRSS, bytes each |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for name in names:
        lines.append(row(name, "connections with a channel", options.connections,
                         *measure(name, connections, options.connections)))
    for name in names:
        count = options.rabbitmq_queues if name == "rabbitmq" else options.queues
        lines.append(row(name, "durable queues", count, *measure(name, queues, count)))
    return "\n".join(lines)


def allow_open_files(connections):
    """Raises the limit of this process and of the brokers it starts, as far as these connections need.

    RabbitMQ keeps a tenth for files. No further than needed: Erlang makes tables in proportion to the limit.
    """
    needed = connections * 10 // 9 + 1000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if needed > hard:
        raise SystemExit(f"{connections:,} connections take {needed:,} open files; the limit (ulimit -Hn) is {hard:,}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))


def positive(text):
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=positive, default=10_000)
    parser.add_argument("--queues", type=positive, default=100_000)
    parser.add_argument("--rabbitmq-queues", type=positive, default=10_000)
    parser.add_argument("--only", choices=["leveret", "rabbitmq"], help="measure only this broker")
    parser.add_argument("--update-readme", action="store_true", help="put the table into README.md")
    options = parser.parse_args()
    # A terminated run stops the broker that it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    allow_open_files(options.connections)
    names = installed([options.only] if options.only else ["leveret", "rabbitmq"])
    if not names:
        raise SystemExit(f"{options.only} is not installed")
    text = (f"{provenance(names)}; memory of the broker's process, {SETTLE} s after its start and {SETTLE} s after the "
            f"last connection or queue.\n\n{table(options, names)}")
    print(text)
    if options.update_readme:
        readme.update("idle", text)


if __name__ == "__main__":
    main()
