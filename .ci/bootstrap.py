"""Makes `.venv` ready: level `demo` for the agent and its demo, `dev` for tests and training too.

Standard library only, since nothing is installed yet. Quick when there is nothing to do: a stamp in the
environment names what it was made from. llama-cpp-python is published as source only, so its wheel is
built once and kept in `$XDG_CACHE_HOME/edge-agent/wheels` (default `~/.cache`), outside the clone.
"""

import argparse
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)
LOCKS = {"demo": ["requirements.lock"], "dev": ["requirements.lock", "requirements-dev.lock"]}
BUILT = "llama-cpp-python"
REPORT_PERIOD_S = 30
SPIN_PERIOD_S = 0.5
TAIL_LINES = 30


class BootstrapError(Exception):
    """Something that the user has to mend; the message ends with the command that does."""


# ---------------------------------------------------------------- what this machine must have


def check_machine(*, compiler: bool) -> None:
    """Raise BootstrapError, naming the Debian package, for the first thing that is missing."""
    if sys.version_info < OLDEST_PYTHON:
        have = platform.python_version()
        raise BootstrapError(
            f"Python {have} is too old: 3.11 or newer is needed.\n"
            "  Name another one: make PYTHON=python3.11 ...   (Debian 12: apt-get install python3-venv)"
        )
    if not (importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv")):
        raise BootstrapError("Python's venv module is missing.\n  sudo apt-get install python3-venv")
    if compiler and not (shutil.which("c++") and shutil.which("cc")):
        raise BootstrapError(
            f"{BUILT} has to be built once, and there is no C++ compiler.\n"
            "  sudo apt-get install build-essential cmake ninja-build"
        )


# ---------------------------------------------------------------- the wheel that has to be built


def cache_dir() -> Path:
    """The per-user cache of this project."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "edge-agent"


def locked_version(name: str) -> str:
    """The version of `name` in requirements.lock."""
    found = re.search(rf"^{re.escape(name)}==(\S+)$", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    if not found:
        raise BootstrapError(f"requirements.lock does not name {name}.\n  make lock")
    return found.group(1)


def cpu_features() -> "set[str]":
    """What this processor can do, as the kernel lists it: the wheel is compiled for exactly that."""
    listed = re.findall(r"^(?:flags|Features)\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return set(listed[0].split()) if listed else set()


def cached_wheel(wheels: Path, version: str) -> "Path | None":
    """The wheel of `version` that was built before and runs on this processor, if there is one."""
    pattern = f"{BUILT.replace('-', '_')}-{version}-*_{platform.machine()}.whl"
    for wheel in sorted(wheels.glob(pattern)):
        made_for = wheel.with_suffix(".cpu")
        if not made_for.exists() or set(made_for.read_text().split()) <= cpu_features():
            return wheel
    return None


def fraction_done(line: str) -> "float | None":
    """How far a build is, from a line of ninja (`[12/345] ...`) or make (`[ 12%] ...`); else None."""
    steps = re.search(r"\[(\d+)/(\d+)\]", line)
    if steps and int(steps.group(2)):
        return int(steps.group(1)) / int(steps.group(2))
    percent = re.search(r"\[\s*(\d+)%\]", line)
    return int(percent.group(1)) / 100 if percent else None


class Progress:
    """One line that renews itself on a terminal; elsewhere a line every half minute."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.start_s = time.monotonic()
        self.shown_s = self.start_s
        self.fraction = 0.0
        self.terminal = sys.stdout.isatty()

    def text(self) -> str:
        """What is under way, how far it is and how long it has taken."""
        elapsed_s = int(time.monotonic() - self.start_s)
        return f"{self.title}  {self.fraction:4.0%}  {elapsed_s // 60}:{elapsed_s % 60:02d}"

    def update(self, fraction: "float | None") -> None:
        """Take over `fraction` if there is one, and show the line when it is due."""
        if fraction is not None:
            self.fraction = max(self.fraction, fraction)
        period_s = SPIN_PERIOD_S if self.terminal else REPORT_PERIOD_S
        if time.monotonic() - self.shown_s >= period_s:
            self.shown_s = time.monotonic()
            print(
                f"\r  {self.text()}" if self.terminal else f"  {self.text()}",
                end="" if self.terminal else "\n",
            )
            sys.stdout.flush()

    def close(self) -> None:
        """Show the last state on a line of its own."""
        print(f"\r  {self.text()}" if self.terminal else f"  {self.text()}", flush=True)


def run_with_progress(command: "list[str]", title: str, log: Path, environment: "dict[str, str]") -> None:
    """Run `command`, its output going to `log`; raise BootstrapError with the end of the log if it fails."""
    progress = Progress(title)
    process = None
    try:
        with log.open("w", errors="replace") as written:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,  # so that its compilers end with it
            )
        follow(process, log, progress)
    except BaseException:
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()
        raise
    if process.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-TAIL_LINES:])
        raise BootstrapError(f"{tail}\n{title} failed; the whole output is in {log}")
    progress.fraction = 1.0
    progress.close()


