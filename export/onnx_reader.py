"""The weights of a network back from the ONNX file that `onnx_writer` made of it.

The exporter merges, transposes and renames: a batch norm goes into its convolution, a parameter becomes
"val_93". What it did is learned from the same network with known numbers, exported by the same code: the two
graphs are alike node by node, and an input that holds a known number in one holds the wanted in the other.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from torch import nn

Array = npt.NDArray[np.float32]
Pair = tuple[Array, Array]
"""What stands at the same place of the known and of the wanted graph."""
Nodes = list[tuple[onnx.NodeProto, onnx.NodeProto]]
"""Of the known and of the wanted graph."""
Constants = dict[str, Array]


class UnlikeError(ValueError):
    """The file holds another network than the one to be filled."""


def fill(network: nn.Module, path: Path, graph: nn.Module, write: Callable[[Path], None]) -> None:
    """Set every parameter and buffer of `network` from the file at `path`; other parts of `graph` are spoilt.

    write: exports `graph`, which `network` is part of, with its weights of that moment. A batch norm that was
    merged into the convolution before it comes back as its effect, which is there and in the bias. What the
    graph does not use is not in the file: whoever fills a network compares what it then says with the file
    (parity.py).
    Raises UnlikeError for another graph.
    """
    _make_known(graph)
    with tempfile.TemporaryDirectory() as scratch:
        write(Path(scratch) / "known.onnx")
        known, wanted = onnx.load(Path(scratch) / "known.onnx"), onnx.load(path)
    nodes = _alike(known, wanted, path)
    here, there = _constants(known), _constants(wanted)
    pairs = list(_pairs(nodes, here, there))
    by_size: dict[int, list[Pair]] = {}
    for pair in pairs:
        by_size.setdefault(pair[0].size, []).append(pair)
    rows = {row.tobytes(): wanted for pair in pairs for row, wanted in _rows(*pair)}
    with torch.no_grad():
        _whole_norms(network, nodes, here, there)
        for tensor in _learned(network):
            found = _whole(tensor.numpy(), by_size.get(tensor.numel(), []))
            if found is None:
                found = _by_rows(tensor.numpy(), rows)
            tensor.copy_(torch.tensor(found))


def _make_known(network: nn.Module) -> None:
    """Every number different from any other, and batch norms that do nothing but add their bias."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in _learned(network):
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
        for norm in _batch_norms(network):
            norm.weight.fill_(1.0)
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean.zero_()
            norm.running_var.fill_(1.0 - norm.eps)


def _whole_norms(network: nn.Module, nodes: Nodes, here: Constants, there: Constants) -> None:
    """Batch norms that were not merged: the known graph's biases say which node is which."""
    for node, other in nodes:
        if node.op_type != "BatchNormalization":
            continue
        _, scale, _, mean, variance = other.input
        bias = torch.tensor(here[node.input[2]])
        for norm in _batch_norms(network):
            if torch.equal(norm.bias, bias):
                norm.weight.copy_(torch.tensor(there[scale]))
                norm.running_mean.copy_(torch.tensor(there[mean]))  # type: ignore[union-attr]  # it has them
                norm.running_var.copy_(torch.tensor(there[variance]))  # type: ignore[union-attr]


def _learned(network: nn.Module) -> Iterator[torch.Tensor]:
    """What the file knows: of a batch norm only its bias."""
    silent = {
        id(tensor)
        for norm in _batch_norms(network)
        for tensor in (norm.weight, norm.running_mean, norm.running_var)
    }
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.is_floating_point() and id(tensor) not in silent:
            yield tensor.data


def _batch_norms(network: nn.Module) -> Iterator[nn.BatchNorm1d | nn.BatchNorm2d]:
    return (m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d))


def _alike(known: onnx.ModelProto, wanted: onnx.ModelProto, path: Path) -> Nodes:
    """The nodes of both graphs side by side. Raises UnlikeError where they are not alike."""
    nodes, others = known.graph.node, wanted.graph.node
    if [n.op_type for n in nodes] != [n.op_type for n in others]:
        raise UnlikeError(f"{path}: {len(others)} operations, the network of the catalog has {len(nodes)}")
    return list(zip(nodes, others, strict=True))


def _pairs(nodes: Nodes, here: Constants, there: Constants) -> Iterator[Pair]:
    """Constant inputs of nodes. By place and not by name: equal numbers share one name in a file."""
    for node, other in nodes:
        for a, b in zip_longest(node.input, other.input):
            if a in here and b is None:  # a bias of zeros is left out
                yield here[a], np.zeros_like(here[a])
            elif a in here and b in there and here[a].size == there[b].size:
                yield here[a], there[b]


def _constants(model: onnx.ModelProto) -> Constants:
    arrays = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    return {name: a for name, a in arrays.items() if a.dtype == np.float32}


def _whole(tensor: Array, pairs: list[Pair]) -> Array | None:
    for known, wanted in pairs:
        if np.allclose(known.ravel(), tensor.ravel(), rtol=1e-5, atol=0):
            return wanted.reshape(tensor.shape)
        if tensor.ndim == 2 and np.allclose(known.ravel(), tensor.T.ravel(), rtol=1e-5, atol=0):
            return wanted.reshape(tensor.T.shape).T
        if np.allclose(known.ravel(), np.tanh(tensor.ravel()), rtol=1e-5, atol=0):  # a gate
            return np.arctanh(np.clip(wanted.reshape(tensor.shape), -1 + 1e-6, 1 - 1e-6))
    return None


def _rows(known: Array, wanted: Array) -> Iterator[Pair]:
    """Numbers, vectors, and the rows of matrices: a table may be picked from before it is used."""
    if known.ndim <= 2 and known.shape == wanted.shape:
        width = known.shape[-1] if known.ndim else 1
        yield from zip(known.reshape(-1, width), wanted.reshape(-1, width), strict=True)


def _by_rows(tensor: Array, rows: dict[bytes, Array]) -> Array:
    """Row by row, of a vector number by number; what was not picked stays."""
    table = np.ascontiguousarray(tensor.reshape(len(tensor), -1) if tensor.ndim else tensor.reshape(1, 1))
    return np.stack([rows.get(row.tobytes(), row) for row in table]).reshape(tensor.shape)
