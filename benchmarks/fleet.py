"""A fleet on one broker: `python -m benchmarks.fleet [--nodes 1000] [--seconds 30] [--json]`.

Simulated nodes (paho, in several processes) publish percepts and events with QoS 1 to a mosquitto of its own;
a subscriber checks by id and number that each came, and once. Then the broker is restarted, and all nodes
return with the agent's own full jitter. The exit code is 1 where something was lost or came twice.

Every node needs a file descriptor in its process and one in the broker: for 1,000 nodes `ulimit -n` must be
at least 1,100. One address has some 28,000 ports for outgoing connections, which bounds the nodes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks import fleet_ear, fleet_node, fleet_nodes
from benchmarks.broker import ROOMY, Broker, program
from benchmarks.fleet_ear import Heard
from benchmarks.fleet_nodes import Orders, Tally

MOST_NODES = 20_000
_SPARE_FILES = 100
_AWAY_S = 3.0
"""How long the broker is away in the storm."""
_ANSWER_S = 200.0
_START = multiprocessing.get_context("spawn")


@dataclass(slots=True)
class Worker:
    """A process and the pipe to it; it answers each word with (result, bytes resident)."""

    process: BaseProcess
    pipe: Pipe
    rss: int = 0

    def answer(self) -> Any:
        """What it says next. Raises RuntimeError when it died, is silent, or says that something failed."""
        if not self.pipe.poll(_ANSWER_S):
            raise RuntimeError(f"a process of the benchmark said nothing for {_ANSWER_S:g} s")
        try:
            result, self.rss = self.pipe.recv()
        except EOFError:
            raise RuntimeError("a process of the benchmark died") from None
        if isinstance(result, RuntimeError):
            raise result
        return result


def need_files(files: int) -> None:
    """Raise the limit of open files, which the children inherit. Raises RuntimeError when it is too low."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard not in (resource.RLIM_INFINITY, -1) and hard < files:
        raise RuntimeError(
            f"{files} open files are needed and {hard} allowed: as root, run `ulimit -n {files}` first, or "
            f"name fewer nodes with --nodes {max(1, hard - _SPARE_FILES)}"
        )
    if soft not in (resource.RLIM_INFINITY, -1) and soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))


