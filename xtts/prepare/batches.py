"""Clips to padded batches: which go together, with which voice prompt, in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from xtts.alignment.aligned import AlignedDataset
from xtts.audio.mel import MELS, PATCH_FRAMES
from xtts.data.splits import TRAIN
from xtts.model.model_config import PLACE_FEATURES
from xtts.model.xtts import Batch

_REFERENCE_PATCHES = 48  # 2.2 s of another clip
_LENGTH_JITTER = 0.08
_STREAM = {"order": 0, "reference": 1, "noise": 2}


@dataclass(frozen=True)
class Item:
    """One clip of a batch: the clip, the clip whose voice prompts it, and the patch where the prompt begins."""

    clip: int
    reference: int | None
    reference_start: int = 0


def stream_seed(seed: int, epoch: int, stream: str) -> int:
    """A seed for one purpose in one epoch; the same for every trial of that seed, whatever its parameters."""
    return int(np.random.SeedSequence([seed, epoch, _STREAM[stream]]).generate_state(1, np.uint64)[0] >> 1)


class SpeechBatches:
    """Collates clips of one data set, normalised as a trial wants them."""

    def __init__(self, aligned: AlignedDataset, mean: float, sd: float) -> None:
        self.aligned = aligned
        self.speech = aligned.speech
        self.mean, self.sd = np.float32(mean), np.float32(sd)
        self.patches = -(-self.speech.frames // PATCH_FRAMES)
        self._places = _places(aligned)

    def epoch(self, clips: NDArray[np.int64], seed: int, epoch: int, frame_budget: int) -> list[list[Item]]:
        """Every clip once, in batches of like length of at most `frame_budget` padded frames, in random order.

        A clip longer than the budget is a batch of its own.
        """
        order = np.random.default_rng(stream_seed(seed, epoch, "order"))
        jittered = self.speech.frames[clips] * (1.0 + _LENGTH_JITTER * order.random(len(clips)))
        batches: list[list[int]] = []
        longest = 0
        for clip in clips[np.argsort(jittered, kind="stable")].tolist():
            longest = max(longest, int(self.patches[clip]) * PATCH_FRAMES)
            if not batches or longest * (len(batches[-1]) + 1) > frame_budget:
                batches.append([])
                longest = int(self.patches[clip]) * PATCH_FRAMES
            batches[-1].append(clip)
        order.shuffle(batches)
        draw = np.random.default_rng(stream_seed(seed, epoch, "reference"))
        pool = self._by_speaker(clips)
        return [[self._with_reference(clip, pool, draw) for clip in batch] for batch in batches]

    def fixed(self, clips: NDArray[np.int64], pool: NDArray[np.int64], frame_budget: int) -> list[list[Item]]:
        """Batches for evaluation: always the same, with voice prompts from `pool`."""
        batches: list[list[Item]] = []
        draw = np.random.default_rng(0)
        speakers = self._by_speaker(pool)
        for clip in clips[np.argsort(self.speech.frames[clips], kind="stable")].tolist():
            if not batches or int(self.patches[clip]) * PATCH_FRAMES * (len(batches[-1]) + 1) > frame_budget:
                batches.append([])
            batches[-1].append(self._with_reference(clip, speakers, draw))
        return batches

    def collate(self, items: Sequence[Item], texts: Sequence[int] | None = None) -> Batch:
        """The padded batch. `texts` names, for each item, the clip whose text it is given instead of its own.

        A foreign text comes with its own alignment, stretched to the clip's length.
        """
        speech = self.speech
        clips = [item.clip for item in items]
        texts = clips if texts is None else texts
        patches = int(self.patches[clips].max())
        token_count = speech.token_count[list(texts)].astype(np.int64)
        tokens = np.zeros((len(items), int(token_count.max())), dtype=np.int64)
        step_token = np.zeros((len(items), 2 * patches), dtype=np.int64)
        step_place = np.zeros((len(items), 2 * patches, PLACE_FEATURES), dtype=np.float32)
        mel = np.zeros((len(items), patches * PATCH_FRAMES, MELS), dtype=np.float32)
        voices = [self.reference(item) for item in items]
        reference = np.zeros((len(items), max(1, *(len(one) for one in voices)), MELS * PATCH_FRAMES), dtype=np.float32)
        for row, (clip, text) in enumerate(zip(clips, texts, strict=True)):
            tokens[row, : token_count[row]] = speech.clip_tokens(text)
            frames = self.normalised(clip)
            mel[row, : len(frames)] = frames
            steps = 2 * int(self.patches[clip])
            if text == clip:
                step_token[row, :steps] = self.aligned.clip_steps(clip)
                step_place[row, :steps] = self._places[
                    self.aligned.step_start[clip] : self.aligned.step_start[clip + 1]
                ]
            else:
                foreign = self.aligned.clip_steps(text)
                stretched = foreign[np.arange(steps) * len(foreign) // steps]
                step_token[row, :steps] = stretched
                step_place[row, :steps] = places_in_tokens(stretched)
            reference[row, : len(voices[row])] = voices[row]
        return Batch(
            tokens=torch.from_numpy(tokens),
            token_count=torch.from_numpy(token_count),
            step_token=torch.from_numpy(step_token),
            step_place=torch.from_numpy(step_place),
            mel=torch.from_numpy(mel),
            frame_count=torch.from_numpy(speech.frames[clips].astype(np.int64)),
            reference=torch.from_numpy(reference),
            reference_count=torch.tensor([len(one) for one in voices]),
        )

    def normalised(self, clip: int) -> NDArray[np.float32]:
        """Mel of one clip [frames, mels] as a trial sees it."""
        return (self.speech.clip_mel(clip) - self.mean) / self.sd

    def mean_frame(self) -> NDArray[np.float64]:
        """Mean of the training split's frames [mels], as a trial sees them."""
        train = self.speech.indices(TRAIN)
        total = sum((self.speech.clip_mel(int(clip)).sum(0, dtype=np.float64) for clip in train), np.zeros(MELS))
        mean: NDArray[np.float64] = (total / int(self.speech.frames[train].sum()) - self.mean) / self.sd
        return mean

    def padding(self, batches: Sequence[Sequence[Item]]) -> float:
        """Share of the collated frames that is padding."""
        real = sum(int(self.speech.frames[item.clip]) for batch in batches for item in batch)
        padded = sum(
            max(int(self.patches[item.clip]) for item in batch) * PATCH_FRAMES * len(batch) for batch in batches
        )
        return 1.0 - real / padded

    def _by_speaker(self, clips: NDArray[np.int64]) -> dict[int, NDArray[np.int64]]:
        """Each speaker's clips, in rising order."""
        clips = np.sort(clips)
        speakers = self.speech.speaker_index[clips]
        return {int(speaker): clips[speakers == speaker] for speaker in np.unique(speakers)}

    def _with_reference(self, clip: int, pool: dict[int, NDArray[np.int64]], draw: np.random.Generator) -> Item:
        others = pool.get(int(self.speech.speaker_index[clip]), np.zeros(0, np.int64))
        first, second = draw.random(2)
        itself = int(np.searchsorted(others, clip))
        there = itself < len(others) and others[itself] == clip
        if len(others) == there:
            return Item(clip, None)
        drawn = int(first * (len(others) - there))
        reference = int(others[drawn + (there and drawn >= itself)])
        latest = max(0, int(self.patches[reference]) - _REFERENCE_PATCHES)
        return Item(clip, reference, int(second * (latest + 1)))

    def reference(self, item: Item) -> NDArray[np.float32]:
        """Whole patches of the voice prompt [patches, 4 * mels]; none where the speaker has no other clip."""
        if item.reference is None:
            return np.zeros((0, PATCH_FRAMES * MELS), dtype=np.float32)
        frames = self.speech.clip_mel(item.reference)[item.reference_start * PATCH_FRAMES :]
        count = min(len(frames) // PATCH_FRAMES, _REFERENCE_PATCHES)
        whole = (frames[: count * PATCH_FRAMES] - self.mean) / self.sd
        return whole.reshape(count, PATCH_FRAMES * MELS)


def places_in_tokens(step_tokens: NDArray[np.int32]) -> NDArray[np.float32]:
    """Where each step stands in its token [steps, 3]: share that has passed, log of its length, steps left in tens."""
    first = np.searchsorted(step_tokens, step_tokens, "left")
    after = np.searchsorted(step_tokens, step_tokens, "right")
    length = after - first
    place = np.arange(len(step_tokens))
    return np.stack([(place + 0.5 - first) / length, np.log(length), (after - place) / 10.0], axis=1).astype(np.float32)


def _places(aligned: AlignedDataset) -> NDArray[np.float32]:
    """places_in_tokens of all clips at once, one after the other [total steps, 3]."""
    # Tokens never fall within a clip, so numbering them on over the clips gives one sorted sequence.
    offset = np.repeat(
        np.cumsum(np.concatenate([[0], aligned.speech.token_count[:-1].astype(np.int64)])), np.diff(aligned.step_start)
    )
    return places_in_tokens(aligned.step_tokens.astype(np.int64) + offset)