def follow(process: "subprocess.Popen[bytes]", log: Path, progress: Progress) -> None:
    """Show how far `process` is by what it writes into `log`, until it ends."""
    with log.open(errors="replace") as lines:
        while True:
            ended = process.poll() is not None  # asked first: what is written after it is read below
            fractions = [part for part in map(fraction_done, lines.read().splitlines()) if part is not None]
            progress.update(fractions[-1] if fractions else None)
            if ended:
                return
            wait_for(process, SPIN_PERIOD_S)


def wait_for(process: "subprocess.Popen[bytes]", timeout_s: float) -> None:
    """Wait until `process` ends, `timeout_s` at most."""
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return


def build_jobs() -> int:
    """One compiler per core, and a GiB of memory for each: a Pi with 1 GiB builds one file at a time."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return max(1, min(os.cpu_count() or 1, round(memory_gib)))


def wheel_of_llama(python: Path) -> Path:
    """The folder that holds the wheel; built first where it is not there yet."""
    wheels = cache_dir() / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    version = locked_version(BUILT)
    with (cache_dir() / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second `make` waits here instead of building the same again
        if cached_wheel(wheels, version):
            return wheels
        check_machine(compiler=True)
        print(
            f"Building {BUILT} {version} from source: once on this machine, about 11 minutes on two cores.\n"
            f"  The wheel is kept in {wheels}, and every later set-up takes it from there.",
            flush=True,
        )
        with tempfile.TemporaryDirectory(dir=cache_dir()) as made:
            command = [str(python), "-m", "pip", "wheel", "-v", "--no-deps", "--no-binary", BUILT]
            command += ["--wheel-dir", made, f"{BUILT}=={version}"]
            environment = {"CMAKE_BUILD_PARALLEL_LEVEL": str(build_jobs()), **os.environ}
            run_with_progress(command, f"building {BUILT}", cache_dir() / f"build-{BUILT}.log", environment)
            for wheel in Path(made).glob("*.whl"):
                (wheels / wheel.name).with_suffix(".cpu").write_text(" ".join(sorted(cpu_features())))
                wheel.replace(wheels / wheel.name)
    return wheels


# ---------------------------------------------------------------- the environment


def stamp_of(level: str) -> str:
    """What an environment of `level` is made from: another value means that it has to be made again."""
    digest = hashlib.sha256(f"{ROOT}\n{sys.version}\n".encode())
    for name in [*LOCKS[level], "pyproject.toml", ".ci/bootstrap.py"]:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def is_ready(venv: Path, level: str) -> bool:
    """Whether `venv` was made for `level`, or for a level that contains it, from the present files."""
    levels = [level] if level == "dev" else [level, "dev"]
    stamps = [(venv / f".ready-{name}", name) for name in levels]
    return any(stamp.is_file() and stamp.read_text() == stamp_of(name) for stamp, name in stamps)


def make_venv(venv: Path) -> Path:
    """The interpreter of `venv`, which is created if it is missing, was moved or is of another Python."""
    python = venv / "bin" / "python"
    made_from, want = venv / ".made-from", f"{venv}\n{sys.version}"
    stale = not python.exists() or (made_from.exists() and made_from.read_text() != want)
    if venv.exists() and stale and any(venv.iterdir()):
        if not (venv / "pyvenv.cfg").exists():
            raise BootstrapError(f"{venv} is there, but is no Python environment.\n  Move it away.")
        shutil.rmtree(venv)  # its scripts name a folder or an interpreter that is no more
    if not python.exists():
        print(f"Creating {venv}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    made_from.write_text(want)
    return python


def install(python: Path, wheels: Path, level: str, *, editable: bool) -> None:
    """Install the locked versions and then this package itself."""
    quiet = [] if sys.stdout.isatty() else ["--quiet"]
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", *quiet]
    print(f"Installing the locked dependencies ({', '.join(LOCKS[level])})", flush=True)
    locks = [part for name in LOCKS[level] for part in ("-r", str(ROOT / name))]
    subprocess.run([*pip, "--find-links", str(wheels), "--only-binary", BUILT, *locks], check=True)
    itself = ["--editable", str(ROOT)] if editable else ["--force-reinstall", str(ROOT)]
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", *itself], check=True)


def main() -> None:
    """Make the environment that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("level", choices=sorted(LOCKS))
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    parser.add_argument(
        "--copy", action="store_true", help="install a copy of the package, not a link to this clone"
    )
    options = parser.parse_args()
    venv = options.venv.absolute()
    try:
        check_machine(compiler=False)
        if is_ready(venv, options.level):
            return
        python = make_venv(venv)
        install(python, wheel_of_llama(python), options.level, editable=not options.copy)
    except BootstrapError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("\ninterrupted; the next run begins where something is still missing")
    except subprocess.CalledProcessError as error:
        sys.exit(
            f"error: `{' '.join(error.cmd)}` ended with {error.returncode}; its last lines above say why"
        )
    (venv / f".ready-{options.level}").write_text(stamp_of(options.level))
    print(f"Ready: {venv}", flush=True)


if __name__ == "__main__":
    main()
