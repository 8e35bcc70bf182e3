"""Arithmetic of tags and parameters: what belongs to a tag, and what is refused."""

from __future__ import annotations

import math

import pytest

from sweeps.common.errors import RequestError
from sweeps.external.expressions import Expression


@pytest.mark.parametrize(
    ("text", "values", "result"),
    [
        ("val/mel / mel_w", {"val/mel": 10.0, "mel_w": 5.0}, 2.0),
        ("val_mel/mel_w", {"val_mel": 10.0, "mel_w": 5.0}, 2.0),
        ("val/mel/mel_w", {"val/mel": 10.0, "mel_w": 5.0}, 2.0),
        ("val/mel/mel_w", {"val/mel/mel_w": 3.0, "val/mel": 10.0, "mel_w": 5.0}, 3.0),
        ("a-b", {"a": 3.0, "b": 1.0}, 2.0),
        ("a-b", {"a-b": 7.0, "a": 3.0, "b": 1.0}, 7.0),
        ("loss/2", {"loss": 1.0}, 0.5),
        ("1e-3 * (a + 2*b)", {"a": 1.0, "b": 2.0}, 0.005),
        ("`my tag` + sqrt(b)", {"my tag": 1.0, "b": 4.0}, 3.0),
        ("-a ** 2", {"a": 2.0}, -4.0),
        ("max(a, b)", {"a": 2.0, "b": 3.0}, 3.0),
    ],
)
def test_values(text: str, values: dict[str, float], result: float) -> None:
    assert Expression(text).value(values) == pytest.approx(result)


@pytest.mark.parametrize("text", ["a / 0", "log(0 - a)", "9 ** 9 ** 9 ** 9"])
def test_what_has_no_value_is_nan(text: str) -> None:
    assert math.isnan(Expression(text).value({"a": 1.0}))


@pytest.mark.parametrize(
    "text", ["", "a +", "a b", "a, b", "open('x')", "a.b()", "exec(a)", "log", "[a]", "a if b else c", "a; b", "a = 1"]
)
def test_anything_but_arithmetic_is_refused(text: str) -> None:
    with pytest.raises(RequestError):
        Expression(text)


def test_a_missing_tag_is_named() -> None:
    with pytest.raises(KeyError, match="val/mel"):
        Expression("val/mel / mel_w").value({"mel_w": 5.0})
