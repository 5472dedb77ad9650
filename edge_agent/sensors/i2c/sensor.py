"""Any chip on an I2C bus as a sensor: paces its driver, times its samples, starts it anew when it is lost."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable, Iterator

import numpy as np

from edge_agent.clock import NS_PER_S, PacingClock
from edge_agent.errors import ConfigurationError, SensorError
from edge_agent.sensors.channels import Channel, fit, listed
from edge_agent.sensors.i2c.driver import Driver, Reading, Wait
from edge_agent.types import Chunk, Int64, SensorHealth, SensorState

FAILURES_IN_A_ROW = 3
"""Reads that fail one after the other until the chip is started anew."""
SILENT_PERIODS = 20
SILENT_LEAST_S = 2.0
"""A chip that answers but has nothing new for so many periods, and so long, is started anew."""
BACKOFF_BASE_S = 0.1
BACKOFF_CAP_S = 2.0
QUEUES_FROM = 1.5
"""A driver that reads this many periods apart, or more, has a queue in its chip that holds the rest."""
EVERY_READ_FROM = 0.67
"""One that reads this many periods apart expects a sample of each read; a more frequent one only looks."""
TRACKING = 0.05
"""Share of a queue's time error that is corrected with each read of a chip that queues samples."""
STOP_NOTICED_S = 0.15


class I2CSensor:
    """One chip. `make` gives a fresh driver at every start; `names` and `units` are those of its slot.

    `shares` says that other chips fill the rest of the slot: what this one lacks is then no defect.
    `channels` is Chunk.sensor -> what its columns are. `release` is called when it lets go of its chip.
    ConfigurationError where they cannot fill the slot.
    """

    def __init__(
        self,
        name: str,
        slot: str,
        make: Callable[[Wait], Driver],
        clock: PacingClock,
        *,
        names: tuple[str, ...] = (),
        units: tuple[str, ...] = (),
        shares: bool = False,
        simulated: bool = False,
        rng: random.Random | None = None,
        release: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.slot = slot
        self.health = SensorHealth()
        have = make(lambda _seconds: None).channels
        try:
            self._matched = fit(have, names, units)
        except ValueError as error:
            raise ConfigurationError(f"it cannot fill the slot {slot}: {error}", key="slot") from error
        self.channels: dict[str, tuple[Channel, ...]] = {name: self._matched.channels}
        self._lacks = "" if shares else listed(self._matched.missing)
        self._make = make
        self._clock = clock
        self._simulated = simulated
        self._release = release
        self._rng = rng or random.Random()
        self._last_ns = 0

    def chunks(self, stop: threading.Event) -> Iterator[Chunk]:
        """See types.Sensor."""
        try:
            yield from self._live(stop)
        finally:
            self._release()
            self._set(SensorState.OFFLINE, "stopped")

    def _live(self, stop: threading.Event) -> Iterator[Chunk]:
        """Start the chip and read it, again and again, until `stop`."""
        failures = 0
        while not stop.is_set():
            try:
                driver = self._make(lambda seconds: self._wait(seconds, stop))
                driver.start()
                for chunk in self._poll(driver, stop):
                    if failures and self.health.samples:
                        self.health.reconnects += 1
                    failures = 0
                    self._flowing()
                    self.health.samples += len(chunk.times_ns)
                    self.health.lost += chunk.lost
                    yield chunk
            except OSError as error:
                self.health.errors += 1
                self._set(SensorState.OFFLINE, _reason(error))
                failures = min(failures + 1, 8)
                self._wait(self._rng.uniform(0, min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2**failures)), stop)

    def _poll(self, driver: Driver, stop: threading.Event) -> Iterator[Chunk]:
        """Read at the driver's pace until an error ends this start of the chip."""
        times = _SampleTimes(driver.rate_hz, self._last_ns)
        due_ns = self._clock.monotonic_ns()
        quiet_ns: int | None = None
        silent_ns = max(SILENT_LEAST_S, SILENT_PERIODS * max(driver.poll_s, 1 / driver.rate_hz)) * NS_PER_S
        failed = lost = 0
        samples_a_read = driver.poll_s * driver.rate_hz
        while self._wait_until(due_ns, stop):
            try:
                reading = driver.read()
                failed = 0
            except OSError:
                failed += 1
                self.health.errors += 1
                if failed >= FAILURES_IN_A_ROW:
                    raise
                reading = None
            now_ns = self._clock.monotonic_ns()
            late_s = (now_ns - due_ns) / NS_PER_S
            due_ns += round((max(0, math.floor(late_s / driver.poll_s)) + 1) * driver.poll_s * NS_PER_S)
            if samples_a_read < QUEUES_FROM:  # what it measured while we did not read, or could not, is gone
                lost += max(0, math.floor(late_s * driver.rate_hz))
                lost += failed > 0 and samples_a_read > EVERY_READ_FROM
            if reading is not None:
                quiet_ns = None
                yield self._chunk(reading, lost, times.of(len(reading.values), now_ns))
                lost = 0
            elif quiet_ns is None:  # since the first empty read, not the last full one: we may have been away
                quiet_ns = now_ns
            elif now_ns - quiet_ns > silent_ns:
                silent_s = silent_ns / NS_PER_S
                raise SensorError(f"the chip answers, but has measured nothing for {silent_s:.0f} s")

    def _chunk(self, reading: Reading, lost: int, times_ns: Int64) -> Chunk:
        self._last_ns = int(times_ns[-1])
        values = self._matched.apply(reading.values)
        return Chunk(self.name, times_ns, values, lost + reading.lost, self._simulated)

    def _wait_until(self, due_ns: int, stop: threading.Event) -> bool:
        """Wait in short steps, since a clock that is not the machine's may know nothing of `stop`."""
        step_ns = round(STOP_NOTICED_S * NS_PER_S)
        while (now_ns := self._clock.monotonic_ns()) < due_ns:
            if not self._clock.wait_until(min(due_ns, now_ns + step_ns), stop):
                return False
        return not stop.is_set()

    def _wait(self, seconds: float, stop: threading.Event) -> None:
        self._wait_until(self._clock.monotonic_ns() + round(seconds * NS_PER_S), stop)

    def _flowing(self) -> None:
        if self._lacks:
            self._set(SensorState.DEGRADED, f"no channel {self._lacks}")
        else:
            self._set(SensorState.ONLINE, "")

    def _set(self, state: SensorState, reason: str) -> None:
        self.health.state, self.health.reason = state, reason


