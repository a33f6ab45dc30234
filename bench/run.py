#!/usr/bin/env python3
"""Measures Leveret and the distribution's RabbitMQ on this machine with `leveret perf`, and prints a table.

    bench/run.py [--seconds 8] [--repeat 3] [--only NAME,...] [--update-readme]

Both brokers start anew for each repetition and take turns, so that a slow drift of the machine hits both alike. The
figures are medians. Every run is verified: one that loses, doubles or reorders a message, or does not end, is reported
as failed and has no figures. RabbitMQ is left out where it is not installed.
"""

import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys

import chart
import readme
from brokers import LEVERET, Broker, installed, provenance

CHART = pathlib.Path(__file__).resolve().parent / "figures.svg"
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


def delay(runs, key):
    """The medians of the 50th and of the 99th percentile."""
    return (median(runs, key, 0), median(runs, key, 1)) if any(run.get(key) for run in runs) else None


def succeeded(runs):
    return [run for run in runs if "error" not in run]


def pair(runs, key):
    return " / ".join(number(value, 2) for value in delay(runs, key) or ()) or "-"


def row(what, name, runs, reference):
    good = succeeded(runs)
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
        reference = succeeded(runs.get((scenario, "rabbitmq"), []))
        for name in brokers:
            these = runs[scenario, name]
            lines.append(row(what, name, these, [] if name == "rabbitmq" else reference))
    return "\n".join(lines)


def illustration(scenarios, brokers, runs):
    """Writes the chart and returns how README shows it; nothing is left or shown where there is nothing to compare."""
    workloads = []
    for scenario, what, arguments in scenarios:
        good = {name: succeeded(runs[scenario, name]) for name in brokers}
        figures = {name: chart.Figures(median(these, "rate"), delay(these, "confirm"), delay(these, "end_to_end"))
                   for name, these in good.items() if median(these, "rate")}
        workloads.append(chart.Workload(what, "--rate" in arguments, figures))
    drawing = chart.draw(workloads)
    CHART.unlink(missing_ok=True)
    if not drawing:
        return ""
    CHART.write_text(drawing)
    return f"![Leveret's rates and delays beside RabbitMQ's](bench/{CHART.name})\n\n"


def conditions(options, names):
    return (f"{provenance(names)}; medians of {options.repeat} runs of {options.seconds} s, broker and client on "
            f"the same machine, load before {os.getloadavg()[0]:.1f}.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=8, help="length of a run")
    parser.add_argument("--repeat", type=int, default=3, help="number of repetitions")
    parser.add_argument("--only", default="", help="scenarios, separated by commas: " + ", ".join(s[0] for s in SCENARIOS))
    parser.add_argument("--brokers", default="leveret,rabbitmq")
    parser.add_argument("--update-readme", action="store_true", help="put the table into README.md, below a chart")
    options = parser.parse_args()
    # A terminated run stops the broker that it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    brokers = installed(options.brokers.split(","))
    scenarios = [s for s in SCENARIOS if not options.only or s[0] in options.only.split(",")]
    text = conditions(options, brokers) + "\n\n"
    runs = collect(options, scenarios, brokers)
    text += table(scenarios, brokers, runs)
    print(text)
    if options.update_readme:
        readme.update("figures", illustration(scenarios, brokers, runs) + text)


if __name__ == "__main__":
    main()
