"""What a simulated microcontroller runs: samples played in the bridge protocol. No I/O, no clock of its own.

Its input is the time since power was first given (`age_us`, of the board's own oscillator) and the
bytes of the host; its output is frames. A restart sets the clock that it shows back, as a board does.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_agent.types import Float32, Int64
from firmware_bridge import (
    NEED_DATA,
    Channel,
    ClockReply,
    ClockRequest,
    Connection,
    Describe,
    Event,
    Hello,
    RemoteProtocolError,
    Role,
    SampleFormat,
    Samples,
    SensorDescriptor,
    Start,
    State,
    Stop,
)
from firmware_bridge.wire import MAX_SAMPLE_BYTES

IMU_CHANNELS = ("acc_x", "acc_y", "acc_z", "gyro_x", "gyro_y", "gyro_z")
IMU_UNITS = ("m/s2", "m/s2", "m/s2", "rad/s", "rad/s", "rad/s")
_MAX_DELTA_US = 0xFFFF
_INT16_MAX = 32767
_UNREADABLE = -32768


@dataclass(frozen=True, slots=True)
class SimulatedStream:
    """What one sensor of the board plays: `t_us` (n,) increasing microseconds, `values` (n, columns).

    An image has the channels of a row `repeat` times: columns = repeat * channels, row after row.
    `simulated` is for values that were made up. Played recordings of a real sensor are not simulated.
    NaN is sent as "no reading".
    """

    name: str
    t_us: Int64
    values: Float32
    modality: str = "imu"
    channels: tuple[str, ...] = IMU_CHANNELS
    units: tuple[str, ...] = IMU_UNITS
    simulated: bool = False
    repeat: int = 1

    def __post_init__(self) -> None:
        n_channels = len(self.channels)
        if self.values.shape != (len(self.t_us), self.repeat * n_channels) or len(self.units) != n_channels:
            raise ValueError(
                f'"{self.name}": {len(self.t_us)} times, values {self.values.shape}, '
                f"{n_channels} channels {self.repeat} times, {len(self.units)} units"
            )
        if not 0 < self.sample_bytes <= MAX_SAMPLE_BYTES:
            raise ValueError(f'"{self.name}": a sample of {self.sample_bytes} bytes fits no frame')
        if len(self.t_us) < 2 or (np.diff(self.t_us) <= 0).any():
            raise ValueError(f'"{self.name}": two samples or more are needed, in increasing time')

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample on the wire, in int16."""
        return 2 * self.repeat * len(self.channels)


