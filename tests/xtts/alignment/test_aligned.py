"""The alignment is made once, kept next to the features, and made again where its file is damaged."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.xtts.conftest import Learnable, true_alignment
from xtts.alignment.aligned import AlignedDataset, align_dataset
from xtts.data.build_dataset import no_progress
from xtts.data.dataset import Dataset
from xtts.errors import SpeechError


@pytest.fixture
def speech(learnable: Learnable, tmp_path) -> Dataset:
    """Prepared speech in a folder of the test's own, aligned already."""
    folder = tmp_path / "prepared"
    shutil.copytree(learnable.aligned.speech.folder, folder)
    return Dataset.open(folder)


@pytest.fixture
def trainings(learnable, monkeypatch) -> list[str]:
    """The fingerprints that an aligner was trained for; the training itself is replaced by the truth."""
    trained: list[str] = []

    def train(speech, progress):
        trained.append(speech.fingerprint)
        return true_alignment(speech, learnable.truth)

    monkeypatch.setattr("xtts.alignment.aligned.train_aligner", train)
    return trained


def the_file(speech):
    (file,) = speech.folder.glob("alignment-*")
    return file


def same(one: AlignedDataset, other: AlignedDataset) -> bool:
    weights, others = one.durations.state_dict(), other.durations.state_dict()
    arrays = ("step_tokens", "step_start", "confidence", "advantage")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays) and all(
        torch.equal(value, others[name]) for name, value in weights.items()
    )


def test_what_was_aligned_once_is_opened_again(learnable, speech, trainings):
    assert same(align_dataset(speech, no_progress), learnable.aligned)
    assert same(AlignedDataset.open(speech.folder), learnable.aligned)
    assert trainings == []


def test_every_clip_has_its_own_steps(learnable):
    aligned = learnable.aligned
    for clip in range(len(aligned.speech)):
        truth = learnable.truth[aligned.speech.audio_path(clip).stem]
        steps = aligned.clip_steps(clip)
        np.testing.assert_array_equal(steps, truth.token_at_steps(len(steps)))


def flip_a_bit(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


DAMAGE = {
    "cut short": lambda file: file.write_bytes(file.read_bytes()[:-100]),
    "empty": lambda file: file.write_bytes(b""),
    "a flipped bit": flip_a_bit,
    "something else": lambda file: file.write_text("not an alignment"),
    "gone": lambda file: file.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_alignment_is_made_again(learnable, speech, trainings, damage):
    DAMAGE[damage](the_file(speech))
    with pytest.raises(SpeechError, match=r"alignment.*gone or damaged"):
        AlignedDataset.open(speech.folder)
    assert same(align_dataset(speech, no_progress), learnable.aligned)
    assert trainings == [speech.fingerprint]
    assert same(align_dataset(speech, no_progress), learnable.aligned)
    assert len(trainings) == 1


def test_an_alignment_of_other_speech_is_not_taken(speech, trainings):
    """The same name (it holds the beginning of the fingerprint only), but made for something else."""
    other = replace(speech, fingerprint=speech.fingerprint[:16] + "0" * 48)
    align_dataset(other, no_progress)
    assert trainings == [other.fingerprint]


def test_a_full_disk_is_one_line(speech, trainings, monkeypatch):
    the_file(speech).unlink()

    def refuse(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("xtts.alignment.aligned.write_sealed", refuse)
    with pytest.raises(SpeechError, match="No space left on device"):
        align_dataset(speech, no_progress)


def test_opening_draws_no_random_numbers(speech):
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    AlignedDataset.open(speech.folder)
    assert torch.equal(torch.rand(2), expected)


def test_clips_to_look_at_are_those_without_advantage_or_a_clear_path(learnable):
    advantage, confidence = np.ones(24, np.float32), np.ones(24, np.float32)
    advantage[[3, 5]], confidence[7] = [-1.0, -2.0], 0.2
    aligned = replace(learnable.aligned, advantage=advantage, confidence=confidence)
    assert aligned.misaligned().tolist() == [5, 3, 7]
    summary = aligned.summary()
    assert summary["doubtful_clips"] == 3
    assert summary["doubtful"] == [aligned.speech.ids[clip] for clip in (5, 3, 7)]


def test_clear_paths_through_texts_that_are_no_clips_own_are_no_confidence(learnable):
    confidence = np.full(24, 0.98, np.float32)
    own, by_chance = np.ones(24, np.float32), np.where(np.arange(24) % 2, 1.0, -1.0).astype(np.float32)
    codes = replace(learnable.aligned.speech, token_count=np.full(24, 6, np.int32))
    aligned = replace(learnable.aligned, confidence=confidence, advantage=own)
    assert aligned.mean_confidence == pytest.approx(0.98, abs=1e-3)
    assert replace(aligned, advantage=by_chance, speech=codes).mean_confidence == 0
