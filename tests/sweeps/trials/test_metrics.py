"""A trainer's epoch report: what counts as a number, and how everything else is named."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch

from sweeps.trials.metrics import ReportError, plain_report


@pytest.mark.parametrize(
    "value",
    [
        0.5,
        np.float32(0.5),
        np.float64(0.5),
        np.array(0.5, np.float32),
        np.array([0.5]),
        torch.tensor(0.5, requires_grad=True),
        torch.tensor(0.5, dtype=torch.bfloat16),
        torch.tensor([0.5]),
        torch.tensor([[0.5]]),
        np.longdouble(0.5),
        np.float16(0.5),
        Decimal("0.5"),
        Fraction(1, 2),
    ],
)
def test_scalars_of_numpy_and_torch_are_numbers(value: object) -> None:
    report = plain_report({"objective": value, "steps": np.int64(5), "bands": np.zeros(3), "tags": ("a", None, True)})
    assert report == {"objective": 0.5, "steps": 5, "bands": [0.0, 0.0, 0.0], "tags": ["a", None, True]}
    assert json.loads(json.dumps(report)) == report


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (None, "returned NoneType"),
        ({"loss": 1.0}, "reported no 'objective'; it reported: loss"),
        ({"objective": "0.4"}, "'objective' as str '0.4'; it must be a number"),
        ({"objective": np.zeros(3)}, r"'objective' as numpy.ndarray of shape \(3,\); it must be a number"),
        ({"objective": 0.4, "model": object()}, "reported 'model' as object, which is no number"),
        ({"objective": 0.4, "inner": {"words": {1, 2}}}, "reported 'inner/words' as set, which"),
        ({"objective": 0.4, "mel": torch.zeros(200, 80)}, r"'mel' as torch.Tensor of shape \(200, 80\), which"),
    ],
)
def test_what_is_no_number_is_named_with_its_key_and_type(report: object, words: str) -> None:
    with pytest.raises(ReportError, match=words):
        plain_report(report)


@pytest.mark.parametrize(
    "value",
    [
        torch.tensor(0.5, device="meta"),
        torch.tensor([0.5]).to_sparse(),
        np.datetime64("2026-01-01"),
        np.complex64(1),
        np.bool_(True),
        np.ma.masked,
    ],
)
def test_an_objective_without_a_value_of_its_own_is_named(value: object) -> None:
    with pytest.raises(ReportError, match="reported 'objective' as "):
        plain_report({"objective": value})


@pytest.mark.parametrize("value", [10**400, -(10**400)], ids=["above", "below"])
def test_a_whole_number_beyond_all_others_is_no_finite_one(value: int) -> None:
    assert math.isnan(plain_report({"objective": value})["objective"])


def test_a_report_that_diverged_needs_no_objective() -> None:
    assert plain_report({"diverged": {"step": np.int32(3)}}) == {"diverged": {"step": 3}}
