"""Memory and CPU of the whole daemon: `python -m benchmarks.daemon [--model FOLDER] [--seconds 20]`.

Quiet: a board is plugged in and says nothing. Busy: motion and sound stream, a window every half second.
`--every-sensor` measures a third: all slots of the model, each from its own driver at its own rate
(docs/every-sensor.md). Memory is the sum of the resident sets of the agent and its language-model worker:
pages that they share count twice.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pty
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import psutil

from benchmarks.broker import free_port, program
from benchmarks.timing import DEFAULT_MODEL, verdict
from edge_agent import manifest as manifests

TARGET_RSS_MIB = 350.0
TARGET_EVERY_RSS_MIB = 450.0
TARGET_QUIET_PERCENT = 10.0
START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 30.0
SETTLE_S = 5.0
WARM_UP_S = 20.0
"""Until the slowest chip of docs/every-sensor.md has measured, and its driver has sent its firmware."""
BROKER_S = 1.0


@contextlib.contextmanager
def broker(port: int) -> Iterator[None]:
    """A mosquitto on the loopback, where it is installed; the agent runs without one too."""
    if (mosquitto := program()) is None:
        print("  (mosquitto is not installed: measured while the broker is away)")
        yield
        return
    process = subprocess.Popen(
        [mosquitto, "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(STOP_TIMEOUT_S)


@contextlib.contextmanager
def agent(folder: Path, config: str) -> Iterator[psutil.Process]:
    """The daemon, from the moment that it says READY=1 to systemd's socket."""
    file = folder / "edge-agent.toml"
    file.write_text(config)
    address = folder / "notify"
    address.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(address))
        notify.settimeout(START_TIMEOUT_S)
        process = subprocess.Popen(
            [sys.executable, "-m", "edge_agent", "run", "-c", str(file)],
            env={**os.environ, "NOTIFY_SOCKET": str(address)},
            stdout=subprocess.DEVNULL,
            stderr=(folder / "log").open("w"),
        )
        try:
            while b"READY=1" not in notify.recv(4096):
                pass
            yield psutil.Process(process.pid)
        except TimeoutError:
            raise SystemExit(f"the agent did not start:\n{(folder / 'log').read_text()}") from None
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_TIMEOUT_S)


def family(process: psutil.Process) -> list[psutil.Process]:
    """The agent and its workers."""
    return [process, *process.children(recursive=True)]


def measure(process: psutil.Process, seconds: float) -> tuple[float, float]:
    """(MiB resident, percent of one core) of the whole family."""
    time.sleep(SETTLE_S)
    members = family(process)
    start_s = [sum(member.cpu_times()[:2]) for member in members]
    time.sleep(seconds)
    used_s = sum(sum(member.cpu_times()[:2]) for member in members) - sum(start_s)
    rss = sum(member.memory_info().rss for member in members)
    return rss / 2**20, 100 * used_s / seconds


def configuration(model: Path, port: int, sensors: str) -> str:
    """A configuration for that model and broker."""
    return (
        f'[node]\nname = "bench"\n[model]\npath = "{model.absolute()}"\n'
        f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\ncommands = ["ask"]\n{sensors}'
    )


def every_sensor(model: Path, seconds: float) -> float:
    """Print the figures of an agent with all of its slots filled; MiB resident."""
    from benchmarks import every_sensor as rig

    port = free_port()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(broker(port))
        time.sleep(BROKER_S)
        stack.enter_context(rig.devices(folder, manifests.read(model), port))
        # Covered from the first sample on, so that every encoder runs from the start.
        config = "[windows]\nmin_coverage = 0.05\n" + rig.configuration(folder, model, port)
        process = stack.enter_context(agent(folder, config))
        time.sleep(WARM_UP_S)
        rss_mib, percent = measure(process, seconds)
        each = ", ".join(f"{p.memory_info().rss / 2**20:.1f}" for p in family(process))
        used = f"{rss_mib:6.1f} MiB resident ({each})   {percent:5.1f} % of one core"
        print(f"  every  {used}   load {os.getloadavg()[0]:.1f}", flush=True)
    return rss_mib


def main() -> int:
    """Print the figures; 1 where one misses its target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument(
        "--every-sensor", action="store_true", help="also with every slot of the model filled"
    )
    options = parser.parse_args()
    manifest = manifests.read(options.model)
    slots = [slot.name for slot in manifest.slots if slot.modality in ("imu", "audio")]
    board, device = pty.openpty()
    tty.setraw(device)
    quiet = f'[[sensor]]\nkind = "serial"\nname = "board"\nport = "{os.ttyname(device)}"\n'
    quiet += f'streams.phone = {{ slot = "{slots[0]}" }}\n'
    busy = "".join(f'[[sensor]]\nkind = "simulated"\nname = "s_{s}"\nslot = "{s}"\n' for s in slots)
    print(f"daemon, {options.seconds:g} s each:")
    port = free_port()
    figures = {}
    with tempfile.TemporaryDirectory() as folder, broker(port):
        for name, sensors in (("quiet", quiet), ("busy", busy)):
            with agent(Path(folder), configuration(options.model, port, sensors)) as process:
                figures[name] = measure(process, options.seconds)
            rss_mib, percent = figures[name]
            print(f"  {name:<6} {rss_mib:6.1f} MiB resident   {percent:5.1f} % of one core", flush=True)
    os.close(board)
    os.close(device)
    kept = verdict("memory", max(rss_mib for rss_mib, _ in figures.values()), TARGET_RSS_MIB, "MiB")
    if options.every_sensor:
        kept &= verdict("memory", every_sensor(options.model, options.seconds), TARGET_EVERY_RSS_MIB, "MiB")
    kept &= verdict("CPU while quiet", figures["quiet"][1], TARGET_QUIET_PERCENT, "% of one core")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
