"""Training that leaves the finite numbers is reported with its step and its term, and never covered up."""

from __future__ import annotations

import math

import pytest
import torch

from tests.xtts.conftest import Learnable

# What is reported is no warning on somebody's terminal as well.
pytestmark = pytest.mark.filterwarnings("error")


def spoil(trainer, at_step: int, **changed: float) -> None:
    """Replace raw losses of one step, counted from 1 over the whole trial."""
    losses, steps = trainer.model.losses, iter(range(1, 10_000))

    def spoiled(batch, noise):
        found = losses(batch, noise)
        if next(steps) == at_step:
            found |= {name: found[name] * value for name, value in changed.items()}
        return found

    trainer.model.losses = spoiled


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("term", ["mel", "kl"])
def test_a_term_that_is_not_finite_is_named_with_its_step(learnable: Learnable, term, value):
    trainer = learnable.training(batch_frames=150)
    spoil(trainer, 3, **{term: value})
    metrics = trainer.train_epoch()
    assert metrics["diverged"] == {"step": 3, "term": term, "value": "nan" if math.isnan(value) else "inf"}
    assert math.isnan(metrics["objective"])
    assert not math.isfinite(metrics["loss"])
    assert not math.isfinite(metrics["loss_max"])
    assert not math.isfinite(metrics[f"train/{term}"])
    assert math.isfinite(metrics["loss_first"])


def test_the_step_is_counted_over_the_whole_trial(learnable):
    trainer = learnable.training(batch_frames=150)
    steps = trainer.train_epoch()["updates"]
    spoil(trainer, 2, kl=math.nan)
    metrics = trainer.train_epoch()
    assert metrics["diverged"] == {"step": steps + 2, "term": "kl", "value": "nan"}
    assert metrics["epoch"] == 2


def test_the_earliest_step_is_named_though_all_later_ones_are_spoiled_too(learnable):
    trainer = learnable.training(batch_frames=150)
    spoil(trainer, 2, mel=math.nan)
    metrics = trainer.train_epoch()
    assert metrics["diverged"]["step"] == 2
    assert math.isnan(metrics["loss_last"])


def test_a_value_clip_does_not_cover_up_an_infinite_loss(learnable):
    """Clamping turns infinity into the clip: the printed total would look well."""
    trainer = learnable.training(batch_frames=150, loss_value_clip=10.0)
    spoil(trainer, 2, mel=math.inf)
    metrics = trainer.train_epoch()
    assert (metrics["diverged"]["step"], metrics["diverged"]["term"]) == (2, "mel")


@pytest.mark.parametrize("clip", [0.5, None])
@pytest.mark.parametrize("weight", ["mel_loss_weight", "kl_loss_weight"])
def test_absurd_weights_diverge(learnable, weight, clip):
    """Gradients too large for single precision: a clip would make zeros of them and a trial that learns nothing."""
    metrics = learnable.training(**{weight: 1e30, "gradient_clip_norm": clip}).train_epoch()
    assert metrics["diverged"]["step"] == 1
    assert metrics["diverged"]["term"] == "gradient"
    assert math.isnan(metrics["objective"])


def test_an_absurd_learning_rate_diverges(learnable):
    metrics = learnable.training(learning_rate=1e25, warmup_updates=0).train_epoch()
    assert metrics["diverged"]["step"] == 2
    assert metrics["diverged"]["term"] in ("mel", "kl")
    assert math.isnan(metrics["objective"])


def test_parameters_that_overflow_in_the_last_step_are_noticed_before_they_are_evaluated(learnable):
    metrics = learnable.training(learning_rate=1e39, warmup_updates=0, batch_frames=100_000).train_epoch()
    assert metrics["updates"] == 1
    assert math.isfinite(metrics["loss"])
    assert metrics["diverged"]["step"] == 1
    assert metrics["diverged"]["term"].startswith("parameter ")
    assert math.isnan(metrics["objective"])


def test_an_objective_that_is_not_finite_is_a_divergence_too(learnable):
    """Sound training steps, and a model that says nothing finite of its own."""
    trainer = learnable.training()
    decode = trainer.model.decoder.forward

    def silent(latents, hidden):
        decoded = decode(latents, hidden)
        return decoded if torch.is_grad_enabled() else decoded * math.nan

    trainer.model.decoder.forward = silent
    metrics = trainer.train_epoch()
    assert metrics["diverged"] == {"step": metrics["updates"], "term": "objective", "value": "nan"}
    assert math.isnan(metrics["objective"])
    assert math.isfinite(metrics["loss"])


@pytest.mark.parametrize("ahead", [2, 8])
def test_a_model_that_only_fails_further_ahead_has_diverged(learnable, monkeypatch, ahead):
    """Finite one patch ahead, nothing at a later horizon: a mean over the others would look well."""
    trainer = learnable.training()
    decode = trainer.model.decoder.forward

    def silent_ahead(latents, hidden):
        decoded = decode(latents, hidden)
        if not torch.is_grad_enabled() and latents.ndim == 4:  # [batch, starts, patches ahead, latent]
            decoded[:, :, ahead - 1] = math.nan
        return decoded

    trainer.model.decoder.forward = silent_ahead
    monkeypatch.setattr("xtts.training.training._FIRST_EPOCH_EVALUATIONS", ())
    metrics = trainer.train_epoch()
    assert math.isnan(metrics["objective"])
    assert metrics["diverged"]["term"] == "objective"


def test_a_trial_that_goes_well_has_no_divergence(learnable):
    metrics = learnable.training().train_epoch()
    assert "diverged" not in metrics
    assert all(math.isfinite(value) for value in metrics.values() if isinstance(value, float))
