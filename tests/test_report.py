"""The evaluation report: every number of the result is in it, and a missed gate cannot be overlooked."""

from __future__ import annotations

import pytest

pytest.importorskip("matplotlib")

from export import report

RESULT = {
    "model": "iotlm-7m",
    "version": "0.1.0",
    "sizes_bytes": {"lm.gguf": 1234567},
    "scores": [
        {"condition": "phone", "reader": "fused", "accuracy": 0.9123, "macro_f1": 0.8456, "samples": 343}
    ],
    "gates": {
        "activity_recognition": [
            {"name": "swap-follow", "value": 0.61, "least": 0.9, "passed": False},
            {"name": "blind", "value": 1.0, "least": 0.95, "passed": True},
        ]
    },
    "families": {"activity_recognition": {"label": {"count": 20, "as_fused_head": 0.95, "as_truth": 0.9}}},
    "control_norms": [0.1, 0.2],
    "calibration": {"activity_recognition": {"temperature": 0.731}},
    "parity": {"encoders": {"audio": 1.5e-6}},
    "folds": None,
}


def test_every_number_is_told():
    text = report.markdown(RESULT)
    for told in ("0.912", "0.846", "343", "1,234,567", "0.610", "1.5e-06", "0.95", "0.100, 0.200", "0.731"):
        assert told in text, told


def test_a_missed_gate_says_fail_on_its_own_line():
    lines = report.markdown(RESULT).splitlines()
    assert any("swap-follow" in line and "**FAIL**" in line for line in lines)
    assert any("blind" in line and "PASS" in line and "FAIL" not in line for line in lines)


def test_folds_become_one_row_per_figure():
    folds = {"folds_done": 5, "summary": {"phone": {"fused": {"macro_f1": {"mean": 0.86, "sd": 0.012}}}}}
    text = report.markdown(RESULT | {"folds": folds})
    assert "| phone | fused | macro f1 | 0.860 ± 0.012 |" in text
    assert "5 folds" in text


def test_what_was_not_measured_is_not_invented():
    assert "Not measured in this run." in report.markdown(RESULT)
    assert "Speed" not in report.markdown(RESULT)
