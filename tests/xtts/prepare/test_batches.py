"""What goes into a batch: every clip once, little padding, a voice prompt that is never the clip itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.xtts.conftest import Learnable, evenly_aligned
from xtts.alignment.aligned import AlignedDataset
from xtts.alignment.path import best_path
from xtts.alignment.training import patches_of
from xtts.audio.mel import MELS, PATCH_FRAMES
from xtts.data.build_dataset import build_dataset, no_progress
from xtts.data.splits import TRAIN, VALIDATION
from xtts.prepare.batches import Item, SpeechBatches, places_in_tokens, stream_seed
from xtts.prepare.demo_speech import demo_speech

BUDGET = 500


def standardised(aligned: AlignedDataset) -> SpeechBatches:
    return SpeechBatches(aligned, aligned.speech.mel_mean, aligned.speech.mel_sd)


@pytest.fixture(scope="module")
def batches(learnable: Learnable) -> SpeechBatches:
    return standardised(learnable.aligned)


@pytest.fixture(scope="module")
def train(batches) -> np.ndarray:
    return batches.speech.indices(TRAIN)


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> SpeechBatches:
    """The demo speech, its texts spread evenly over the clips."""
    speech = build_dataset(demo_speech(no_progress))
    even = evenly_aligned(speech)
    start = np.cumsum([0, *(len(path) for path in even.step_tokens)])
    weights = {name: value.numpy() for name, value in even.durations.state_dict().items()}
    return standardised(
        AlignedDataset(speech, np.concatenate(even.step_tokens), start, even.confidence, even.advantage, weights)
    )


def with_speakers(batches: SpeechBatches, speakers: list[int]) -> SpeechBatches:
    """The same clips said by others."""
    speech = replace(batches.speech, speaker_index=np.array(speakers, np.int32))
    return standardised(replace(batches.aligned, speech=speech))


@pytest.mark.parametrize("budget", [50, 300, BUDGET, 10_000])
def test_every_clip_comes_once_an_epoch_within_the_budget(batches, train, budget):
    for epoch in (1, 2, 3):
        made = batches.epoch(train, 1, epoch, budget)
        assert sorted(item.clip for batch in made for item in batch) == train.tolist()
        for batch in made:
            mel = batches.collate(batch).mel
            assert mel.shape[0] * mel.shape[1] <= budget or len(batch) == 1


def test_batches_are_in_random_order_and_not_always_the_same_clips_together(batches, train):
    def grouped(epoch):
        return {frozenset(item.clip for item in batch) for batch in batches.epoch(train, 1, epoch, BUDGET)}

    lengths = [
        [max(int(batches.speech.frames[item.clip]) for item in batch) for batch in batches.epoch(train, 1, n, 300)]
        for n in range(1, 9)
    ]
    assert any(one != sorted(one) and one != sorted(one, reverse=True) for one in lengths)
    assert len({tuple(one) for one in lengths}) > 4
    assert len(set().union(*(grouped(epoch) for epoch in range(1, 9)))) > len(grouped(1))


def test_an_epoch_follows_from_seed_and_epoch(batches, train):
    first = batches.epoch(train, 1, 1, BUDGET)
    assert batches.epoch(train, 1, 1, BUDGET) == first
    assert batches.epoch(train, 1, 2, BUDGET) != first
    assert batches.epoch(train, 2, 1, BUDGET) != first


def test_every_stream_of_every_epoch_has_a_seed_of_its_own():
    seeds = {
        stream_seed(seed, epoch, stream)
        for seed in range(20)
        for epoch in range(1, 21)
        for stream in ("order", "reference", "noise")
    }
    assert len(seeds) == 20 * 20 * 3
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_reference_is_another_clip_of_the_same_speaker(batches, train):
    speaker = batches.speech.speaker_index
    heard: dict[int, set[int]] = {}
    for seed in range(10):
        for epoch in range(1, 21):
            for batch in batches.epoch(train, seed, epoch, BUDGET):
                for item in batch:
                    assert item.reference is not None
                    assert item.reference != item.clip
                    assert speaker[item.reference] == speaker[item.clip]
                    assert item.reference in train
                    heard.setdefault(item.clip, set()).add(item.reference)
    for clip, references in heard.items():
        assert references == {int(other) for other in train if speaker[other] == speaker[clip]} - {clip}


def test_a_speaker_with_one_clip_has_no_reference(batches, train):
    lonely = int(train[3])
    alone = with_speakers(batches, [int(clip == lonely) for clip in range(len(batches.speech))])
    for seed in range(5):
        items = {item.clip: item for batch in alone.epoch(train, seed, 1, BUDGET) for item in batch}
        assert items[lonely] == Item(lonely, None)
        assert all(item.reference not in (None, lonely, clip) for clip, item in items.items() if clip != lonely)
    collated = alone.collate([Item(lonely, None), items[int(train[4])]])
    assert collated.reference_count.tolist()[0] == 0
    assert not collated.reference[0].any()
    (single,) = alone.fixed(np.array([lonely]), train, BUDGET)
    assert single == [Item(lonely, None)]


def test_two_clips_of_a_speaker_prompt_each_other(batches, train):
    first, second = (int(clip) for clip in train[:2])
    pair = with_speakers(batches, [int(clip in (first, second)) for clip in range(len(batches.speech))])
    for seed in range(20):
        items = {item.clip: item for batch in pair.epoch(train, seed, 1, BUDGET) for item in batch}
        assert (items[first].reference, items[second].reference) == (second, first)


def test_evaluation_takes_the_same_batches_each_time_and_no_clip_as_its_own_prompt(batches):
    clips = batches.speech.indices(VALIDATION)
    for pool in (clips, batches.speech.indices(TRAIN)):
        fixed = batches.fixed(clips, pool, BUDGET)
        assert fixed == batches.fixed(clips, pool, BUDGET)
        items = [item for batch in fixed for item in batch]
        assert sorted(item.clip for item in items) == clips.tolist()
        assert all(item.reference != item.clip and item.reference in (*pool, None) for item in items)


def test_a_prompt_is_whole_patches_of_its_clip_and_no_longer_than_it_may_be(batches, train, demo):
    for speech in (batches, demo):
        clips = speech.speech.indices(TRAIN)
        starts = set()
        for batch in speech.epoch(clips, 1, 1, 2000):
            for item in batch:
                heard = speech.reference(item)
                starts.add(item.reference_start)
                assert 1 <= len(heard) <= 48
                frames = speech.normalised(item.reference)[item.reference_start * PATCH_FRAMES :]
                expected = frames[: len(heard) * PATCH_FRAMES]
                np.testing.assert_allclose(heard.reshape(-1, MELS), expected, atol=1e-5)
        if speech is demo:
            assert len(starts) > 10


def test_a_batch_holds_what_its_clips_are(batches, train):
    speech, truth = batches.speech, batches.aligned
    (items, *_) = batches.epoch(train, 1, 1, 10_000)
    batch = batches.collate(items)
    for row, item in enumerate(items):
        frames, tokens = int(speech.frames[item.clip]), int(speech.token_count[item.clip])
        steps = 2 * patches_of(frames)
        assert (batch.frame_count[row], batch.token_count[row]) == (frames, tokens)
        expected = (speech.clip_mel(item.clip).astype(np.float64) - speech.mel_mean) / speech.mel_sd
        np.testing.assert_allclose(batch.mel[row, :frames], expected, atol=1e-5)
        assert not batch.mel[row, frames:].any()
        assert batch.tokens[row, :tokens].tolist() == speech.clip_tokens(item.clip).tolist()
        assert batch.step_token[row, :steps].tolist() == truth.clip_steps(item.clip).tolist()
        np.testing.assert_array_equal(batch.step_place[row, :steps], places_in_tokens(truth.clip_steps(item.clip)))
        assert batch.step_token.shape[1] * 2 == batch.mel.shape[1]


def test_a_clip_is_collated_alone_as_next_to_longer_ones(batches, train):
    by_length = train[np.argsort(batches.speech.frames[train])]
    short, long = (Item(int(by_length[at]), int(by_length[at - 3]), 1) for at in (0, -1))
    alone, both = batches.collate([short]), batches.collate([short, long])
    for name, value in vars(alone).items():
        cropped = getattr(both, name)[:1]
        if value.ndim > 1:
            assert not cropped[:, value.shape[1] :].any()
            cropped = cropped[:, : value.shape[1]]
        assert torch.equal(cropped, value), name


def test_a_foreign_text_comes_with_its_own_alignment_stretched_over_the_clip(batches, train):
    clip, text = int(train[0]), int(train[1])
    item = Item(clip, None)
    own, swapped = batches.collate([item]), batches.collate([item], [text])
    assert torch.equal(swapped.mel, own.mel)
    assert swapped.tokens[0].tolist() == batches.speech.clip_tokens(text).tolist()
    assert swapped.token_count[0] == batches.speech.token_count[text]
    steps, foreign = swapped.step_token[0].numpy(), batches.aligned.clip_steps(text)
    assert len(steps) == 2 * int(batches.patches[clip])
    assert (np.diff(steps) >= 0).all()
    assert (steps[0], steps[-1]) == (foreign[0], foreign[-1])
    share = np.bincount(steps, minlength=50) / len(steps) - np.bincount(foreign, minlength=50) / len(foreign)
    assert np.abs(share).max() <= 1.0 / min(len(steps), len(foreign))
    np.testing.assert_array_equal(swapped.step_place[0], places_in_tokens(swapped.step_token[0].numpy()))


def test_places_tell_how_much_of_a_token_has_passed_how_long_it_is_and_what_is_left():
    places = places_in_tokens(np.array([0, 0, 0, 0, 2, 3, 3], np.int32))
    np.testing.assert_allclose(places[:, 0], [0.125, 0.375, 0.625, 0.875, 0.5, 0.25, 0.75])
    np.testing.assert_allclose(places[:, 1], np.log([4, 4, 4, 4, 1, 2, 2]), atol=1e-6)
    np.testing.assert_allclose(places[:, 2], [0.4, 0.3, 0.2, 0.1, 0.1, 0.2, 0.1])


def test_the_mean_frame_is_over_the_training_split_alone(batches, train):
    heard = np.concatenate([batches.speech.clip_mel(int(clip)) for clip in train]).astype(np.float64)
    expected = (heard.mean(0) - batches.speech.mel_mean) / batches.speech.mel_sd
    np.testing.assert_allclose(batches.mean_frame(), expected, atol=1e-5)


def test_padding_is_what_collated_batches_hold_beyond_their_clips(batches, train):
    made = batches.epoch(train, 1, 1, BUDGET)
    held = sum(batches.collate(items).mel[:, :, 0].numel() for items in made)
    real = int(batches.speech.frames[train].sum())
    assert batches.padding(made) == pytest.approx(1.0 - real / held)


@pytest.mark.parametrize("budget", [400, 1000, 1500, 4000])
def test_less_than_a_tenth_of_the_demo_speech_is_padding(demo, budget):
    clips = demo.speech.indices(TRAIN)
    for epoch in (1, 2, 3):
        made = demo.epoch(clips, 1, epoch, budget)
        assert demo.padding(made) < 0.10
        frames = [max(int(demo.patches[item.clip]) for item in batch) * PATCH_FRAMES * len(batch) for batch in made]
        assert all(held <= budget or len(batch) == 1 for held, batch in zip(frames, made, strict=True))
        assert np.mean(frames) > 0.6 * budget


def test_demo_speech_has_a_path_for_every_text(demo):
    """No sentence has so many characters that its clip has no place for them."""
    for clip in range(len(demo.speech)):
        steps = 2 * int(demo.patches[clip])
        assert best_path(np.zeros((steps, int(demo.speech.token_count[clip])), np.float32))[1] > 0.0
