"""On a GPU, shown by a stand-in for one: every tensor is on the device, and no training step waits for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from sweeps.storage.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tests.xtts.conftest import Learnable
from tests.xtts.device_double import DeviceDouble, MixedDevicesError
from tests.xtts.trials import comparable, parameters
from xtts.alignment.training import train_aligner
from xtts.data.build_dataset import no_progress
from xtts.inference.speech_figures import speech_figures
from xtts.inference.synthesis import Speaker
from xtts.training import worker_cache
from xtts.training.settings import WEIGHTINGS
from xtts.training.training import Training

BATCH_TENSORS = 8
SLOW = pytest.mark.slow
MODELS = ["mini", *(pytest.param(name, marks=SLOW) for name in ("tiny", "small"))]


@pytest.fixture
def double() -> Iterator[DeviceDouble]:
    """A device of this test alone: what other tests keep of the data is not on it."""
    worker_cache.cached.cache_clear()
    with DeviceDouble() as device:
        yield device
    worker_cache.cached.cache_clear()


def steps(training: Training, count: int) -> None:
    """Some steps of the first epoch, as the training loop takes them."""
    batches = training.train_batches(1)
    noise = torch.Generator(training.device).manual_seed(1)
    for items in batches[:count]:
        training.training_step(items, noise)


def test_the_double_refuses_to_mix_devices(double):
    there, here = torch.ones(3, device="cuda"), torch.ones(3)
    assert (there.device.type, here.device.type, (there * 2)[1:].device.type) == ("cuda", "cpu", "cuda")
    with pytest.raises(MixedDevicesError, match=r"aten.add.Tensor: .* found cuda \(3,\), cpu \(3,\)"):
        there + here
    with pytest.raises(MixedDevicesError, match="generator"):
        torch.randn(3, generator=torch.Generator(), device="cuda")
    with pytest.raises(TypeError, match="numpy"):
        there.numpy()
    with pytest.raises(MixedDevicesError):
        torch.nn.Linear(3, 1).to("cuda")(here)


def test_the_double_counts_copies_to_the_host(double):
    there = torch.arange(3.0, device="cuda")
    for waits in (
        lambda: there.sum().item(),
        lambda: bool(there[0] > 0),
        lambda: there.cpu(),
        lambda: there.tolist(),
        lambda: there[there > 1],
        lambda: there.nonzero(),
        lambda: torch.zeros(3).copy_(there),
        lambda: torch.equal(there, there),
        torch.cuda.synchronize,
    ):
        with double.watched():
            waits()
            assert len(double.reads) == 1
    with double.watched():
        there[torch.tensor([0], device="cuda")] = 1.0
        (there.clone().requires_grad_() ** 2).sum().backward()
        assert double.reads == []


@pytest.mark.parametrize(
    ("model", "weighting"),
    [*(("mini", name) for name in WEIGHTINGS), ("tiny", "fixed"), pytest.param("small", "fixed", marks=SLOW)],
)
def test_a_training_step_copies_nothing_to_the_host(learnable, double, model, weighting):
    training = learnable.training(model=model, weighting=weighting)
    assert training.device.type == "cuda"
    steps(training, 1)
    with double.watched():
        steps(training, 3)
    assert double.reads == []
    assert len(double.uploads) == 3 * BATCH_TENSORS, "what a step uploads is its batch"
    assert double.autocasts == 4
    assert training.parameters.flat.device.type == "cuda"


@pytest.mark.parametrize("model", MODELS)
def test_an_epoch_waits_for_the_device_equally_often_however_many_batches(learnable, double, model):
    waits = []
    for frames in (500, 250):
        training = learnable.training(model=model, batch_frames=frames)
        with double.watched():
            metrics = training.train_epoch()
        waits.append((metrics["updates"], Counter(double.reads)))
    assert waits[0][0] < waits[1][0]
    assert waits[0][1] == waits[1][1]
    assert waits[0][1].total() == 10, "eight, and one for each early evaluation of the first epoch"


@pytest.mark.parametrize(
    "weighting", [name if name == "fixed" else pytest.param(name, marks=SLOW) for name in WEIGHTINGS]
)
def test_trials_on_the_device_and_on_the_host_are_equal_in_float32(learnable, double, weighting):
    there = learnable.training(precision="float32", weighting=weighting)
    metrics = there.train_epoch()
    here = learnable.training(precision="float32", weighting=weighting, device="cpu")
    expected = here.train_epoch()
    assert torch.equal(parameters(there).cpu(), parameters(here))
    assert metrics["loss"] == expected["loss"]
    assert metrics["objective"] == pytest.approx(expected["objective"], rel=1e-5)  # other evaluation batches


def test_a_card_without_bfloat16_trains_in_float32(learnable, double):
    double.has_bfloat16 = False
    steps(learnable.training(), 1)
    assert double.autocasts == 0


@pytest.mark.parametrize("model", MODELS)
def test_an_evaluation_between_two_steps_leaves_its_errors_on_the_device(learnable, double, model):
    training = learnable.training(model=model)
    with double.watched():
        errors = training.evaluator.objective(training.model)
    assert errors.device.type == "cuda"
    assert double.reads == []


@pytest.mark.parametrize("model", MODELS)
def test_a_trial_continues_from_a_checkpoint_on_the_device(learnable, double, model, tmp_path: Path):
    whole = learnable.training(model=model)
    whole.train_epoch()
    save_checkpoint(tmp_path / "last.safetensors", Checkpoint(whole.state_dict(), {}))
    resumed = learnable.training(model=model)
    resumed.load_state_dict(load_checkpoint(tmp_path / "last.safetensors").state)
    assert {value.device.type for value in resumed.model.state_dict().values()} == {"cuda"}
    assert comparable(dict(resumed.train_epoch())) == comparable(dict(whole.train_epoch()))
    assert torch.equal(parameters(resumed), parameters(whole))


@pytest.mark.parametrize("model", MODELS)
def test_a_checkpoint_of_the_device_is_read_without_one(learnable, model, tmp_path: Path):
    worker_cache.cached.cache_clear()
    with DeviceDouble():
        training = learnable.training(model=model, precision="float32")
        training.train_epoch()
        save_checkpoint(tmp_path / "last.safetensors", Checkpoint(training.state_dict(), {}))
        expected = parameters(training).cpu()
    worker_cache.cached.cache_clear()
    here = learnable.training(model=model, precision="float32")
    here.load_state_dict(load_checkpoint(tmp_path / "last.safetensors").state)
    assert torch.equal(parameters(here), expected)


@pytest.mark.slow
def test_alignment_and_durations_leave_the_device_alone(learnable, double, monkeypatch):
    for name in ("_FEWEST_UPDATES", "_MOST_UPDATES"):
        monkeypatch.setattr(f"xtts.alignment.training.{name}", 3)
    found = train_aligner(learnable.aligned.speech, no_progress)
    assert found.durations.step_tokens(found.step_tokens[0][:5], 0).size > 0
    assert (double.reads, double.uploads) == ([], [])


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mini", "tiny", "small"])
def test_a_model_on_the_device_speaks_and_is_judged(learnable: Learnable, double, model, tmp_path: Path):
    trainer = learnable.trainer(model=model)
    trainer.train_epoch()
    figures = speech_figures(trainer.speaker(), learnable.aligned)
    assert figures["clips"] > 0
    assert "mcd_db" in trainer.judged_figures()
    trainer.export_best(tmp_path)
    assert Speaker.load(tmp_path).mel(learnable.aligned.speech.texts[0]).shape[1] == 80
