"""The C library for microcontrollers: built with every warning and sanitizer, and spoken to from Python."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import tty
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from firmware_bridge import (
    NEED_DATA,
    ClockReply,
    Connection,
    Describe,
    Error,
    Event,
    Hello,
    Log,
    Role,
    Samples,
    SensorDescriptor,
    Start,
)
from firmware_bridge.device.test import golden

DEVICE = Path(__file__).parent.parent / "firmware_bridge" / "device"
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
SANITIZERS = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
BATCH_BYTES = 5000


def compiler(name: str) -> str:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed (apt install build-essential)")
    return name


def build_library(folder: Path) -> Path:
    """edge_bridge.c as an object file."""
    built = folder / "edge_bridge.o"
    source = DEVICE / "edge_bridge.c"
    subprocess.run(
        [compiler("gcc"), "-std=c99", *WARNINGS, *SANITIZERS, "-c", source, "-o", built], check=True
    )
    return built


def build(library: Path, source: Path, *flags: str) -> Path:
    """A C program that uses the library."""
    built = library.parent / source.stem
    subprocess.run(
        [
            compiler("gcc"),
            "-std=c99",
            *WARNINGS,
            *SANITIZERS,
            *flags,
            "-I",
            DEVICE,
            source,
            library,
            "-o",
            built,
        ],
        check=True,
    )
    return built


def build_example(library: Path, name: str) -> Path:
    """An Arduino sketch as a program that speaks on stdin and stdout."""
    built = library.parent / f"example_{name}"
    arduino = DEVICE / "test" / "arduino"
    subprocess.run(
        [
            compiler("g++"), "-std=c++11", "-Wall", "-Wextra", "-Werror", *SANITIZERS,
            "-Wno-unused-variable", "-Wno-unused-function",
            "-I", DEVICE, "-I", arduino, "-include", "Arduino.h",
            "-x", "c++", DEVICE / "examples" / name / f"{name}.ino", "-x", "none", library, "-o", built,
        ],
        check=True,
    )  # fmt: skip
    return built


@dataclass(frozen=True)
class Answer:
    """What one command did: its result, what was written on the line, and the counters after it."""

    ok: bool
    line: bytes
    running: tuple[bool, ...]
    frames: int
    framing_errors: int
    crc_errors: int
    overflows: int
    lost_frames: int
    unknown_frames: int
    breaches: int
    dropped_frames: int
    dropped_samples: int
    now_us: int


class Script:
    """The program script_main: the library, one call at a time."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(self, verb: str, *fields: str | bytes | float) -> Answer:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin
        assert stdout
        stdin.write(" ".join([verb, *map(_field, fields)]).encode() + b"\n")
        stdin.flush()
        parts = stdout.readline().split()
        assert parts, f"the program ended with {self._process.wait(10)} on {verb} {fields}"
        line = b"" if parts[1] == b"-" else bytes.fromhex(parts[1].decode())
        running = tuple(flag == ord("1") for flag in parts[2][:-1])
        return Answer(parts[0] == b"1", line, running, *map(int, parts[3:]))

    def begin(
        self, hello: Hello, sensors: Iterable[SensorDescriptor], batch_bytes: int = BATCH_BYTES
    ) -> Answer:
        """Start it anew as this device."""
        self("reset")
        for sensor in sensors:
            self(
                "sensor", sensor.name, sensor.modality, int(sensor.format), float(sensor.rate_hz),
                int(sensor.simulated), batch_bytes, sensor.repeat,
            )  # fmt: skip
            for channel in sensor.channels:
                self("channel", channel.name, channel.unit, float(channel.scale), float(channel.offset))
        return self("begin", hello.name, hello.uid, hello.firmware)

    def send(self, event: Event) -> bytes:
        """Have it send an event that is no answer; the bytes on the line."""
        match event:
            case Samples(interval_us=None):
                times_us, row = event.times_us(), len(event.data) // event.count
                rows = [event.data[at : at + row] for at in range(0, len(event.data), row)]
                answers = [
                    self("sample", event.sensor_id - 1, time_us, values)
                    for time_us, values in zip(times_us, rows, strict=True)
                ]
                answers.append(self("flush", event.sensor_id - 1))
            case Samples():
                answers = [
                    self(
                        "block",
                        event.sensor_id - 1,
                        event.time_us,
                        event.interval_us,
                        event.count,
                        event.data,
                    )
                ]
            case Log():
                answers = [self("log", int(event.level), event.message)]
            case Error():
                answers = [self("error", event.code, event.message)]
            case _:
                raise AssertionError(f"{event} is only ever an answer")
        assert all(answer.ok for answer in answers)
        return b"".join(answer.line for answer in answers)

    def end(self) -> None:
        """Let it come to its end: the sanitizers have the last word."""
        assert self._process.stdin
        self._process.stdin.close()
        assert self._process.wait(20) == 0


def _field(field: str | bytes | float) -> str:
    match field:
        case str():
            return field.encode().hex() or "-"
        case bytes():
            return field.hex() or "-"
        case float():
            return field.hex()
    return str(field)


def events_of(connection: Connection, line: bytes) -> list[Event]:
    connection.receive_data(line)
    events = []
    while (event := connection.next_event()) is not NEED_DATA:
        events.append(event)
    return events


def streaming(script: Script, *sensors: SensorDescriptor, batch_bytes: int = 5000) -> Connection:
    """The library streams all of its sensors to the host that is returned."""
    host = Connection(Role.HOST)
    line = script.begin(golden.HELLO, sensors or golden.SENSORS, batch_bytes).line
    for event in (Hello("host"), Describe(), Start()):
        assert events_of(host, line)
        line = script("rx", host.send(event)).line
    assert line == b""
    return host


def answers_only(event: Event) -> bool:
    """Whether a device sends this only because the host asked."""
    return isinstance(event, Hello | SensorDescriptor | ClockReply)


class ProgramLine:
    """A device program as the contract wants it: on pipes, or with the far end of a pty as its port."""

    def __init__(self, *command: str | Path, pty: bool = False) -> None:
        self._pty: tuple[int, ...] = ()
        if pty:
            self._pty = os.openpty()
            tty.setraw(self._pty[1])  # the program does so too, but the host may speak before
            self._process = subprocess.Popen([*command, "--port", os.ttyname(self._pty[1])])
            self._read_fd = self._write_fd = self._pty[0]
            return
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin
        assert self._process.stdout
        self._read_fd, self._write_fd = self._process.stdout.fileno(), self._process.stdin.fileno()

    def write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._write_fd, data) :]

    def write_some(self, data: bytes) -> int:
        """As much as a pty takes now, in bytes."""
        _, writable, _ = select.select([], [self._write_fd] if data else [], [], 0)
        if not writable:
            return 0
        os.set_blocking(self._write_fd, False)
        try:
            return os.write(self._write_fd, data)
        except BlockingIOError:
            return 0
        finally:
            os.set_blocking(self._write_fd, True)

    def read(self) -> bytes:
        readable, _, _ = select.select([self._read_fd], [], [], 0.05)
        return os.read(self._read_fd, 1 << 16) if readable else b""

    def close(self) -> None:
        """The line ends, and the program with it; the sanitizers have the last word."""
        for fd in self._pty:
            os.close(fd)
        if self._process.stdin:
            self._process.stdin.close()
        assert self._process.wait(20) == 0
        if self._process.stdout:
            self._process.stdout.close()
