"""Where the truth is known the aligner finds it, tells wrong transcripts, and learns how long tokens last."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.xtts.conftest import Learnable
from tests.xtts.learnable_speech import LETTERS, letter_seconds, utterances, write_folder
from xtts.alignment.aligned import AlignedDataset, align_dataset
from xtts.alignment.training import Aligned, train_aligner
from xtts.audio.mel import HOP, SAMPLE_RATE
from xtts.data.build_dataset import build_dataset, no_progress
from xtts.data.splits import TRAIN, VALIDATION

SWAPPED = 6
STEP_SECONDS = 2 * HOP / SAMPLE_RATE


def steps_off(speech, step_tokens, truth) -> np.ndarray:
    """For every step of every clip, how many tokens the alignment is off."""
    off = []
    for clip, path in enumerate(step_tokens):
        off.append(path - truth[Path(speech.audio[clip]).stem].token_at_steps(len(path)))
    return np.abs(np.concatenate(off))


@pytest.fixture(scope="module")
def found(learnable: Learnable) -> Aligned:
    """After fewer updates than a data set is given, which is enough for sounds as clear as these."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xtts.alignment.training._FEWEST_UPDATES", 100)
        return train_aligner(learnable.aligned.speech, no_progress)


def test_the_true_alignment_is_found_on_clips_learned_from_and_others(learnable, found):
    speech = learnable.aligned.speech
    for split in (TRAIN, VALIDATION):
        clips = speech.indices(split)
        paths = [found.step_tokens[clip] if clip in clips else np.zeros(0, np.int32) for clip in range(len(speech))]
        off = steps_off(speech, paths, learnable.truth)
        assert (off <= 1).mean() > 0.95
        assert (off == 0).mean() > 0.7
    assert found.confidence.mean() > 0.9


def test_a_path_covers_its_clip_and_never_falls(learnable, found):
    speech = learnable.aligned.speech
    for clip, path in enumerate(found.step_tokens):
        assert len(path) == 2 * -(-int(speech.frames[clip]) // 4)
        assert 0 <= path[0] <= 1
        assert speech.token_count[clip] - 2 <= path[-1] < speech.token_count[clip]
        assert set(np.diff(path)) <= {0, 1, 2}


def test_predicted_lengths_are_those_of_the_speakers(learnable, found):
    speech = learnable.aligned.speech
    for clip in speech.indices(VALIDATION):
        steps = found.durations.step_tokens(speech.clip_tokens(int(clip)), int(speech.speaker_index[clip]))
        assert 2 * len(steps) == pytest.approx(speech.frames[clip], rel=0.3)


@pytest.mark.slow
def test_training_draws_nobody_elses_random_numbers_and_gives_the_threads_back(learnable, found, monkeypatch):
    """A second time in the same process, under another seed, the result is the same."""
    monkeypatch.setattr("xtts.alignment.training._FEWEST_UPDATES", 100)
    before = torch.get_num_threads()
    torch.manual_seed(123)
    expected = torch.rand(3)
    torch.manual_seed(123)
    again = train_aligner(learnable.aligned.speech, no_progress)
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == before
    for one, other in zip(found.step_tokens, again.step_tokens, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(found.confidence, again.confidence)
    np.testing.assert_array_equal(found.advantage, again.advantage)
    for name, value in found.durations.state_dict().items():
        assert torch.equal(value, again.durations.state_dict()[name])


def test_an_interrupt_ends_the_judging_thread_too(learnable: Learnable):
    begun = 0.0

    def interrupt(done: int, total: int, what: str) -> None:
        nonlocal begun
        if done == 3:
            begun = time.monotonic()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_aligner(learnable.aligned.speech, interrupt)
    assert time.monotonic() - begun < 2.0


@pytest.fixture(scope="module")
def partly_swapped(tmp_path_factory) -> tuple[AlignedDataset, np.ndarray]:
    """Eighty clips of which six have each other's texts, and which those are."""
    spoken = utterances(80, seed=3)
    texts = [clip.text for clip in spoken]
    texts[:SWAPPED] = texts[SWAPPED // 2 : SWAPPED] + texts[: SWAPPED // 2]
    folder = write_folder(tmp_path_factory.mktemp("swapped") / "speech", spoken, texts)
    aligned = align_dataset(build_dataset(folder), no_progress)
    wrong = {clip.name for clip in spoken[:SWAPPED]}
    return aligned, np.array([Path(audio).stem in wrong for audio in aligned.speech.audio])


@pytest.mark.slow
def test_wrong_transcripts_have_less_advantage_than_right_ones(partly_swapped):
    aligned, wrong = partly_swapped
    assert wrong.sum() == SWAPPED
    assert np.median(aligned.advantage[wrong]) < np.median(aligned.advantage[~wrong]) - 1.0
    right_above = (aligned.advantage[~wrong][:, None] > aligned.advantage[wrong]).mean()
    assert right_above > 0.95


@pytest.mark.slow
def test_wrong_transcripts_are_the_first_to_look_at(partly_swapped):
    aligned, wrong = partly_swapped
    assert wrong[np.argsort(aligned.advantage)[:SWAPPED]].sum() >= SWAPPED - 1
    named = aligned.misaligned()
    assert wrong[named].all()
    assert (np.diff(aligned.advantage[named]) >= 0).all()
    assert aligned.summary()["doubtful"] == [aligned.speech.ids[clip] for clip in named]


@pytest.mark.slow
def test_letters_last_as_long_as_they_do(partly_swapped):
    """In texts that were not trained on, long letters are predicted to be long and short ones short."""
    aligned, _ = partly_swapped
    speech = aligned.speech
    seconds: dict[str, list[float]] = {letter: [] for letter in f"{LETTERS} "}
    for clip in np.flatnonzero(speech.split != TRAIN):
        tokens = speech.clip_tokens(int(clip))
        steps = aligned.durations.step_tokens(tokens, int(speech.speaker_index[clip]))
        for token, count in zip(tokens, np.bincount(steps, minlength=len(tokens)), strict=True):
            seconds[speech.vocabulary.symbols[token]].append(count * STEP_SECONDS)
    predicted = [np.mean(seconds[letter]) for letter in LETTERS]
    true = [letter_seconds(letter) for letter in LETTERS]
    assert np.corrcoef(predicted, true)[0, 1] > 0.8
    np.testing.assert_allclose(predicted, true, rtol=0.3)
