"""The only module that speaks onnxruntime: sessions on one thread whose shapes were checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from edge_agent.errors import ModelError
from edge_agent.types import Float32

Shape = tuple[int, ...]
"""The dimensions after the batch."""


def session_options() -> Any:
    """One thread that does not spin: by default idle workers busy-wait and cost a whole core at 20 Hz."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return options


def lean_session(path: Path) -> Any:
    """A network that is not ours and is run now and then, in the least memory. Raises ModelError.

    As its file has it, without an arena and without weights packed a second time: together two fifths of
    what a small speech network takes. The weights of an .ort file stay in it, mapped, where onnxruntime can
    (from 1.26 on; an earlier one reads them).
    """
    options = session_options()
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.disable_prepacking", "1")
    options.add_session_config_entry("session.use_memory_mapped_ort_model", "1")
    options.add_session_config_entry("session.use_ort_model_bytes_for_initializers", "1")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no base class
        raise ModelError(f"{path} is not a network that onnxruntime can load: {error}") from error


class OnnxSession:
    """A network with named inputs and outputs. `outputs` may name fewer than the file has."""

    def __init__(self, path: Path, inputs: Mapping[str, Shape], outputs: Mapping[str, Shape]) -> None:
        """Load and compare shapes. Raises ModelError for a file that does not fit the manifest."""
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(path), session_options(), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's exceptions share no base class
            raise ModelError(f"{path} is not a network that onnxruntime can load: {error}") from error
        _compare(path, "input", self._session.get_inputs(), inputs)
        _compare(path, "output", self._session.get_outputs(), outputs)
        if extra := {i.name for i in self._session.get_inputs()} - set(inputs):
            raise ModelError(f"{path} wants inputs that nothing gives it: {', '.join(sorted(extra))}")
        self._names = list(outputs)

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, Float32]:
        """The named outputs, each (B, ...) float32."""
        arrays = self._session.run(self._names, dict(feeds))
        return {name: np.asarray(a, dtype=np.float32) for name, a in zip(self._names, arrays, strict=True)}


def _compare(path: Path, kind: str, found: list[Any], expected: Mapping[str, Shape]) -> None:
    shapes = {value.name: tuple(value.shape[1:]) for value in found}
    for name, shape in expected.items():
        if name not in shapes:
            raise ModelError(f"{path} has no {kind} {name!r}, only {', '.join(sorted(shapes))}")
        if shapes[name] != shape:
            raise ModelError(
                f"{path}: {kind} {name!r} is {shapes[name]} after the batch, the manifest says {shape}",
                hint="the files of a model folder must come from one export",
            )
