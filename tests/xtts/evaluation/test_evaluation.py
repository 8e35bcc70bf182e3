"""The objective and the figures next to it are what a plain computation, clip by clip and without a cache, gives."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from tests.xtts.conftest import Learnable, prepare_learnable
from tests.xtts.model.run_anew import run_anew
from xtts.audio.mel import MELS, PATCH_FRAMES
from xtts.data.splits import VALIDATION
from xtts.evaluation.evaluation import Errors, Evaluator, difference_interval, evenly_spread
from xtts.model.free_running import HORIZONS, with_true_history
from xtts.model.gaussian import kl_divergence
from xtts.model.xtts import Xtts
from xtts.prepare.batches import Item, SpeechBatches

CPU = torch.device("cpu")


def batches_of(learnable: Learnable, normalisation: str = "standard") -> SpeechBatches:
    speech = learnable.aligned.speech
    mean, sd = (speech.mel_mean, speech.mel_sd) if normalisation == "standard" else (0.0, 1.0)
    return SpeechBatches(learnable.aligned, mean, sd)


def evaluator_of(learnable: Learnable, normalisation: str = "standard") -> Evaluator:
    sd = 1.0 if normalisation == "standard" else learnable.aligned.speech.mel_sd
    return Evaluator(batches_of(learnable, normalisation), VALIDATION, sd, CPU, torch.float32)


@pytest.fixture(scope="module")
def model(talker) -> Xtts:
    return talker[1].training.model


@pytest.fixture(scope="module")
def speech(talker) -> Learnable:
    return talker[0]


@pytest.fixture(scope="module")
def evaluation(speech, model):
    return evaluator_of(speech).evaluate(model)


def items_of(batches: SpeechBatches) -> list[Item]:
    clips = batches.speech.indices(VALIDATION)
    return [item for batch in batches.fixed(clips, clips, 1) for item in batch]


def frames_of(patches: torch.Tensor, count: int) -> np.ndarray:
    """The real frames of one clip's patches [frames, mels]."""
    return patches[0].reshape(-1, MELS)[:count].double().numpy()


def errors_run_anew(model: Xtts, batches: SpeechBatches, item: Item, text: int, every: int) -> np.ndarray:
    """Absolute error of every frame of a clip [frames, mels], the clip alone in its batch and no cache used."""
    batch = batches.collate([item], [text])
    frames = int(batches.speech.frames[item.clip])
    return np.abs(frames_of(run_anew(model, batch, every), frames) - batches.normalised(item.clip))