@contextmanager
def started(target: Any, *arguments: Any) -> Iterator[Worker]:
    """A process that ends with the block."""
    ours, theirs = _START.Pipe()
    process = _START.Process(target=target, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Worker(process, ours)
    finally:
        process.terminate()
        process.join(10)
        ours.close()


def tell(workers: list[Worker], *word: object) -> None:
    """Give all the same word."""
    for worker in workers:
        worker.pipe.send(word)


def answers(workers: list[Worker]) -> list[Any]:
    """What they say to it."""
    return [worker.answer() for worker in workers]


def split(options: argparse.Namespace, port: int) -> list[Orders]:
    """The nodes, shared out evenly over the processes."""
    bounds = np.linspace(0, options.nodes, options.processes + 1).round().astype(int).tolist()
    return [
        Orders(port, first, last - first, options.percept, options.event, options.ramp, options.seed)
        for first, last in itertools.pairwise(bounds)
    ]


def lost_of(tallies: list[Tally], heard: Heard) -> int:
    """What was published and never came, by the numbers of each source."""
    published = {source: n for tally in tallies for source, n in tally.published.items()}
    strangers = set(heard.numbers) - set(published)
    if strangers:
        raise RuntimeError(f"the measurement is void: {len(strangers)} sources that nobody published")
    return sum(n - heard.numbers.get(source, (0, 0))[0] for source, n in published.items())


def percentiles(values: np.ndarray) -> dict[str, float]:
    """p50 and p99."""
    p50, p99 = np.percentile(values, (50, 99)) if len(values) else (float("nan"), float("nan"))
    return {"p50": round(float(p50), 2), "p99": round(float(p99), 2)}


def storm(workers: list[Worker], broker: Broker) -> dict[str, float]:
    """Restart the broker under all nodes; how they come back, in seconds since it listens again."""
    tell(workers, "lose")
    tell(workers, "find")
    broker.stop()
    answers(workers)
    time.sleep(_AWAY_S)
    broker.start()
    begun_s = time.monotonic()
    found = answers(workers)
    back_s = np.sort(np.concatenate([np.array(times) for times, _ in found]) - begun_s)
    busiest = max(int(np.searchsorted(back_s, s + 0.1) - i) for i, s in enumerate(back_s))
    return {
        "away_s": _AWAY_S,
        "half_back_s": round(float(np.median(back_s)), 2),
        "all_back_s": round(float(back_s[-1]), 2),
        "most_in_100_ms": busiest,
        "attempts_per_node": round(sum(attempts for _, attempts in found) / len(back_s), 2),
    }


def measure(
    options: argparse.Namespace, broker: Broker, workers: list[Worker], ear: Worker
) -> dict[str, Any]:
    """The whole run; every figure by name."""
    nodes = options.nodes
    answers([*workers, ear])
    bare, served = sum(worker.rss for worker in workers), psutil.Process(broker.pid)
    broker_bare = served.memory_info().rss
    begun_s = time.monotonic()
    tell(workers, "connect")
    answers(workers)
    connected_s, broker_idle = time.monotonic() - begun_s, served.memory_info().rss
    before_s, begun_s = sum(served.cpu_times()[:2]), time.monotonic()
    tell(workers, "publish", begun_s + options.seconds)
    tallies: list[Tally] = answers(workers)
    published = sum(sum(tally.published.values()) for tally in tallies)
    ear.pipe.send(published)
    heard: Heard = ear.answer()
    used_s, took_s = sum(served.cpu_times()[:2]) - before_s, heard.last_s - begun_s
    unique = heard.received - heard.duplicates
    return {
        "nodes": nodes,
        "processes": options.processes,
        "connect_s": round(connected_s, 2),
        "offered_per_s": round(nodes / options.percept + nodes / options.event, 1),
        "published": published,
        "payload_bytes": round(sum(tally.payload_bytes for tally in tallies) / published),
        "delivered": unique,
        "delivered_per_s": round(unique / max(took_s, options.seconds), 1),
        "lost": lost_of(tallies, heard),
        "duplicates": heard.duplicates,
        "connections_lost": sum(tally.connections_lost for tally in tallies),
        "latency_ms": percentiles(heard.latency_ms),
        "late_ms": percentiles(np.concatenate([tally.late_ms for tally in tallies])),
        "kib_per_node": round((sum(worker.rss for worker in workers) - bare) / nodes / 1024, 1),
        "broker_mib": round(served.memory_info().rss / 2**20, 1),
        "broker_kib_per_node": round((broker_idle - broker_bare) / nodes / 1024, 1),
        "broker_cpu_us_per_message": round(used_s / published * 1e6, 1),
        "broker_cpu_percent": round(used_s / took_s * 100, 1),
        "load_average": round(os.getloadavg()[0], 2),
    }


def show(got: dict[str, Any], options: argparse.Namespace) -> None:
    """The figures for people."""
    plan = f"a percept every {options.percept:g} s, an event every {options.event:g} s"
    latency, late = (
        "p50 {p50:.1f} ms   p99 {p99:.1f} ms".format(**got[key]) for key in ("latency_ms", "late_ms")
    )
    rows = {
        "connected": f"all after {got['connect_s']:.1f} s (spread over {options.ramp:g} s)",
        "delivered": f"{got['delivered_per_s']:,.0f} messages/s of {got['offered_per_s']:,.0f} offered",
        "payload": f"{got['payload_bytes']:,} bytes on average",
        "by id and number": f"{got['delivered']:,} of {got['published']:,}: {got['lost']} lost, "
        f"{got['duplicates']} duplicates, {got['connections_lost']} connections lost",
        "latency to the subscriber": latency,
        "simulation behind its plan": late,
        "memory of a node": f"{got['kib_per_node']:.1f} KiB (paho alone, without an agent)",
        "memory of the broker": f"{got['broker_mib']:.1f} MiB, "
        f"{got['broker_kib_per_node']:.1f} KiB a connection",
        "processor of the broker": f"{got['broker_cpu_percent']:.0f} % of one core, "
        f"{got['broker_cpu_us_per_message']:.0f} µs a message",
    }
    processes = f"{got['processes']} processes, one mosquitto, load {got['load_average']}"
    print(f"fleet: {got['nodes']:,} nodes, {plan}, QoS 1; {processes}")
    for name, text in rows.items():
        print(f"  {name:<28} {text}")
    if back := got.get("storm"):
        print(
            f"  {'broker away for ' + format(back['away_s'], 'g') + ' s':<28} half the nodes back "
            f"{back['half_back_s']:.1f} s after it, all {back['all_back_s']:.1f} s; at most "
            f"{back['most_in_100_ms']} in 100 ms, {back['attempts_per_node']:.1f} attempts each"
        )


def arguments() -> argparse.Namespace:
    """Checked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=4, help="that share the nodes (default: 4)")
    parser.add_argument("--seconds", type=float, default=30.0, help="of publishing (default: 30)")
    parser.add_argument("--percept", type=float, default=1.0, help="seconds between percepts (default: 1)")
    parser.add_argument("--event", type=float, default=10.0, help="seconds between events (default: 10)")
    parser.add_argument("--ramp", type=float, default=5.0, help="seconds to connect all (default: 5)")
    parser.add_argument("--seed", type=int, default=1, help="of every node's moments and content")
    parser.add_argument("--no-storm", action="store_true", help="do not restart the broker at the end")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    options = parser.parse_args()
    if not 1 <= options.processes <= options.nodes <= MOST_NODES:
        parser.error(f"--nodes is 1 to {MOST_NODES} (ports of one address), --processes 1 to --nodes")
    if min(options.seconds, options.percept, options.event) <= 0 or options.ramp < 0:
        parser.error("--seconds, --percept and --event are above 0, --ramp is not below it")
    return options


def main() -> int:
    """Print the figures; exit code 1 where something was lost, came twice, or nothing could be measured."""
    options = arguments()
    if program() is None:
        print("fleet: needs mosquitto (apt install mosquitto)", file=sys.stderr)
        return 0
    try:
        need_files(options.nodes + _SPARE_FILES)
        with tempfile.TemporaryDirectory() as name, Broker(Path(name), ROOMY) as broker:
            got = run(options, broker)
    except RuntimeError as error:
        print(f"fleet: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(got))
    else:
        show(got, options)
    return int(got["lost"] > 0 or got["duplicates"] > 0)


def run(options: argparse.Namespace, broker: Broker) -> dict[str, Any]:
    """Start the processes, measure, end them."""
    with ExitStack() as stack:
        ear = stack.enter_context(started(fleet_ear.main, broker.port, f"{fleet_node.ROOT}/#"))
        workers = [
            stack.enter_context(started(fleet_nodes.main, orders)) for orders in split(options, broker.port)
        ]
        got = measure(options, broker, workers, ear)
        if not options.no_storm:
            got["storm"] = storm(workers, broker)
    return got


if __name__ == "__main__":
    sys.exit(main())
