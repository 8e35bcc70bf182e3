"""What an epoch reports: the metrics of its steps, early evaluations, and the split that is judged."""

from __future__ import annotations

import math
import time

import pytest
import torch

from tests.xtts.trials import parameters, watch
from xtts.audio.mel import HOP, SAMPLE_RATE
from xtts.data.splits import TEST, TRAIN, VALIDATION
from xtts.evaluation.evaluation import Evaluator
from xtts.prepare.batches import SpeechBatches
from xtts.trainer import XttsTrainer


def test_on_the_test_split_all_but_the_objective_waits_for_the_end_of_the_trial(learnable):
    training = learnable.training(evaluate_on="test")
    training.plan(2)
    first, last = training.train_epoch(), training.train_epoch()
    assert math.isfinite(first["objective"])
    assert first["mean_frame_error"] == last["mean_frame_error"]
    assert {"text_use", "val/free", "val/nll", "objective_raw"} <= set(last) - set(first)


def test_a_confirmation_is_judged_on_the_test_split_and_trains_alike(learnable):
    search, confirmation = learnable.training(), learnable.training(**XttsTrainer.confirmation_params())
    ones, others = search.train_epoch(), confirmation.train_epoch()
    assert torch.equal(parameters(search), parameters(confirmation))
    speech = learnable.aligned.speech
    evaluator = Evaluator(
        SpeechBatches(learnable.aligned, speech.mel_mean, speech.mel_sd), TEST, 1.0, torch.device("cpu"), torch.float32
    )
    assert others["objective"] == pytest.approx(evaluator.evaluate(search.model).objective, abs=1e-9)
    assert others["objective"] != ones["objective"]
    assert others["loss"] == ones["loss"]


def test_the_figures_of_an_epoch_are_those_of_its_steps(learnable):
    trainer = learnable.training(batch_frames=150)
    watched = watch(trainer)
    metrics = trainer.train_epoch()
    totals = [2.5 * losses["mel"] + losses["kl"] for losses in watched.losses]
    speech = learnable.aligned.speech
    heard = int(speech.frames[speech.indices(TRAIN)].sum())
    held = sum(batch.mel[:, :, 0].numel() for batch in watched.batches)
    assert metrics["epoch"] == 1
    assert metrics["updates"] == len(totals)
    assert metrics["loss"] == pytest.approx(sum(totals) / len(totals), rel=1e-5)
    assert metrics["loss_first"] == pytest.approx(totals[0], rel=1e-5)
    assert metrics["loss_last"] == pytest.approx(totals[-1], rel=1e-5)
    assert metrics["loss_max"] == pytest.approx(max(totals), rel=1e-5)
    for term in ("mel", "kl"):
        raw = [losses[term] for losses in watched.losses]
        assert metrics[f"train/{term}"] == pytest.approx(sum(raw) / len(raw), rel=1e-5)
    assert metrics["audio_seconds"] == pytest.approx(heard * HOP / SAMPLE_RATE)
    assert metrics["frames_per_batch"] == pytest.approx(heard / len(totals))
    assert metrics["padding_fraction"] == pytest.approx(1 - heard / held)
    assert metrics["train/grad_norm_p50"] <= metrics["train/grad_norm_p95"]
    assert metrics["skill"] == pytest.approx(1 - metrics["objective"] / metrics["mean_frame_error"])
    assert metrics["val/nll"] == pytest.approx(math.log(2 * metrics["val/mel"]) + 1 + metrics["val/kl"])
    assert trainer.train_epoch()["audio_seconds"] == pytest.approx(2 * heard * HOP / SAMPLE_RATE)


def test_the_first_epoch_is_evaluated_at_a_quarter_a_half_and_its_end(learnable):
    trainer = learnable.training(batch_frames=150)
    metrics = trainer.train_epoch()
    evaluations = metrics["evaluations"]
    steps = metrics["updates"]
    assert [one["updates"] for one in evaluations] == [round(steps / 4), round(steps / 2), steps]
    assert [one["epoch"] for one in evaluations] == pytest.approx([0.25, 0.5, 1.0], abs=0.1)
    assert evaluations[-1]["objective"] == metrics["objective"]
    assert evaluations[-1]["audio_seconds"] == metrics["audio_seconds"]
    seconds = [one["seconds"] for one in evaluations]
    assert seconds == sorted(seconds)
    assert seconds[-1] == metrics["seconds"]
    (later,) = trainer.train_epoch()["evaluations"]
    assert (later["epoch"], later["updates"]) == (2.0, 2 * steps)


def test_an_early_evaluation_is_of_the_model_as_it_was_then(learnable):
    """The objective at a quarter is that of a trial that stopped there, not of a later model."""
    trainer = learnable.training(batch_frames=150)
    early = trainer.train_epoch()["evaluations"][0]
    stopped = learnable.training(batch_frames=150)
    watched, objectives = watch(stopped), []
    losses = stopped.model.losses
    speech = learnable.aligned.speech
    evaluator = Evaluator(
        SpeechBatches(learnable.aligned, speech.mel_mean, speech.mel_sd),
        VALIDATION,
        1.0,
        torch.device("cpu"),
        torch.float32,
    )

    def evaluated_before_each_step(batch, noise):
        objectives.append(float(evaluator.read(evaluator.objective(stopped.model)).mean()))
        return losses(batch, noise)

    stopped.model.losses = evaluated_before_each_step
    stopped.train_epoch()
    assert len(objectives) == len(watched.losses)
    assert early["objective"] == pytest.approx(objectives[early["updates"]], abs=1e-9)


def test_unnormalised_mel_with_the_old_weight_begins_at_three_digits(learnable):
    trainer = learnable.training(mel_normalisation="none", mel_loss_weight=35.0)
    metrics = trainer.train_epoch()
    assert 100.0 < metrics["loss_first"] < 1000.0
    standard = learnable.training().train_epoch()
    assert standard["loss_first"] < 5.0
    # In sd units both are near what saying nothing useful comes to.
    assert metrics["mean_frame_error"] == pytest.approx(standard["mean_frame_error"], abs=1e-4)
    assert 0.5 < metrics["objective"] < 4.0


def test_the_smallest_shipped_model_trains(learnable):
    metrics = XttsTrainer({"batch_frames": 2000}, learnable.prepared.data, 1).train_epoch()
    assert 0.0 < metrics["objective"] < 2.0


def test_updates_are_counted_for_about_as_long_as_asked(learnable):
    trainer = learnable.training()
    begun = time.perf_counter()
    rate = trainer.updates_per_second(0.2)
    seconds = time.perf_counter() - begun
    assert 0.2 <= seconds < 3.0
    assert trainer.state_dict()["updates"] == pytest.approx(rate * seconds, abs=1.5)
