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
        {
            "condition": "activity_recognition", "kind": "real", "reader": "fused", "accuracy": 0.9123,
            "macro_f1": 0.8456, "samples": 343,
        },
        {
            "condition": "scene", "kind": "simulated", "reader": "language", "accuracy": 0.7321,
            "macro_f1": 0.7012, "samples": 400,
        },
    ],
    "numbers": {
        "gaze": {
            "kind": "simulated", "task": "gaze_estimation", "samples": 400,
            "floor": {"rmse": 3.217, "error": 4.551}, "fused": {"rmse": 1.239, "error": 1.752},
            "within_one_sigma": 0.688, "within_two_sigma": 0.951,
        }
    },
    "conformal": {"scene": {"coverage": 0.9137, "labels": 1.2345, "ece": 0.0456}},
    "gates": {
        "activity_recognition": [
            {"name": "swap-follow", "value": 0.61, "least": 0.9, "passed": False},
            {"name": "blind", "value": 1.0, "least": 0.95, "passed": True},
        ]
    },
    "families": {"activity_recognition": {"label": {"count": 20, "as_fused_head": 0.95, "as_truth": 0.9}}},
    "past": {
        "all": {"count": 500, "free": 0.934, "right_facts": 0.962, "held": 0.998, "as_asked": 0.871},
        "kinds": {"last": {"count": 25, "free": 0.88, "right_facts": 0.92, "held": 0.96, "as_asked": 0.76}},
        "wrong": [],
    },
    "past_kinds": {
        "all": {"count": 154, "right": 0.764, "told": 0.617, "told_right": 0.912},
        "kinds": {"often": {"count": 11, "right": 0.273, "told": 0.0, "told_right": None}},
        "wrong": [],
    },
    "control_norms": [0.1, 0.2],
    "calibration": {"activity_recognition": {"temperature": 0.731}},
    "parity": {"encoders": {"audio": 1.5e-6}},
    "folds": None,
    "sets": [],
    "unseen": None,
    "bench": None,
}  # fmt: skip


def test_every_number_is_told():
    text = report.markdown(RESULT)
    for told in ("0.912", "0.846", "343", "1,234,567", "0.610", "1.5e-06", "0.95", "0.100, 0.200", "0.731"):
        assert told in text, told


def test_how_well_the_past_is_worded_is_told_by_kind():
    text = report.markdown(RESULT)
    assert "| all | 500 | 0.93 | 0.96 | 1.00 | 0.87 |" in text
    assert "| last | 25 | 0.88 | 0.92 | 0.96 | 0.76 |" in text
    assert "passes freely" not in report.markdown({k: v for k, v in RESULT.items() if k != "past"})


def test_how_well_a_kind_is_told_and_how_often_it_is():
    text = report.markdown(RESULT)
    assert "| all | 154 | 0.76 | 0.62 | 0.91 |" in text
    assert "| often | 11 | 0.27 | 0.00 |  |" in text
    assert "told rightly" not in report.markdown({k: v for k, v in RESULT.items() if k != "past_kinds"})


def test_a_row_says_whether_its_windows_are_real():
    text = report.markdown(RESULT)
    assert "| activity_recognition | real | fused head | 0.912 | 0.846 | 343 |" in text
    assert "| scene | simulated | language model | 0.732 | 0.701 | 400 |" in text


def test_every_table_of_windows_says_whether_they_are_real():
    text = report.markdown(RESULT)
    for heading in (
        "### activity_recognition (real)",
        "| activity_recognition / temperature | real | 0.731 |",
    ):
        assert heading in text
    assert text.count("### activity_recognition (real)") == 2  # its controls and its families


def test_a_gate_of_the_whole_model_is_told_with_its_number_and_its_bound():
    text = report.markdown(RESULT)
    assert "| swap-follow (worst: activity_recognition) | 0.61 | at least 0.9 | **FAIL** |" in text
    assert "| bytes of the model's files | 1.235e+06 | at most 6e+07 | PASS |" in text
    assert "| ESC-10: accuracy by clip over the official folds |  | at least 0.9 | not measured in" in text


def test_numbers_stand_beside_their_floor_and_their_sigma_is_checked():
    text = report.markdown(RESULT)
    assert "| gaze | simulated | gaze_estimation | floor | rmse | 3.217 |" in text
    assert "| gaze | simulated | gaze_estimation | fused | rmse | 1.239 |" in text
    assert "| gaze | simulated | gaze_estimation | fused | within one sigma | 0.688 |" in text
    assert "| scene | simulated | 0.914 | 1.23 | 0.046 |" in text


def test_every_set_says_its_licence_its_split_and_what_others_reached():
    one = {
        "study": "which_thumb", "set": "touch-set", "task": "touch", "kind": "real", "licence_class": "C",
        "split": "by person",
        "reference": "Somebody: 0.9", "summary": {"random_forest": {"macro_f1": {"mean": 0.812, "sd": 0.03}}},
    }  # fmt: skip
    text = report.markdown(RESULT | {"sets": [one]})
    assert "| touch-set | touch | real | C | random forest | macro f1 | 0.812 ± 0.030 | 1 |" in text
    assert "Somebody: 0.9" in text
    assert "by person" in text
    other = one | {"summary": {"random_forest": {"macro_f1": {"mean": 0.852, "sd": 0.05}}}}
    both = report.markdown(RESULT | {"sets": [one, other]})
    assert "| C | random forest | macro f1 | 0.832 ± 0.040 | 2: 0.028 |" in both
    assert both.count("Somebody: 0.9") == 1


def test_a_class_that_was_left_out_has_its_row():
    found = {"set": "sounds", "left_out": "dog", "epochs": 16, "auroc": 0.8765}
    text = report.markdown(RESULT | {"unseen": [found]})
    assert "| sounds | real | dog | 16 | 0.876 |" in text or "| sounds | real | dog | 16 | 0.877 |" in text


def test_a_table_is_as_wide_in_every_line():
    for block in report.markdown(RESULT).split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1, block


def test_a_missed_gate_says_fail_on_its_own_line():
    lines = report.markdown(RESULT).splitlines()
    assert any("swap-follow" in line and "**FAIL**" in line for line in lines)
    assert any("blind" in line and "PASS" in line and "FAIL" not in line for line in lines)


def test_folds_become_one_row_per_figure():
    folds = {"folds_done": 5, "summary": {"phone": {"fused": {"macro_f1": {"mean": 0.86, "sd": 0.012}}}}}
    text = report.markdown(RESULT | {"folds": folds})
    assert "| phone | real | fused | macro f1 | 0.860 ± 0.012 |" in text
    assert "5 folds" in text
    assert "micro-ACDNet 96.25 %" in text
    assert "phone 0.815" in text


def test_what_was_not_measured_is_not_invented():
    text = report.markdown(RESULT)
    assert text.count("Not measured in this run.") == 3  # folds, sets, unseen
    assert "Speed" not in text
    assert "Speed" in report.markdown(RESULT | {"bench": {"ms": 3.0}})
