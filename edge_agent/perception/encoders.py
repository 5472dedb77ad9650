"""One encoder per slot: a window of a sensor in, tokens H_m, pooled z_m and logits out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_agent.errors import ModelError
from edge_agent.manifest import Manifest, Slot
from edge_agent.perception.features import MELS, RATE_HZ, frames_of, local_metres, log_mel
from edge_agent.perception.onnx_session import OnnxSession
from edge_agent.types import Features, Float32, SlotWindow, Values


def window_shape(slot: Slot) -> tuple[int, int]:
    """(samples, channels) of the slot's window."""
    return round(slot.rate_hz * slot.window_s), len(slot.channels)


def input_shape(slot: Slot) -> tuple[int, int]:
    """(T, C) of what the encoder is fed: the window itself, its log-mel frames, or metres.

    Raises ModelError where the slot is not what its features are made for.
    """
    samples, channels = window_shape(slot)
    if slot.features == "log_mel":
        if (round(slot.rate_hz), channels) != (RATE_HZ, 1):
            raise ModelError(
                f"slot {slot.name}: log-mel features need one channel at {RATE_HZ} Hz, "
                f"not {channels} at {slot.rate_hz:g} Hz"
            )
        return frames_of(samples), MELS
    if slot.features == "local_metres" and channels != 2:
        raise ModelError(
            f"slot {slot.name}: local metres need latitude and longitude, not {channels} channels"
        )
    return samples, channels


class Encoder:
    """The encoder of one slot. Its `logits` are what it says of the slot's heads, one after the other."""

    def __init__(self, folder: Path, manifest: Manifest, slot: Slot) -> None:
        """Load the network. Raises ModelError when its shapes are not those of the manifest."""
        self.slot = slot
        width = manifest.adapter.d_token
        said = sum(manifest.head(name).width for name in slot.heads)
        shape = input_shape(slot)
        self._session = OnnxSession(
            folder / slot.encoder,
            {"x": shape, "mask": (shape[1],)},
            {
                "tokens": (slot.n_tokens, width),
                "pooled": (width,),
                "logits": (said,),
                "novelty": (len(slot.heads),),
            },
        )
        self._all = np.ones((1, shape[1]), np.float32)

    def __call__(self, window: SlotWindow) -> Features:
        """Encode values (samples, channels) in the slot's units. Raises ModelError for another shape."""
        expected = window_shape(self.slot)
        if window.values.shape != expected:
            raise ModelError(
                f"slot {self.slot.name}: a window of {window.values.shape}, the model takes {expected}",
                hint="the sensor's channels must be those the manifest names for the slot",
            )
        mask = self._all
        if window.missing_channels.any() and self.slot.features == "raw":
            mask = 1.0 - window.missing_channels[None].astype(np.float32)
        out = self._session.run({"x": self._features(window.values)[None], "mask": mask})
        return Features(*(out[name][0] for name in ("tokens", "pooled", "logits", "novelty")))

    def _features(self, values: Values) -> Float32:
        if self.slot.features == "local_metres":
            return local_metres(values)
        single = np.ascontiguousarray(values, dtype=np.float32)
        return single if self.slot.features == "raw" else log_mel(single[:, 0])
