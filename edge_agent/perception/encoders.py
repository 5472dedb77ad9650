"""One encoder per slot: a window of a sensor in, tokens H_m, pooled z_m and logits out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_agent.errors import ModelError
from edge_agent.manifest import Manifest, Slot
from edge_agent.perception.features import MELS, RATE_HZ, frames_of, log_mel
from edge_agent.perception.onnx_session import OnnxSession
from edge_agent.types import Features, Float32


def window_shape(slot: Slot) -> tuple[int, int]:
    """(samples, channels) of the slot's window."""
    return round(slot.rate_hz * slot.window_s), len(slot.channels)


def input_shape(slot: Slot) -> tuple[int, int]:
    """(T, C) of what the encoder is fed: the window itself, or its log-mel frames.

    Raises ModelError for a rate that the log-mel features were not made for.
    """
    samples, channels = window_shape(slot)
    if slot.features == "raw":
        return samples, channels
    if (round(slot.rate_hz), channels) != (RATE_HZ, 1):
        raise ModelError(
            f"slot {slot.name}: log-mel features need one channel at {RATE_HZ} Hz, "
            f"not {channels} at {slot.rate_hz:g} Hz"
        )
    return frames_of(samples), MELS


class Encoder:
    """The encoder of one slot. Its `logits` are over the labels of the slot's first task."""

    def __init__(self, folder: Path, manifest: Manifest, slot: Slot) -> None:
        """Load the network. Raises ModelError when its shapes are not those of the manifest."""
        self.slot = slot
        width = manifest.adapter.d_token
        labels = len(manifest.task(slot.tasks[0]).labels)
        self._session = OnnxSession(
            folder / slot.encoder,
            {"x": input_shape(slot)},
            {"tokens": (slot.n_tokens, width), "pooled": (width,), "logits": (labels,)},
        )

    def __call__(self, values: Float32) -> Features:
        """Encode values (samples, channels) in the slot's units. Raises ModelError for another shape."""
        expected = window_shape(self.slot)
        if values.shape != expected:
            raise ModelError(
                f"slot {self.slot.name}: a window of {values.shape}, the model takes {expected}",
                hint="the sensor's channels must be those the manifest names for the slot",
            )
        out = self._session.run({"x": self._features(values)[None]})
        return Features(out["tokens"][0], out["pooled"][0], out["logits"][0])

    def _features(self, values: Float32) -> Float32:
        values = np.ascontiguousarray(values, dtype=np.float32)
        return values if self.slot.features == "raw" else log_mel(values[:, 0])
