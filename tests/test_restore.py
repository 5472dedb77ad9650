"""Checkpoints back from a model folder: the networks that are read say what the shipped ones say."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from conftest import ROOT
from torch import nn

from edge_agent import manifest as manifests
from export import __main__ as command
from export import gguf_writer, onnx_reader, onnx_writer, parity, restore
from export.networks.encoders import HEARD, AudioEncoder, EncoderConfig, build
from export.novelty import Novelty
from export.onnx_writer import EncoderGraph
from export.rarity import Rarity
from export.train_heads import load_heads

SHIPPED = ROOT / "models" / "iotlm-7m"


IMU = EncoderConfig("imu", 5)
SHAPES = {"imu": (100, 6), "audio": (99, 64)}


def exported(network: nn.Module, path: Path, shape: tuple[int, int]) -> EncoderGraph:
    """As a slot of one head ships."""
    torch.manual_seed(7)
    z, heard, said, label = (
        torch.randn(600, 128),
        torch.randn(600, HEARD),
        torch.randn(600, 5),
        torch.arange(600) % 5,
    )
    novelty = (
        Rarity.fit(z, heard, label).limited_by(z[:9], heard[:9], said[:9])
        if isinstance(network, AudioEncoder)
        else Novelty.fit(z, said, label).limited_by(z[:9], said[:9])
    )
    graph = EncoderGraph(network, [novelty], [slice(0, 5)])
    onnx_writer.write_encoder(path, graph, shape)
    return graph


def trained(config: EncoderConfig) -> nn.Module:
    """A network whose batch norms have seen something."""
    torch.manual_seed(1)
    network = build(config)
    with torch.no_grad():
        network(*some(SHAPES[config.kind]))
    return network.eval()


def some(shape: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    return 3 * torch.randn(32, *shape) + 1, torch.ones(32, shape[1])


@pytest.mark.parametrize("config", [IMU, EncoderConfig("audio", 5)], ids=("merged", "whole"))
def test_an_encoder_comes_back(tmp_path, config):
    """Batch norms are merged into convolutions, and stay whole behind a matrix product."""
    wanted, found, shape = trained(config), build(config), SHAPES[config.kind]
    exported(wanted, tmp_path / "wanted.onnx", shape)
    graph = exported(found, tmp_path / "found.onnx", shape)
    onnx_reader.fill(
        found, tmp_path / "wanted.onnx", graph, lambda p: onnx_writer.write_encoder(p, graph, shape)
    )
    x, mask = some(shape)
    with torch.no_grad():
        for a, b in zip(wanted(x, mask), found.eval()(x, mask), strict=True):
            torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_another_network_than_the_file_holds_is_refused(tmp_path):
    shape = SHAPES["imu"]
    exported(trained(IMU), tmp_path / "wanted.onnx", shape)
    other = build(EncoderConfig("series", 5, shape=shape))
    graph = exported(other, tmp_path / "other.onnx", shape)
    with pytest.raises(onnx_reader.UnlikeError, match="operations"):
        onnx_reader.fill(
            other, tmp_path / "wanted.onnx", graph, lambda p: onnx_writer.write_encoder(p, graph, shape)
        )


def test_a_folder_that_is_none_is_refused(tmp_path, capsys):
    assert command.main(["--runs", str(tmp_path / "runs"), "restore", str(tmp_path)]) == 1
    assert "no model at" in capsys.readouterr().err


@pytest.mark.e2e
def test_the_shipped_model_comes_back(tmp_path, capsys):
    runs = tmp_path / "runs"
    assert command.main(["--runs", str(runs), "restore", str(SHIPPED)]) == 0
    shipped, manifest = runs / "shipped", manifests.load(SHIPPED)
    # `restore` itself has compared every encoder and the adapter with the files: what is left are the rest.
    assert {p.name for p in shipped.glob("encoder_*.pt")} == {f"encoder_{s.name}.pt" for s in manifest.slots}
    assert parity.equal_texts(SHIPPED / manifest.language.file, shipped / "tokenizer.json", 0, count=99) == 99
    student = torch.load(shipped / "align.pt", weights_only=True)["student"]
    heads = load_heads(shipped / "heads.pt").state_dict()
    assert all(torch.equal(student[f"adapter.fused.{name}"], value) for name, value in heads.items())
    language = restore.language(manifest, gguf.GGUFReader(SHIPPED / manifest.language.file))
    again = tmp_path / "again.gguf"
    gguf_writer.write(again, language, shipped / "tokenizer.json", quantisation="q8_0", name="again")
    for a, b in zip(
        gguf.GGUFReader(again).tensors,
        gguf.GGUFReader(SHIPPED / manifest.language.file).tensors,
        strict=True,
    ):
        assert a.name == b.name
        wanted = gguf.quants.dequantize(b.data, b.tensor_type)
        found = gguf.quants.dequantize(a.data, a.tensor_type)
        np.testing.assert_allclose(found, wanted, atol=float(np.abs(wanted).max()) / 1000)
    evaluation = json.loads((SHIPPED / "EVALUATION.json").read_text(encoding="utf-8"))
    assert json.loads((runs / "folds" / "results.json").read_text(encoding="utf-8")) == evaluation["folds"]
    assert len(list((runs / "sets").glob("*_seed*.json"))) == len(evaluation["sets"])
    capsys.readouterr()
    assert command.main(["--runs", str(runs), "restore", str(SHIPPED)]) == 1, "never over other checkpoints"
    assert "name another folder with --runs" in capsys.readouterr().err
