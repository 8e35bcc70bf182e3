"""GPU memory is estimated before it is allocated; where it does not suffice, the batches get smaller and it is said."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.xtts.device_double import GIB, DeviceDouble
from tests.xtts.trials import comparable, parameters
from xtts.audio.mel import MELS, PATCH_FRAMES
from xtts.errors import SpeechError
from xtts.evaluation import evaluation as evaluation_module
from xtts.model.model_config import model_config
from xtts.model.xtts import Batch, Noise, Xtts
from xtts.training import worker_cache
from xtts.training.memory import ACTIVATION_BYTES, USABLE_SHARE, fitting_budget, peak_bytes
from xtts.training.training import Training

CLIP_FRAMES, TOKENS, REFERENCE = 500, 80, 48


@pytest.fixture
def double() -> Iterator[DeviceDouble]:
    worker_cache.cached.cache_clear()
    with DeviceDouble() as device:
        yield device
    worker_cache.cached.cache_clear()


def made_batch(clips: int) -> Batch:
    patches = CLIP_FRAMES // PATCH_FRAMES
    return Batch(
        tokens=torch.zeros(clips, TOKENS, dtype=torch.int64),
        token_count=torch.full((clips,), TOKENS),
        step_token=torch.zeros(clips, 2 * patches, dtype=torch.int64),
        step_place=torch.zeros(clips, 2 * patches, 3),
        mel=torch.zeros(clips, CLIP_FRAMES, MELS),
        frame_count=torch.full((clips,), CLIP_FRAMES),
        reference=torch.zeros(clips, REFERENCE, MELS * PATCH_FRAMES),
        reference_count=torch.full((clips,), REFERENCE),
    )


def kept_for_backward(model: str, clips: int) -> int:
    """Bytes that a step keeps for its backward pass, found on the meta device: nothing is computed."""
    with torch.device("meta"):
        network = Xtts(model_config(model), 100, MELS, PATCH_FRAMES)
        patches = CLIP_FRAMES // PATCH_FRAMES
        noise = Noise(torch.zeros(clips, patches, network.latent), torch.ones(clips, patches, dtype=torch.bool))
        batch = made_batch(clips)
    own = {parameter.untyped_storage()._cdata for parameter in network.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        losses = network.losses(batch, noise)
    assert losses["mel"].requires_grad
    return sum(storage.nbytes() for storage in kept.values())


@pytest.mark.parametrize(
    "model", ["tiny", "small", *(pytest.param(m, marks=pytest.mark.slow) for m in ("base", "xtts"))]
)
def test_the_bytes_a_frame_are_those_of_the_model(model):
    more = kept_for_backward(model, 8) - kept_for_backward(model, 4)
    assert more / (4 * CLIP_FRAMES) == pytest.approx(ACTIVATION_BYTES[model], rel=0.01)


def test_the_estimate_bounds_what_the_allocator_sees(learnable):
    training = learnable.training(model="tiny", batch_frames=0)
    batch, noise = made_batch(4), torch.Generator().manual_seed(0)

    def step() -> None:
        losses = training.model.losses(batch, training.draw_noise(batch, noise))
        (losses["mel"] + losses["kl"]).backward()
        training.parameters.collect_gradients(0.5)

    step()
    with torch.profiler.profile(profile_memory=True) as profiled:
        step()
    held = highest = 0
    events = profiled.profiler.kineto_results.events()
    for event in sorted((e for e in events if e.name() == "[memory]"), key=lambda event: event.start_ns()):
        held += event.nbytes()
        highest = max(highest, held)
    estimate = peak_bytes("tiny", 4 * CLIP_FRAMES) - peak_bytes("tiny", 0)
    assert highest < estimate + 3 * 4 * training.parameters.flat.numel()
    assert highest > 0.4 * estimate


def test_the_budget_is_halved_until_it_fits():
    assert fitting_budget(16_000, "xtts", 80 * GIB) == 16_000
    assert fitting_budget(16_000, "xtts", 24 * GIB) == 8_000
    assert fitting_budget(1_000, "tiny", 4 * GIB) == 1_000
    assert peak_bytes("xtts", 8_000) < 24 * GIB < peak_bytes("xtts", 16_000)
    with pytest.raises(SpeechError, match=r"xtts: needs about 14\.\d GB of GPU memory, 8\.6 GB are free"):
        fitting_budget(16_000, "xtts", 8 * GIB)


def test_a_trial_takes_the_batches_that_fit_the_free_memory_or_its_share(learnable, double):
    def trial() -> Training:
        return learnable.training(model="tiny", batch_frames=0)

    whole = trial().batch_size.frames
    between = int((peak_bytes("tiny", whole) + peak_bytes("tiny", whole // 2)) / 2 / USABLE_SHARE)
    double.memory = (between, 2 * between)
    assert trial().batch_size.frames == whole // 2
    double.memory = (2 * between, 2 * between)
    training = trial()
    assert training.batch_size.frames == whole
    training.share_gpu(0.5)
    assert training.batch_size.frames == whole // 2


def memory_runs_out(training: Training, *at: int) -> None:
    """The model's forward pass fails at these calls, as it does where a GPU is full."""
    losses, calls = training.model.losses, iter(range(10_000))

    def failing(batch: Batch, noise: Noise) -> dict[str, torch.Tensor]:
        found = losses(batch, noise)
        if next(calls) in at:
            found["mel"].backward(retain_graph=True)  # gradients of a pass that did not end
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return found

    training.model.losses = failing  # type: ignore[method-assign]


