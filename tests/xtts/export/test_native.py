"""The native export is what `run_sweep.py train --config` reads, and it says where it comes from."""

from __future__ import annotations

import dataclasses
import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from xtts.export import ExportError, Provenance, TunedConfig
from xtts.export.comments import header, provenance_lines
from xtts.export.targets.native import render_native
from xtts.export.yaml_text import yaml_value


def test_training_and_model_come_back_as_they_were(tuned: TunedConfig, provenance: Provenance) -> None:
    params = {
        **tuned.params,
        "updates": 7,
        "mel_normalisation": "none",
        "betas": [0.9, 0.99],
        "decay": None,
        "on": True,
    }
    loaded = yaml.safe_load(render_native(dataclasses.replace(tuned, params=params), provenance))
    assert loaded == {"model": "small", "training": params}


def test_its_comments_tell_where_the_config_comes_from(tuned: TunedConfig, provenance: Provenance) -> None:
    text = render_native(tuned, provenance)
    for part in (
        "run evening, 2026-11-23, XTTS Sweep 0.1.0",
        "objective: 0.5437 at epoch 7",
        "verdict: better, over seeds 11, 12, 13; best objective minus the default's between -0.0210 and -0.0040",
        "data: demo speech, fingerprint 9f3ac1",
        "Tuned with the model small, which this file trains.",
    ):
        assert part in text


def test_the_comments_say_whose_model_was_tuned_and_how_far_that_carries_over(provenance: Provenance) -> None:
    lines = provenance_lines(provenance)
    assert any("tuned on XTTS Sweep's own model (small), not on yours" in line for line in lines)
    external = provenance_lines(dataclasses.replace(provenance, measure="as my.yaml defines it"))
    assert any("Tuned on your own trainer, in the size and on the speech that were swept." in line for line in external)
    assert not any("not on yours" in line for line in external)
    for said in (lines, external, provenance_lines(provenance, own_model=True)):
        assert "from tiny to small" in said[-1]
        assert "docs/results-carry-over.md" in said[-1]
        assert all(
            line.startswith("# ") and len(line) < 112
            for line in header(provenance, said).splitlines()[1:-1]
            if line != "#"
        )


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("unconfirmed", "verdict: unconfirmed: a search's best"),
        ("worse", "unproven, confirmation found this config worse than the default"),
        ("no difference", "unproven, confirmation found no difference"),
        ("undecided", "unproven, confirmation could not distinguish"),
    ],
)
def test_a_config_that_nothing_proves_says_so(
    tuned: TunedConfig, provenance: Provenance, verdict: str, words: str
) -> None:
    unproven = dataclasses.replace(provenance, verdict=verdict, seeds=(), interval=None)
    assert words in render_native(tuned, unproven)
    default = dataclasses.replace(unproven, is_default=True)
    assert "this is the default config" in render_native(tuned, default)


@given(st.floats() | st.integers() | st.booleans() | st.none() | st.text() | st.lists(st.floats(allow_nan=False)))
def test_every_value_is_read_back_with_its_type(value: object) -> None:
    loaded = yaml.safe_load(f"key: {yaml_value(value)}\nnext: 1\n")
    assert list(loaded) == ["key", "next"]
    assert repr(loaded["key"]) == repr(value)  # nan equals nan, and -0.0 is not 0.0


def test_small_floats_have_a_point_and_a_two_digit_exponent() -> None:
    assert [yaml_value(value) for value in (1e-4, 2.5e-5, -1e-10, 0.001, 2.5, 1e22)] == [
        "1.0e-04",
        "2.5e-05",
        "-1.0e-10",
        "0.001",
        "2.5",
        "1.0e+22",
    ]


def test_a_value_that_no_config_can_hold_is_refused() -> None:
    with pytest.raises(ExportError, match="object"):
        yaml_value(object())


@pytest.mark.parametrize("value", [None, 0, -1.0, math.nan, math.inf, True, "2.5"])
@pytest.mark.parametrize("name", ["mel_loss_weight", "kl_loss_weight", "gradient_clip_norm"])
def test_a_weight_that_is_no_positive_number_is_refused(tuned: TunedConfig, name: str, value: object) -> None:
    with pytest.raises(ExportError, match=f"{name} = .*; it needs a positive number"):
        dataclasses.replace(tuned, params={**tuned.params, name: value})


def test_a_config_without_its_weights_is_refused() -> None:
    with pytest.raises(ExportError, match="has no kl_loss_weight"):
        TunedConfig({"mel_loss_weight": 2.5}, -5.0, 2.3)


def test_other_parameters_must_be_finite(tuned: TunedConfig) -> None:
    with pytest.raises(ExportError, match="learning_rate = nan"):
        dataclasses.replace(tuned, params={**tuned.params, "learning_rate": math.nan})