class _Player:
    """One stream on its own sheet of time; it goes on through stops and restarts of the board."""

    def __init__(
        self,
        stream: SimulatedStream,
        position: int,
        total: int,
        speed: float,
        *,
        batch: int,
        loop: bool,
        stuck_after_us: int,
    ) -> None:
        times_us = np.rint((stream.t_us - stream.t_us[0]) / speed).astype(np.int64)
        usual_us = max(1, round(float(np.median(np.diff(times_us)))))
        self._times_us = times_us
        self._lap_us = int(times_us[-1]) + usual_us
        # Each sample but the first has a delta of two bytes.
        self._batch = min(batch, (MAX_SAMPLE_BYTES + 2) // (stream.sample_bytes + 2))
        self._loop = loop
        laps, rest_us = divmod(stuck_after_us, self._lap_us)
        stuck_at = laps * len(times_us) + int(np.searchsorted(times_us, rest_us))
        self._last = stuck_at if stuck_after_us else None
        """Number of the sample whose values all later ones have; None: there is none."""
        rows = stream.values.reshape(-1, len(stream.channels))
        scales = [_scale(column) for column in rows.T]
        self._raw = _quantise(rows, np.array(scales)).reshape(stream.values.shape)
        self.descriptor = SensorDescriptor(
            sensor_id=position + 1,
            name=stream.name,
            modality=stream.modality,
            channels=tuple(map(Channel, stream.channels, stream.units, scales)),
            rate_hz=round(1e6 / usual_us, 3),
            format=SampleFormat.INT16,
            position=position,
            total=total,
            simulated=stream.simulated,
            repeat=stream.repeat,
        )
        self._origin_us: int | None = None
        self._cursor = 0
        self._index = 0

    def start(self, age_us: int) -> None:
        """Stream from now on; what would have been before is not sent late."""
        if self._origin_us is None:
            self._origin_us = age_us
        lap, since_us = divmod(age_us - self._origin_us, self._lap_us)
        self._cursor = lap * len(self._times_us) + int(np.searchsorted(self._times_us, since_us))
        self._index = 0

    @property
    def finished(self) -> bool:
        return not self._loop and self._cursor >= len(self._times_us)

    def due_us(self) -> int | None:
        """When the next batch is complete; None before the first start and after the end."""
        if self._origin_us is None or self.finished:
            return None
        return self._at_us(self._batch_end() - 1)

    def next_batch(self, shown_minus_age_us: int) -> Samples:
        """Return the next batch, stamped with the clock that the board shows."""
        start, end = self._cursor, self._batch_end()
        times_us = [self._at_us(number) + shown_minus_age_us for number in range(start, end)]
        numbers = np.arange(start, end)
        rows = (numbers if self._last is None else np.minimum(numbers, self._last)) % len(self._raw)
        samples = Samples(
            sensor_id=self.descriptor.sensor_id,
            first_index=self._index & 0xFFFFFFFF,
            time_us=times_us[0],
            count=end - start,
            data=self._raw[rows].tobytes(),
            deltas_us=tuple(after - before for before, after in itertools.pairwise(times_us)),
        )
        self._cursor = end
        self._index += end - start
        return samples

    def _at_us(self, number: int) -> int:
        lap, row = divmod(number, len(self._times_us))
        assert self._origin_us is not None
        return self._origin_us + lap * self._lap_us + int(self._times_us[row])

    def _batch_end(self) -> int:
        """A batch ends at its size, at the end of a lap, or before a pause too long for a delta."""
        row = self._cursor % len(self._times_us)
        times_us = self._times_us[row : row + self._batch]
        pauses = np.flatnonzero(np.diff(times_us) > _MAX_DELTA_US)
        return self._cursor + (int(pauses[0]) + 1 if len(pauses) else len(times_us))


class SimulatedFirmware:
    """The program of the board. `age_us` never goes back; the clock it shows does, at each `boot`."""

    def __init__(
        self,
        streams: Sequence[SimulatedStream],
        *,
        name: str = "simulated-mcu",
        speed: float = 1.0,
        batch: int = 10,
        loop: bool = True,
        clock_start_us: int = 0,
        stuck_after_us: int = 0,
    ) -> None:
        """`stuck_after_us` after its first start a sensor gives the same values for ever; 0: it does not."""
        total = len(streams)
        self._players = [
            _Player(s, i, total, speed, batch=batch, loop=loop, stuck_after_us=stuck_after_us)
            for i, s in enumerate(streams)
        ]
        self._hello = Hello(name, uid=b"simulate", firmware="1.0.0")
        self._clock_start_us = clock_start_us
        self._shown_minus_age_us = clock_start_us
        self._running: list[_Player] = []
        self._connection = Connection(Role.DEVICE)

    @property
    def finished(self) -> bool:
        """True once every stream has come to its end; never where they loop."""
        return all(player.finished for player in self._players)

    def boot(self, age_us: int) -> bytes:
        """Power comes back: the clock begins at its start value, nothing streams."""
        self._shown_minus_age_us = self._clock_start_us - age_us
        self._running = []
        self._connection = Connection(Role.DEVICE)
        return self._connection.send(self._hello)

    def receive(self, data: bytes, age_us: int) -> bytes:
        """Take the host's bytes; return the answers. A host that breaks the protocol meets a fresh start."""
        self._connection.receive_data(data)
        out = []
        try:
            while (event := self._connection.next_event()) is not NEED_DATA:
                out.append(self._answer(event, age_us))
        except RemoteProtocolError:
            self._running = []
            self._connection = Connection(Role.DEVICE)
        return b"".join(out)

    def due(self, age_us: int) -> list[bytes]:
        """Return the frames of samples that are complete by now."""
        frames = []
        for player in self._running:
            while (due_us := player.due_us()) is not None and due_us <= age_us:
                frames.append(self._connection.send(player.next_batch(self._shown_minus_age_us)))
        return frames

    def next_due_us(self) -> int | None:
        """The age at which `due` has something again; None while nothing streams."""
        times_us = [due_us for player in self._running if (due_us := player.due_us()) is not None]
        return min(times_us, default=None)

    def _answer(self, event: Event, age_us: int) -> bytes:
        send, shown_us = self._connection.send, age_us + self._shown_minus_age_us
        match event:
            case Hello():
                self._running = []
                return send(self._hello)
            case Describe() if self._connection.state is not State.GREETING:
                return b"".join(send(player.descriptor) for player in self._players)
            case ClockRequest() if self._connection.state is not State.GREETING:
                return send(ClockReply(event.sent_ns, shown_us, shown_us))
            case Start():
                self._start(event.sensor_ids, age_us)
            case Stop():
                self._running = []
        return b""

    def _start(self, sensor_ids: tuple[int, ...], age_us: int) -> None:
        """Start those that were described: the connection refuses the samples of any other."""
        described = self._connection.descriptors
        self._running = [
            player
            for player in self._players
            if player.descriptor.sensor_id in described
            and (not sensor_ids or player.descriptor.sensor_id in sensor_ids)
        ]
        for player in self._running:
            player.start(age_us)


def _scale(column: Float32) -> float:
    """The smallest power of two that fits the column into int16: exact in float32."""
    finite = np.abs(column[np.isfinite(column)])
    largest = float(finite.max(initial=0.0)) or 1.0
    return 2.0 ** math.ceil(math.log2(largest / _INT16_MAX))


def _quantise(
    values: Float32, scales: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    raw = np.rint(values / scales)
    return np.where(np.isfinite(raw), raw, _UNREADABLE).astype("<i2")