def test_out_of_memory_halves_the_batches_once_and_says_so(learnable):
    training = learnable.training()
    memory_runs_out(training, 3)
    metrics = training.train_epoch()
    assert metrics["out_of_memory"] == {"step": 4, "batch_frames": 250}
    assert metrics["batch_frames"] == 250
    plain = learnable.training().train_epoch()
    assert metrics["audio_seconds"] == plain["audio_seconds"], "every clip is learned from once"
    assert metrics["updates"] > plain["updates"]
    assert "out_of_memory" not in training.train_epoch()


def test_out_of_memory_again_ends_the_trial(learnable):
    training = learnable.training()
    memory_runs_out(training, 0, 5)
    with pytest.raises(
        SpeechError, match=r"out of GPU memory at step 5 with 250 frames a batch \(CUDA out of memory\)"
    ):
        training.train_epoch()


def test_a_trial_with_halved_batches_continues_with_them(learnable):
    whole = learnable.training()
    memory_runs_out(whole, 0)
    whole.train_epoch()
    resumed = learnable.training()
    resumed.load_state_dict(whole.state_dict())
    assert comparable(dict(resumed.train_epoch())) == comparable(dict(whole.train_epoch()))
    assert torch.equal(parameters(resumed), parameters(whole))


@pytest.fixture
def fresh_evaluator() -> Iterator[None]:
    """Trials of one process share it; one with halved batches is of this test alone."""
    worker_cache.cached.cache_clear()
    yield
    worker_cache.cached.cache_clear()


def memory_runs_out_in_evaluations(monkeypatch: pytest.MonkeyPatch, *at: int) -> None:
    """These batches of evaluations find a full GPU."""
    real, calls = evaluation_module.run_freely, iter(range(10_000))

    def failing(*given: object) -> torch.Tensor:
        if next(calls) in at:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(evaluation_module, "run_freely", failing)


@pytest.mark.parametrize("at", [0, 2])
def test_out_of_memory_in_an_evaluation_halves_its_batches_once_and_changes_no_result(
    learnable, fresh_evaluator, monkeypatch, at
):
    expected = learnable.training().train_epoch()
    worker_cache.cached.cache_clear()
    training = learnable.training()
    with monkeypatch.context() as patch:
        memory_runs_out_in_evaluations(patch, at)
        metrics = training.train_epoch()
    assert training.evaluator.halved
    assert metrics["out_of_memory"] == {"evaluation": True}
    names = ("objective", "val/next", "val/mel", "val/kl", "val/free", "text_use", "text_use_low")
    assert {name: metrics[name] for name in names} == pytest.approx({name: expected[name] for name in names}, rel=1e-4)
    assert [one["objective"] for one in metrics["evaluations"]] == pytest.approx(
        [one["objective"] for one in expected["evaluations"]], rel=1e-4
    )
    assert "out_of_memory" not in training.train_epoch()


def test_out_of_memory_in_an_evaluation_again_ends_the_trial(learnable, fresh_evaluator, monkeypatch):
    memory_runs_out_in_evaluations(monkeypatch, 0, 1)
    with pytest.raises(
        SpeechError, match=r"out of GPU memory in the evaluation of epoch 1 \(CUDA out of memory\)"
    ) as ran:
        learnable.training().train_epoch()
    assert isinstance(ran.value.__cause__, torch.OutOfMemoryError)
