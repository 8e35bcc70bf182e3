"""What each searched parameter does to an update, when it acts and when it cannot."""

from __future__ import annotations

import pytest
import torch

from tests.xtts.conftest import Learnable
from tests.xtts.trials import gradient_norm, parameters, watch
from xtts.training.adamw import AdamW

ONE_STEP = {"batch_frames": 100_000, "precision": "float64", "warmup_updates": 0, "weight_decay": 0.0}
TEN_STEPS = {"batch_frames": 180, "precision": "float64"}


@pytest.fixture(scope="module")
def after(learnable: Learnable):
    """Parameters and metrics of a trial after so many epochs; each trial runs once."""
    done: dict[str, tuple[torch.Tensor, dict[str, object]]] = {}

    def train(epochs: int = 1, **params):
        name = repr((epochs, sorted(params.items())))
        if name not in done:
            trainer = learnable.training(**params)
            for _ in range(epochs):
                metrics = trainer.train_epoch()
            done[name] = (parameters(trainer), metrics)
        return done[name]

    return train


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max())


@pytest.mark.parametrize(
    ("name", "value"),
    [("mel_loss_weight", 5.0), ("kl_loss_weight", 2.0), ("learning_rate", 1.1e-3), ("mel_normalisation", "none")],
)
def test_one_step_already_differs(after, name, value):
    plain, metrics = after(gradient_clip_norm=None, **ONE_STEP)
    assert metrics["updates"] == 1
    assert apart(plain, after(gradient_clip_norm=None, **ONE_STEP, **{name: value})[0]) > 1e-5


def test_the_first_step_is_the_learning_rate_against_the_gradients_sign(learnable, after):
    """Adam's first step, so that a rate, a warm-up and a decay that got lost would show."""
    begun = parameters(learnable.training(precision="float64"))
    steps = {
        name: after(gradient_clip_norm=None, **(ONE_STEP | {"adam_epsilon": 1e-30} | changed))[0] - begun
        for name, changed in {
            "plain": {},
            "twice": {"learning_rate": 2e-3},
            "warming": {"warmup_updates": 10},
            "decayed": {"weight_decay": 0.5},
        }.items()
    }
    moved = steps["plain"] != 0
    assert moved.double().mean() > 0.9
    torch.testing.assert_close(steps["plain"][moved].abs(), torch.full_like(begun, 1e-3)[moved], atol=1e-9, rtol=0)
    torch.testing.assert_close(steps["twice"], 2 * steps["plain"], atol=1e-12, rtol=0)
    torch.testing.assert_close(steps["warming"], steps["plain"] / 10, atol=1e-12, rtol=0)
    torch.testing.assert_close(steps["decayed"], steps["plain"] - 5e-4 * begun, atol=1e-12, rtol=0)


def test_the_warm_up_is_counted_in_updates_and_goes_on_with_the_trial(learnable, monkeypatch):
    """Its length does not depend on how long a trial will live; after it every step has the whole learning rate."""
    rates = []
    step = AdamW.step

    def noting(self, learning_rate):
        rates.append(learning_rate)
        step(self, learning_rate)

    monkeypatch.setattr(AdamW, "step", noting)
    first, second = learnable.training(warmup_updates=7), learnable.training(warmup_updates=7)
    first.train_epoch()
    assert 2 < len(rates) < 7
    second.load_state_dict(first.state_dict())
    second.train_epoch()
    second.train_epoch()
    assert rates == pytest.approx([1e-3 * min(1.0, (update + 1) / 7) for update in range(len(rates))])
    assert len(rates) > 8


def test_a_clip_that_acts_shortens_the_gradient_to_its_norm(learnable):
    free = learnable.training(gradient_clip_norm=None, **ONE_STEP)
    metrics = free.train_epoch()
    norm = gradient_norm(free)
    assert metrics["train/grad_norm_p50"] == pytest.approx(norm, rel=1e-6)
    assert metrics["train/clip_fraction"] == 0.0
    clipped = learnable.training(gradient_clip_norm=norm / 3, **ONE_STEP)
    metrics = clipped.train_epoch()
    assert gradient_norm(clipped) == pytest.approx(norm / 3, rel=1e-4)
    # Reported is the norm before clipping.
    assert metrics["train/grad_norm_p50"] == pytest.approx(norm, rel=1e-6)
    assert metrics["train/clip_fraction"] == 1.0
    whole, third = free.parameters.flat.grad, clipped.parameters.flat.grad
    assert whole is not None
    torch.testing.assert_close(third, whole / 3, atol=1e-9, rtol=1e-4)


def test_a_clip_that_never_acts_changes_nothing(after):
    off, metrics = after(gradient_clip_norm=None, **TEN_STEPS)
    largest = 10 * metrics["train/grad_norm_p95"]
    for clip in (0.0, largest, 2 * largest):
        found, metrics = after(gradient_clip_norm=clip, **TEN_STEPS)
        assert metrics["train/clip_fraction"] == 0.0
        assert torch.equal(found, off)


def test_a_clip_that_acts_on_some_steps_changes_what_is_learned(after):
    off, metrics = after(gradient_clip_norm=None, **TEN_STEPS)
    middle = metrics["train/grad_norm_p50"]
    found = {}
    for share in (0.9, 1.0):
        found[share], metrics = after(gradient_clip_norm=share * middle, **TEN_STEPS)
        assert 0.0 < metrics["train/clip_fraction"] < 1.0
        assert apart(found[share], off) > 1e-5
    assert apart(found[0.9], found[1.0]) > 1e-5


