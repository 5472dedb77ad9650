"""The short tone that says "I listen now": two notes, from a formula."""

from __future__ import annotations

import numpy as np

from edge_agent.voice.types import Int16

NOTES_HZ = (659.26, 987.77)
"""E5 and B5, a fifth: heard well by a small loudspeaker, and like no speech."""
NOTE_S = 0.09
LOUDNESS = 0.25


def chime(rate_hz: int) -> Int16:
    """(n,) samples at `rate_hz`; it begins and ends at zero, so that nothing clicks."""
    t_s = np.arange(round(NOTE_S * rate_hz)) / rate_hz
    hull = np.sin(np.pi * t_s / NOTE_S) ** 2
    notes = [hull * (np.sin(2 * np.pi * f * t_s) + 0.3 * np.sin(4 * np.pi * f * t_s)) for f in NOTES_HZ]
    return np.round(np.concatenate(notes) / 1.3 * LOUDNESS * 32767).astype(np.int16)