def by_horizon(error: np.ndarray) -> np.ndarray:
    """Mean over the horizons of each one's mean error, from frames of one or more clips, a row each."""
    horizon = np.concatenate([np.arange(len(one)) // PATCH_FRAMES % HORIZONS for one in error])
    frames = np.concatenate([one.mean(1) for one in error])
    return np.mean([frames[horizon == ahead].mean() for ahead in range(HORIZONS)])


def nearest_other_text(batches: SpeechBatches, clip: int) -> int:
    speech = batches.speech
    others = [
        int(other)
        for other in speech.indices(VALIDATION)
        if speech.texts[other] != speech.texts[clip] and speech.speaker_index[other] == speech.speaker_index[clip]
    ]
    return min(others, key=lambda other: abs(int(speech.frames[other]) - int(speech.frames[clip])))


def test_the_objective_is_the_mean_over_eight_horizons_computed_plainly(speech, model, evaluation):
    batches = batches_of(speech)
    errors = [errors_run_anew(model, batches, item, item.clip, HORIZONS) for item in items_of(batches)]
    assert evaluation.objective == pytest.approx(by_horizon(errors), abs=1e-5)


def test_text_use_is_the_objective_with_the_nearest_other_text_minus_the_objective(speech, model, evaluation):
    batches = batches_of(speech)
    errors = [
        errors_run_anew(model, batches, item, nearest_other_text(batches, item.clip), HORIZONS)
        for item in items_of(batches)
    ]
    assert evaluation.text_use == pytest.approx(by_horizon(errors) - evaluation.objective, abs=2e-5)
    assert evaluation.text_use_low < evaluation.text_use < evaluation.text_use_high


def test_the_other_figures_are_those_computed_plainly(speech, model, evaluation):
    batches = batches_of(speech)
    ahead, rebuilt, free, kl, values = [], [], [], 0.0, 0
    for item in items_of(batches):
        batch, frames = batches.collate([item]), int(batches.speech.frames[item.clip])
        with torch.no_grad():
            history = with_true_history(model, batch)
            for errors, latent in ((ahead, history.prior.mean), (rebuilt, history.posterior.mean)):
                decoded = frames_of(model.decoder(latent, history.hidden), frames)
                errors.append(np.abs(decoded - batches.normalised(item.clip)))
            kl += float(kl_divergence(history.posterior, history.prior).sum())
        free.append(errors_run_anew(model, batches, item, item.clip, 10_000))
        values += frames * MELS
    assert evaluation.next == pytest.approx(np.concatenate(ahead).mean(), abs=1e-5)
    assert evaluation.mel == pytest.approx(np.concatenate(rebuilt).mean(), abs=1e-5)
    assert evaluation.free == pytest.approx(np.concatenate(free).mean(), abs=1e-5)
    assert evaluation.kl == pytest.approx(kl / values, abs=1e-6)


def test_errors_are_told_apart_by_clip_and_horizon(speech, model):
    evaluator, batches = evaluator_of(speech), batches_of(speech)
    errors = evaluator.read(evaluator.objective(model))
    items = items_of(batches)
    assert errors.total.shape == errors.values.shape == (len(items), HORIZONS)
    for row, item in enumerate(items):
        error = errors_run_anew(model, batches, item, item.clip, HORIZONS)
        horizon = np.arange(len(error)) // PATCH_FRAMES % HORIZONS
        for ahead in range(HORIZONS):
            assert errors.values[row, ahead] == (horizon == ahead).sum() * MELS
            assert errors.total[row, ahead] == pytest.approx(error[horizon == ahead].sum(), rel=1e-4, abs=1e-3)


def test_the_objective_of_an_epoch_and_within_one_are_the_same(speech, model, evaluation):
    evaluator = evaluator_of(speech)
    assert evaluator.read(evaluator.objective(model)).mean() == pytest.approx(evaluation.objective, abs=1e-9)


def test_batches_of_any_size_give_the_same_figures(speech, model, evaluation, monkeypatch):
    monkeypatch.setattr("xtts.evaluation.evaluation._FRAME_BUDGETS", {"cpu": 150})
    other = evaluator_of(speech).evaluate(model)
    for name, value in vars(evaluation).items():
        assert getattr(other, name) == pytest.approx(value, abs=2e-5), name


def test_a_model_that_uses_its_text_says_so(evaluation):
    assert evaluation.text_use > 0.06
    assert evaluation.text_use_low > 0.04


def test_an_untrained_model_uses_no_text(speech):
    contain = []
    for seed in range(6):
        found = evaluator_of(speech).evaluate(speech.training(seed).model)
        assert abs(found.text_use) < 0.01
        contain.append(found.text_use_low <= 0.0 <= found.text_use_high)
    assert sum(contain) >= 4


def test_a_model_whose_text_is_destroyed_uses_none(speech, model, evaluation):
    deaf = copy.deepcopy(model)
    with torch.no_grad():
        deaf.aligned.weight.zero_()
    found = evaluator_of(speech).evaluate(deaf)
    assert found.text_use_low <= 0.0 <= found.text_use_high
    assert abs(found.text_use) < 1e-6
    assert found.objective > evaluation.objective + 0.05


def test_a_model_trained_on_other_clips_texts_uses_none(mini_preset, tmp_path):
    """Texts and clips that have nothing to do with each other, spread evenly over one another."""
    speech = prepare_learnable(tmp_path / "speech", 58, seed=5, wrong_texts=True)
    trainer = speech.trainer(learning_rate=1e-2, gradient_clip_norm=None, warmup_updates=10)
    for _ in range(4):
        metrics = trainer.train_epoch()
    assert metrics["text_use_low"] < 0.005
    assert abs(metrics["text_use"]) < 0.01
    assert metrics["val/next"] < metrics["mean_frame_error"]


def as_unnormalised(model: Xtts, mean: float, sd: float) -> Xtts:
    """The same function of un-normalised mel: its first layers standardise what it hears, its last one undoes that."""
    other = copy.deepcopy(model)
    with torch.no_grad():
        for layer in (other.posterior.first, other.voice.patch):
            layer.weight /= sd
            layer.bias -= layer.weight.sum(1) * mean
        other.decoder.out.weight *= sd
        other.decoder.out.bias.mul_(sd).add_(mean)
    return other


def test_the_same_model_has_the_same_figures_in_sd_units_with_and_without_normalisation(speech, model, evaluation):
    prepared = speech.aligned.speech
    other = as_unnormalised(model, prepared.mel_mean, prepared.mel_sd)
    found = evaluator_of(speech, "none").evaluate(other)
    for name in ("objective", "next", "free", "text_use", "text_use_low", "text_use_high"):
        assert vars(found)[name] == pytest.approx(vars(evaluation)[name], abs=1e-4), name
    # The last patch of a clip is filled up with zeros, which are loud where mel is not normalised.
    assert found.mel == pytest.approx(evaluation.mel, abs=0.05)


def test_the_mean_frames_error_is_the_same_with_and_without_normalisation(speech):
    found = [evaluator_of(speech, name).mean_frame_error for name in ("standard", "none")]
    assert found[0] == pytest.approx(found[1], abs=1e-4)
    batches = batches_of(speech)
    clips = [batches.normalised(int(clip)) for clip in batches.speech.indices(VALIDATION)]
    assert found[0] == pytest.approx(np.abs(np.concatenate(clips) - batches.mean_frame()).mean(), abs=1e-5)


def test_evaluating_changes_neither_the_model_nor_any_random_number(speech, model):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    training = model.training
    evaluator_of(speech).evaluate(model)
    assert torch.equal(torch.rand(3), expected)
    assert model.training == training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(("count", "most"), [(3, 128), (128, 128), (129, 128), (1000, 16)])
def test_a_large_split_is_thinned_out_evenly(count, most):
    clips = 7 * np.arange(count)
    kept = evenly_spread(clips, most)
    assert len(kept) == min(count, most)
    assert len(set(kept.tolist())) == len(kept)
    gaps = np.diff(kept) / 7
    assert gaps.max() - gaps.min() <= 1.0


def made_errors(clips: int, seed: int, level: float = 1.0) -> Errors:
    draw = np.random.default_rng(seed)
    values = draw.integers(1, 5, (clips, HORIZONS)).astype(np.float64)
    return Errors(level * values * draw.uniform(0.5, 1.5, values.shape), values)


def test_horizons_count_alike_however_many_values_they_have():
    values = np.array([[100.0, 1.0, *[0.0] * 6]])
    assert Errors(values * np.array([[1.0, 3.0, *[0.0] * 6]]), values).mean() == pytest.approx(2.0)


def test_a_clip_without_a_later_horizon_takes_no_part_in_it():
    values = np.array([[320.0] * 8, [320.0] * 3 + [0.0] * 5])
    levels = np.array([[1.0] * 8, [3.0] * 8])
    assert Errors(values * levels, values).mean() == pytest.approx((3 * 2.0 + 5 * 1.0) / 8)


def test_an_error_that_is_not_finite_is_never_left_out():
    """One spoiled patch of one clip: the mean over all else would look well."""
    base, spoiled = made_errors(20, 1), made_errors(20, 1)
    spoiled.total[4, 5] = np.nan
    assert np.isnan(spoiled.mean())
    assert np.isnan(difference_interval(spoiled, base)).all()


def test_a_resampled_mean_is_the_mean_of_the_clips_drawn():
    errors = made_errors(5, 0)
    drawn = np.array([[0, 0, 3, 4, 1], [2, 2, 2, 2, 2]])
    counts = np.array([[2.0, 1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 5.0, 0.0, 0.0]])
    for row, mean in zip(drawn, errors.mean(counts), strict=True):
        assert mean == pytest.approx(Errors(errors.total[row], errors.values[row]).mean())


def test_the_interval_covers_the_difference_and_is_always_the_same():
    base, errors = made_errors(40, 1), made_errors(40, 1, level=1.2)
    difference, low, high = difference_interval(errors, base)
    assert low < difference < high
    assert difference == pytest.approx(0.2 * base.mean())
    assert difference_interval(errors, base) == (difference, low, high)
    assert difference_interval(base, base) == (0.0, 0.0, 0.0)


def test_the_interval_is_of_paired_clips():
    """Clips differ much more than texts do: an interval that forgot the pairs would be far wider."""
    draw = np.random.default_rng(0)
    values = np.full((30, HORIZONS), 320.0)
    hard = draw.uniform(0.1, 2.0, (30, 1)) * np.ones((1, HORIZONS))
    base = Errors(values * hard, values)
    worse = Errors(values * (hard + draw.normal(0.05, 0.01, hard.shape)), values)
    _, low, high = difference_interval(worse, base)
    assert 0.03 < low < 0.05 < high < 0.07


def test_the_interval_shrinks_with_more_clips():
    widths = []
    for clips in (10, 160):
        _, low, high = difference_interval(made_errors(clips, 3), made_errors(clips, 4))
        widths.append(high - low)
    assert widths[1] < widths[0] / 2
