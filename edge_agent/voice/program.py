"""A speech program: text on its standard input, sound from its standard output, ended at once when told."""

from __future__ import annotations

import os
import select
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress

import numpy as np

from edge_agent.errors import VoiceError
from edge_agent.voice.types import Int16

_POLL_S = 0.05
_PIECE_BYTES = 4096
_MAX_BYTES = 32_768
"""Of text: less than a pipe holds, so that writing never waits for a program that does not read."""


def sound_of(command: Sequence[str], text: str, stop: threading.Event, hint: str) -> Iterator[bytes]:
    """What the program writes, in pieces of at most 4 KiB; it is killed at `stop` or when nobody listens.

    Raises VoiceError, with `hint`, when it cannot be started, fails, or the text is too long.
    """
    said = text.replace("\0", " ").encode()
    if len(said) > _MAX_BYTES:
        raise VoiceError(f"a text of {len(said)} bytes is too long to be spoken")
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0)
    except OSError as error:
        raise VoiceError(f"cannot start {command[0]}: {error.strerror}", hint=hint) from error
    with process:
        try:
            yield from _output(process, said, stop)
        finally:
            if process.poll() is None:
                process.kill()
        if not stop.is_set() and process.returncode:
            assert process.stderr is not None  # a pipe was asked for
            reason = process.stderr.read().decode(errors="replace").strip() or f"code {process.returncode}"
            raise VoiceError(f"{command[0]} failed: {reason}", hint=hint)


def int16(pieces: Iterator[bytes]) -> Iterator[Int16]:
    """16-bit little-endian samples, whatever the pieces end on."""
    rest = b""
    for piece in pieces:
        data = rest + piece
        whole = len(data) // 2 * 2
        rest = data[whole:]
        if whole:
            yield np.frombuffer(data[:whole], "<i2").astype(np.int16)


def _output(process: subprocess.Popen[bytes], text: bytes, stop: threading.Event) -> Iterator[bytes]:
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(BrokenPipeError):  # it ended at once; its exit code and its last words tell why
        process.stdin.write(text)
        process.stdin.close()
    while not stop.is_set():
        if not select.select([process.stdout], [], [], _POLL_S)[0]:
            continue
        if not (piece := os.read(process.stdout.fileno(), _PIECE_BYTES)):
            process.wait()
            return
        yield piece
