"""What every Reader of the paper's sources promises, on the tiny files that a test has written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from export.datasets import common


def check(reader: common.Reader, root: Path) -> common.Samples:
    samples = reader.load(root)
    info = reader.INFO
    n, steps, channels = samples.x.shape
    assert n > 0
    assert (steps, channels) == (round(info.rate_hz * info.window_s), len(info.channels))
    assert len(info.units) == channels == len(set(info.channels))
    assert samples.x.dtype == np.float32
    assert np.isfinite(samples.x).all()
    assert {len(samples.target), len(samples.group), len(samples.recording)} == {n}
    if info.labels:
        assert not info.outputs
        assert samples.target.dtype == np.int64
        assert 0 <= samples.target.min() <= samples.target.max() < len(info.labels)
    else:
        assert samples.target.dtype == np.float32
        assert samples.target.shape == (n, len(info.outputs))
    assert info.licence_class == "C"
    for fold in [*reader.folds(samples), reader.shipped(samples)]:
        assert len(fold.train) > 0 < len(fold.test)
        for rows in parts(fold):
            assert len(rows) == len(set(rows.tolist()))
        groups = [set(samples.group[rows].tolist()) for rows in parts(fold)]
        assert not groups[0] & groups[1]
        assert not (groups[0] | groups[1]) & groups[2]
        recordings = [set(samples.recording[rows].tolist()) for rows in parts(fold)]
        assert not recordings[0] & recordings[1]
    assert len(reader.shipped(samples).validation) > 0
    again = reader.load(root)
    assert np.array_equal(samples.x, again.x)
    assert samples.recording.tolist() == again.recording.tolist()
    return samples


def parts(fold: common.Fold) -> Iterator[common.Int64]:
    yield from (fold.train, fold.test, fold.validation)


def refused(reader: common.Reader, root: Path, *words: str) -> None:
    """A ValueError that names the file and what was expected."""
    with pytest.raises(ValueError) as caught:
        reader.load(root)
    for word in words:
        assert word in str(caught.value)


def missing(reader: common.Reader, root: Path) -> None:
    """DatasetMissingError, with the next step, both without the folder and with an empty one."""
    for _ in range(2):
        with pytest.raises(common.DatasetMissingError, match="EDGE_AGENT_DATA"):
            reader.load(root)
        for name in ("eyemu", "touchpose", "samosa", "rgbdgaze", "dip_imu", "llvip", "kitti", "ego4d"):
            (root / name).mkdir(exist_ok=True)
