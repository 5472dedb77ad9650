"""Writes the tree of the README from what is tracked: `make tree`, after a file was added or renamed.

Each line is the file's own first sentence: its docstring, its leading comment or its title. Files that cannot
speak for themselves are described in SAID.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BEGIN, END = "<!-- tree: begin -->", "<!-- tree: end -->"
WIDTH = 118
TOO_LONG = " ..."

SAID = {
    ".ci/run": "what every submission must pass: make check, make test",
    "Makefile": "the two commands, and a few more: `make help`",
    ".gitignore": "what is made and not written",
    "CHANGELOG.md": "what changed for a user",
    "CONTRIBUTING.md": "what the code keeps to",
    "LICENSE": "Apache-2.0",
    "README.md": "this file",
    "edge_agent/demo_sources.json": "where the demo's recordings are published: sha256, licence, credit",
    "edge-agent.example.toml": "every setting, with its default",
    "pyproject.toml": "dependencies, and every tool's settings",
    "requirements.lock": "exact versions for the device and the demo",
    "requirements-dev.lock": "exact versions for training and tests",
    "systemd/edge-agent.service": "the unit: notify, watchdog, hardening",
    "systemd/sysusers.d/edge-agent.conf": "the user it runs as",
}
FOLDERS = {
    ".ci": "what `make` calls",
    "benchmarks": "what `make bench` measures",
    "docs": "for people who build on it",
    "edge_agent": "the daemon",
    "edge_agent/delivery": "out over MQTT",
    "edge_agent/perception": "the model",
    "edge_agent/schemas": "the JSON Schema of every message",
    "edge_agent/record": "recordings of all sensors, in MCAP",
    "edge_agent/sensors": "one module per transport",
    "edge_agent/sensors/i2c": "the bus, and one driver per chip",
    "edge_agent/sensors/simulated_chips": "the same chips where there are none",
    "export": "training and evaluation on a workstation; never on the device",
    "export/datasets": "readers of the recordings",
    "export/byo": "a language model of one's own",
    "export/datasets/paper": "the sources of the paper, by their published formats",
    "export/networks": "what is trained",
    "export/simulate": "physics where no recordings can be shipped",
    "export/wordings": "how people ask, thing by thing",
    "firmware_bridge": "the protocol between a microcontroller and the agent; no I/O",
    "firmware_bridge/device": "its device side in C99, for microcontrollers",
    "firmware_bridge/device/examples": "an Arduino sketch for each class of sensor",
    "firmware_bridge/device/src": "the library",
    "firmware_bridge/device/test": "programs and frames for its tests",
    "models": "what ships",
    "systemd": "the service",
    "tests": "`make test`",
    "tests/contracts": "one suite for every implementation of a protocol",
    "tests/simulated": "the simulated devices, tried like real ones",
}
SPEAKS_FOR_ITS_FILES = ("edge_agent/schemas", "models/", "tests/fuzz/corpus")
"""Folders whose files need no line each."""


def tracked() -> list[str]:
    """Every tracked file that exists and says something (`__init__.py` and `py.typed` may be empty)."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    paths = [ROOT / name for name in listed.stdout.splitlines()]
    return [str(path.relative_to(ROOT)) for path in paths if path.is_file() and path.stat().st_size]


def first_sentence(text: str) -> str:
    """The first sentence of a text, on one line, without a full stop at its end."""
    paragraph = " ".join(text.strip().split("\n\n")[0].split())
    return re.split(r"(?<=[a-z0-9)`\"'])\.(?:\s|$)", paragraph, maxsplit=1)[0].rstrip(".")


def described(name: str) -> str:
    """What a file says of itself."""
    if name in SAID:
        return SAID[name]
    text = (ROOT / name).read_text(errors="replace")
    if name.endswith(".py"):
        return first_sentence(ast.get_docstring(ast.parse(text)) or "")
    if text.startswith("/*"):
        comment = text[2 : text.index("*/")].splitlines()
        return first_sentence("\n".join(line.strip().removeprefix("*").strip() for line in comment))
    lines = [line for line in text.splitlines() if line.startswith("#") and not line.startswith("#!")]
    return first_sentence(lines[0].lstrip("# ")) if lines else ""


def shown(names: Iterable[str]) -> list[str]:
    """Files that get a line, and folders (ending in `/`) that speak for theirs."""
    result = set()
    for name in names:
        folder = next((top for top in SPEAKS_FOR_ITS_FILES if name.startswith(top)), None)
        if folder is None:
            result.add(name)
        else:
            depth = folder.rstrip("/").count("/") + (2 if folder.endswith("/") else 1)
            result.add("/".join(name.split("/")[:depth]) + "/")
    return sorted(result, key=order)


def tree(names: Iterable[str]) -> str:
    """The tree, one line per file, folders before the files of the same level."""
    rows: list[tuple[str, str]] = []
    open_folders: list[str] = []
    for name in shown(names):
        *folders, leaf = name.rstrip("/").split("/")
        for depth in range(len(folders)):
            path = "/".join(folders[: depth + 1])
            if path not in open_folders:
                open_folders.append(path)
                rows.append(("  " * depth + folders[depth] + "/", FOLDERS.get(path, "")))
        if name.endswith("/"):
            rows.append(("  " * len(folders) + leaf + "/", FOLDERS.get(name.rstrip("/"), "")))
        else:
            rows.append(("  " * len(folders) + leaf, described(name)))
    column = max(len(left) for left, _ in rows) + 2
    return "\n".join(fitted(left.ljust(column), right) for left, right in rows)


def order(name: str) -> list[tuple[bool, str]]:
    """Folders first, then files, each by name."""
    parts = name.rstrip("/").split("/")
    last = len(parts) - 1
    return [(depth == last and not name.endswith("/"), part) for depth, part in enumerate(parts)]


def fitted(left: str, right: str) -> str:
    """The row; what is too long ends at its colon, or else at a word."""
    room = WIDTH - len(left)
    if len(right) > room and len(right.partition(": ")[0]) in range(12, room + 1):
        right = right.partition(": ")[0]
    if len(right) > room:
        right = right[: room - len(TOO_LONG)].rsplit(" ", 1)[0].rstrip(" ,;:") + TOO_LONG
    return f"{left}{right}".rstrip()


def with_tree(readme: str) -> str:
    """The README with its tree renewed."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not after:
        sys.exit(f"error: README.md has no {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n```\n{tree(tracked())}\n```\n{END}{after}"


def main() -> None:
    """Renew the README."""
    README.write_text(with_tree(README.read_text()))


if __name__ == "__main__":
    main()