def test_a_clip_that_acts_on_every_step_is_a_dead_knob(after):
    """Under AdamW the length of gradients that are all cut to one length means nothing."""
    found = []
    for clip in (0.01, 0.02):
        one, metrics = after(gradient_clip_norm=clip, adam_epsilon=1e-6 * clip, **TEN_STEPS)
        assert metrics["train/clip_fraction"] == 1.0
        found.append(one)
    assert apart(*found) < 1e-6
    assert apart(found[0], after(gradient_clip_norm=None, **TEN_STEPS)[0]) > 1e-4


def test_weights_clip_and_epsilon_scaled_together_change_nothing(after):
    """Twenty steps in double precision, on some of which the clip acts."""
    _, metrics = after(2, gradient_clip_norm=None, **TEN_STEPS)
    clip = metrics["train/grad_norm_p50"]
    plain = {"mel_loss_weight": 2.5, "kl_loss_weight": 1.0, "gradient_clip_norm": clip, "adam_epsilon": 1e-8}
    ten_times = {name: 10 * value for name, value in plain.items()}
    base, metrics = after(2, **plain, **TEN_STEPS)
    assert metrics["updates"] >= 20
    assert 0.0 < metrics["train/clip_fraction"] < 1.0
    together, scaled = after(2, **ten_times, **TEN_STEPS)
    assert apart(together, base) < 1e-6
    assert scaled["loss"] == pytest.approx(10 * metrics["loss"], rel=1e-6)
    assert scaled["train/clip_fraction"] == metrics["train/clip_fraction"]
    assert scaled["objective"] == pytest.approx(metrics["objective"], abs=1e-6)
    weights_alone = plain | {name: ten_times[name] for name in ("mel_loss_weight", "kl_loss_weight")}
    assert apart(after(2, **weights_alone, **TEN_STEPS)[0], base) > 1e-4
    one_weight = plain | {"mel_loss_weight": 25.0}
    assert apart(after(2, **one_weight, **TEN_STEPS)[0], base) > 1e-3


def test_without_a_clip_only_the_ratio_of_the_weights_acts(after):
    found = [
        after(gradient_clip_norm=None, mel_loss_weight=mel, kl_loss_weight=kl, adam_epsilon=1e-8 * kl, **TEN_STEPS)[0]
        for mel, kl in ((2.5, 1.0), (25.0, 10.0), (25.0, 1.0))
    ]
    assert apart(found[0], found[1]) < 1e-9
    assert apart(found[0], found[2]) > 1e-4


def test_a_value_clip_that_is_always_reached_stops_the_mel_from_teaching(learnable):
    """The gradient of what is above the clip is zero: the decoder, which learns from the mel alone, stands still."""
    trainer = learnable.training(loss_value_clip=0.01, weight_decay=0.0)
    before = {name: value.clone() for name, value in trainer.model.named_parameters()}
    metrics = trainer.train_epoch()
    assert metrics["train/loss_clip_fraction"] == 1.0
    assert metrics["train/mel"] > 0.5
    for name, value in trainer.model.named_parameters():
        if name.startswith("decoder."):
            assert torch.equal(value, before[name]), name
    assert not torch.equal(trainer.model.prior.out.weight, before["prior.out.weight"])
    # The printed total holds the clipped value, as the trainers that had this clip printed it.
    assert metrics["loss"] == pytest.approx(2.5 * 0.01 + metrics["train/kl"], rel=1e-5)


def test_a_value_clip_far_above_the_loss_changes_nothing(after):
    off, _ = after(loss_value_clip=None)
    for clip in (0.0, 1e6):
        found, metrics = after(loss_value_clip=clip)
        assert metrics["train/loss_clip_fraction"] == 0.0
        assert torch.equal(found, off)


def test_the_value_clips_share_is_of_the_steps_it_reached(learnable):
    trainer = learnable.training(learning_rate=1e-2, warmup_updates=0, batch_frames=180)
    watched = watch(trainer)
    trainer.train_epoch()
    mel = sorted(losses["mel"] for losses in watched.losses)
    clip = mel[len(mel) // 3]
    clipped = learnable.training(learning_rate=1e-2, warmup_updates=0, batch_frames=180, loss_value_clip=clip)
    watched = watch(clipped)
    metrics = clipped.train_epoch()
    reached = [losses["mel"] > clip for losses in watched.losses]
    assert 0.0 < sum(reached) / len(reached) <= 1.0
    assert metrics["train/loss_clip_fraction"] == pytest.approx(sum(reached) / len(reached))


@pytest.mark.parametrize("rival", ["sigma_vae", "balancer"])
def test_a_rival_takes_the_very_step_that_its_weights_say(after, rival):
    """Its own way through the graph comes to the same gradient as fixed weights of those values."""
    found, metrics = after(weighting=rival, gradient_clip_norm=None, **ONE_STEP)
    weights = {f"{term}_loss_weight": metrics[f"train/{term}_weight"] for term in ("mel", "kl")}
    assert weights["kl_loss_weight"] != 1.0
    same, fixed = after(gradient_clip_norm=None, **weights, **ONE_STEP)
    # The printed weight is rounded to single precision.
    assert float((found - same).abs().median()) < 1e-9
    assert metrics["train/grad_norm_p50"] == pytest.approx(fixed["train/grad_norm_p50"], rel=1e-5)
    assert metrics["loss"] == pytest.approx(fixed["loss"], rel=1e-5)


def test_history_dropout_changes_what_is_learned(after):
    assert apart(after(history_dropout=0.0)[0], after(history_dropout=0.5)[0]) > 1e-4
