"""A microcontroller at the far end of a pty: what opens its port cannot tell it from a board on USB.

It has its own drifting clock and can be unplugged, fed with noise and made to lose frames. It ships
with the product: the demo plays recordings through it, and anyone without hardware can.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from edge_agent.sensors.simulated_firmware import SimulatedFirmware, SimulatedStream
from edge_agent.sensors.simulated_serial import SimulatedSerial


class SimulatedMcu(SimulatedSerial):
    """Plays `streams` in the bridge protocol; see SimulatedSerial for the line and its faults."""

    def __init__(
        self,
        streams: Sequence[SimulatedStream],
        *,
        link: Path | None = None,
        name: str = "simulated-mcu",
        speed: float = 1.0,
        batch: int = 10,
        loop: bool = True,
        drift_ppm: float = 40.0,
        clock_start_us: int = 0,
        stuck_after_s: float = 0.0,
        seed: int = 0,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._firmware = SimulatedFirmware(
            streams, name=name, speed=speed, batch=batch, loop=loop, clock_start_us=clock_start_us,
            stuck_after_us=round(stuck_after_s * 1e6),
        )  # fmt: skip
        super().__init__(self._firmware, link=link, drift_ppm=drift_ppm, seed=seed, monotonic_ns=monotonic_ns)

    @property
    def finished(self) -> bool:
        """True when every stream has come to its end."""
        return self._firmware.finished
