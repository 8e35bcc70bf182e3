"""Curves of a log keep their shape in bounded memory, and a resumed run replaces what was logged twice."""

from __future__ import annotations

import numpy as np
import pytest

from xtts.diagnostics.logged_curve import MOST_POINTS, CurveBuilder
from xtts.diagnostics.logged_tags import MATCHA, map_tags, name_of, number_under, recognised, weights_in


def built(*pieces: tuple[object, object]) -> CurveBuilder:
    builder = CurveBuilder()
    for steps, values in pieces:
        builder.add(np.asarray(steps, float), np.asarray(values, float))
    return builder


def test_a_long_curve_keeps_mean_extremes_and_count() -> None:
    count = 1_000_003
    values = np.sin(np.arange(count) / 1e5)
    values[777_777] = 50.0
    pieces = [(np.arange(count)[at : at + 70_001], values[at : at + 70_001]) for at in range(0, count, 70_001)]
    curve = built(*pieces).curve()
    assert len(curve) <= 2 * MOST_POINTS
    assert curve.count == count
    assert curve.high.max() == 50.0
    assert curve.low.min() == pytest.approx(values.min())
    assert np.average(curve.values[:1000]) == pytest.approx(values[: int(curve.steps[999]) + 1].mean(), rel=1e-3)
    assert (np.diff(curve.steps) > 0).all()


def test_a_resume_replaces_the_overlap_and_is_noted() -> None:
    curve = built(([0, 1, 2, 3], [1, 2, 3, 4]), ([2, 3, 4], [30, 40, 50])).curve()
    assert curve.steps.tolist() == [0, 1, 2, 3, 4]
    assert curve.values.tolist() == [1, 2, 30, 40, 50]
    assert curve.resumes == ((3, 2),)


def test_a_resume_within_one_piece_and_of_a_long_curve() -> None:
    curve = built((range(20_000), np.zeros(20_000)), ([*range(15_000, 16_000), *range(15_500, 17_000)], np.ones(2500)))
    found = curve.curve()
    assert found.resumes == ((19_999, 15_000), (15_999, 15_500))
    assert found.values[-1] == 1.0
    assert found.steps[-1] == 16_999


def test_values_that_are_not_finite_are_counted_and_left_out() -> None:
    curve = built(([0, 1, 2], [1.0, np.nan, np.inf])).curve()
    assert (curve.count, curve.bad_steps, curve.bad_count) == (1, (1, 2), 2)


def test_a_slope_has_an_interval_that_holds_the_truth() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        values = 1.0 - 0.1 * np.arange(60) / 60 + 0.02 * rng.standard_normal(60)
        slope = built((range(60), values)).curve().slope(1.0)
        assert slope is not None
        held += slope.low <= -0.1 * 7.5 / 8 / values.mean() * 7 / 7.5 <= slope.high
    assert held >= 180


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("TrainIterStats/loss_mel", "train/mel"),
        ("TrainIterStats/loss_1", "train/loss"),
        ("TrainIterStats/loss_0", "train/discriminator"),
        ("TrainIterStats/grad_norm_1", "grad_norm"),
        ("TrainIterStats/current_lr_0", "learning_rate"),
        ("TrainIterStats/step_time", None),
        ("EvalStats/avg_loss_mel", "val/mel"),
        ("val_mel", "val/mel"),
        ("train_kl", "train/kl"),
        ("loss_g", "train/loss"),
        ("val_loss", "val/loss"),
        ("val_epoch/mel_loss", "val/mel"),
        ("val_epoch/w_mel_loss", None),
        ("train_step/total_loss", "train/loss"),
        ("sub_loss/val_diff_loss_epoch", "val/diffusion"),
        ("loss/val_epoch", "val/loss"),
        ("grad_norm/grad_2.0_norm_total", "grad_norm"),
        ("grad_norm/grad_2.0_norm/encoder.emb.weight", None),
        ("gradients/encoder.norm.bias", None),
        ("train_disc", "train/discriminator"),
        ("eval_loss", "val/loss"),
        ("validation/epoch_loss", "val/loss"),
        ("lr-Adam", "learning_rate"),
        ("TrainIterStats/loss_mel_ce", "train/mel_ce"),
        ("epoch", "epoch"),
        ("accuracy", None),
        ("", None),
    ],
)
def test_tags_of_common_trainers_get_their_names(tag: str, name: str | None) -> None:
    assert name_of(tag) == name


def test_a_given_name_comes_first_and_the_rest_is_listed() -> None:
    mapped = map_tags({"my/thing": 5, "val/mel": 3, "other": 1}, {"val/mel": "my/thing"})
    assert mapped.tags == {"val/mel": "my/thing"}
    assert mapped.unmapped == ("other", "val/mel")


def test_per_step_tags_stand_for_training_and_per_epoch_ones_for_validation() -> None:
    mapped = map_tags({"TrainIterStats/loss_mel": 100, "TrainEpochStats/avg_loss_mel": 5, "EvalStats/avg_loss_mel": 5})
    assert mapped.tags["train/mel"] == "TrainIterStats/loss_mel"
    assert mapped.trainer is not None
    assert mapped.trainer.name == "coqui"
    assert mapped.same == {"TrainEpochStats/avg_loss_mel": "train/mel"}
    assert recognised(["a"]) is None


def test_matcha_adds_its_losses_up_without_weights() -> None:
    mapped = map_tags(dict.fromkeys([*MATCHA, "loss/train_step", "sub_loss/val_diff_loss_epoch"], 9))
    assert mapped.trainer is not None
    assert (mapped.trainer.name, mapped.trainer.weights) == ("matcha", {"duration": 1, "prior": 1, "diffusion": 1})


def test_weights_and_clip_are_found_in_a_nested_config() -> None:
    config = {"model.c_mel": 45, "model_args.kl_loss_alpha": 1.5, "grad_clip": [1000.0, 500.0], "on": True}
    assert weights_in(config) == {"mel": 45.0, "kl": 1.5}
    assert number_under(config, ["grad_clip"]) == 500.0
    assert number_under(config, ["on", "absent"]) is None
