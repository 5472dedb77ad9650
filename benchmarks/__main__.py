"""Everything that `make bench` measures: `python -m benchmarks [--model FOLDER] [name ...]`.

Each part runs in a process of its own, so that none measures what another left behind. The exit code is 1
where a figure misses its target. Let nothing else run: on a busy machine the figures are the machine's.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from pathlib import Path

from benchmarks.timing import DEFAULT_MODEL

PARTS = {
    "bridge": False,
    "sensors": False,
    "fast_path": True,
    "language": True,
    "daemon": True,
    "memory": True,
    "asking": True,
    "outbox": False,
}
"""name -> whether it takes `--model`."""
LONG = ("fleet", "crash", "backlog", "traffic")
"""Take minutes, so they run only when they are named; none takes `--model`."""


def machine() -> str:
    """The processor, its cores and the system: a figure means nothing without them."""
    names = [
        text.partition(":")[2].strip()
        for text in Path("/proc/cpuinfo").read_text().splitlines()
        if text.startswith(("model name", "Model"))
    ]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, {platform.platform()}"


def main() -> int:
    """Run the parts that were named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    parser.add_argument(
        "parts", nargs="*", choices=[[], *PARTS, *LONG], metavar="part",
        help=f"{', '.join(PARTS)} (default: all of these); {', '.join(LONG)}",
    )  # fmt: skip
    options = parser.parse_args()
    if not (options.model / "manifest.json").is_file():
        print(f"error: no model at {options.model}; name one with --model", file=sys.stderr)
        return 2
    print(f"{machine()}, load {os.getloadavg()[0]:.1f}")
    missed = []
    for name in options.parts or PARTS:
        print(flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}"]
        command += ["--model", str(options.model)] if PARTS.get(name) else []
        if subprocess.run(command, check=False).returncode:
            missed.append(name)
    print(f"\n{'targets missed by: ' + ', '.join(missed) if missed else 'every target kept'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