class _SampleTimes:
    """When the samples of a read were taken.

    One sample: now. Several, from a queue: evenly spaced up to now; the end of the queue follows our clock
    slowly, so that neither the jitter of our reads nor the chip's own idea of a second tears the signal.
    """

    def __init__(self, rate_hz: float, last_ns: int) -> None:
        self._period_ns = NS_PER_S / rate_hz
        self._last_ns = last_ns
        self._end_ns: float | None = None

    def of(self, count: int, now_ns: int) -> Int64:
        """(count,) monotonic times, never going back and never from the future."""
        if count == 1 and self._end_ns is None:
            times_ns = np.array([now_ns], np.int64)
        else:
            expected_ns = now_ns if self._end_ns is None else self._end_ns + count * self._period_ns
            off_ns = now_ns - expected_ns
            if abs(off_ns) > 4 * count * self._period_ns:  # the queue was emptied or flooded: begin anew
                expected_ns, off_ns = now_ns, 0
            self._end_ns = min(float(now_ns), expected_ns + TRACKING * off_ns)
            steps = np.arange(1 - count, 1) * self._period_ns
            times_ns = np.rint(self._end_ns + steps).astype(np.int64)
        times_ns = np.maximum.accumulate(np.maximum(times_ns, self._last_ns))
        self._last_ns = int(times_ns[-1])
        return times_ns


def _reason(error: OSError) -> str:
    """What happened, in words for the published state."""
    if isinstance(error, SensorError):
        return f"{error}. {error.hint}".strip(" .") + "."
    return f"the chip does not answer: {error.strerror or error}"
