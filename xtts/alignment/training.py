"""Training the aligner and the duration predictor on the training split, and aligning every clip."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from xtts.alignment.durations import DurationPredictor
from xtts.alignment.network import STEP_FRAMES, AlignerNetwork
from xtts.alignment.path import best_path, path_sum
from xtts.audio.mel import MELS, PATCH_FRAMES
from xtts.data.build_dataset import no_progress
from xtts.data.dataset import Dataset
from xtts.data.features.cache import Progress
from xtts.data.splits import TRAIN

_BATCH_STEPS = 2000
_LEARNING_RATE = 2e-3
_FEWEST_UPDATES, _MOST_UPDATES, _FEWEST_EPOCHS = 240, 2400, 10
_DURATION_EPOCHS = 12
DECOYS = 5
_FOLDS = 2


@dataclass(frozen=True)
class Aligned:
    """What the aligner found, by clip."""

    step_tokens: tuple[NDArray[np.int32], ...]
    """The token at each half-patch step [2 * patches] of every clip, never falling."""
    confidence: NDArray[np.float32]
    """Mean posterior probability of the tokens on the path [clips]."""
    advantage: NDArray[np.float32]
    """Score of a clip with its own text over its mean score with texts of about its length, nats a step [clips]."""
    durations: DurationPredictor


def patches_of(frames: int) -> int:
    """Patches that so many mel frames fill, the last one perhaps in part."""
    return -(-frames // PATCH_FRAMES)


class _Clips:
    """Normalised mel steps and tokens of a data set, collated on demand."""

    def __init__(self, speech: Dataset) -> None:
        self.speech = speech
        self.steps = [patches_of(int(frames)) * PATCH_FRAMES // STEP_FRAMES for frames in speech.frames]

    def collate(self, clips: Sequence[int], texts: Sequence[int]) -> tuple[torch.Tensor, ...]:
        """Tokens, token counts, steps, step counts and speakers of `clips`, each with the text of `texts`."""
        speech = self.speech
        token_count = torch.tensor([int(speech.token_count[text]) for text in texts])
        step_count = torch.tensor([self.steps[clip] for clip in clips])
        tokens = np.zeros((len(clips), int(token_count.max())), dtype=np.int64)
        mel = np.zeros((len(clips), int(step_count.max()) * STEP_FRAMES, MELS), dtype=np.float32)
        for row, (clip, text) in enumerate(zip(clips, texts, strict=True)):
            tokens[row, : speech.token_count[text]] = speech.clip_tokens(text)
            frames = (speech.clip_mel(clip) - speech.mel_mean) / speech.mel_sd
            mel[row, : len(frames)] = frames
            # The last patch may be partly empty: its last frame is repeated.
            mel[row, len(frames) : self.steps[clip] * STEP_FRAMES] = frames[-1]
        steps = torch.from_numpy(mel).view(len(clips), -1, STEP_FRAMES * MELS)
        speakers = torch.from_numpy(speech.speaker_index[np.asarray(clips)].astype(np.int64))
        return torch.from_numpy(tokens), token_count, steps, step_count, speakers

    def batches(self, clips: Sequence[int], shuffle: random.Random | None) -> list[list[int]]:
        """Clips of like length together, at most _BATCH_STEPS padded steps a batch."""
        ordered = sorted(clips, key=lambda clip: (self.steps[clip], clip))
        batches: list[list[int]] = []
        for clip in ordered:
            if not batches or self.steps[clip] * (len(batches[-1]) + 1) > _BATCH_STEPS:
                batches.append([])
            batches[-1].append(clip)
        if shuffle is not None:
            shuffle.shuffle(batches)
        return batches


def train_aligner(speech: Dataset, progress: Progress) -> Aligned:
    """Learn the alignment from the training split under a fixed seed, and align and judge all clips with it."""
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.manual_seed(0)
    try:
        torch.set_num_threads(1)
        clips = _Clips(speech)
        symbols, speakers = len(speech.vocabulary), len(speech.speakers)
        network = AlignerNetwork(symbols, speakers, MELS)
        judges = [AlignerNetwork(symbols, speakers, MELS, width=64, reach=1) for _ in range(_FOLDS)]
        # Two threads, since training one network fills one core; neither draws random numbers any more.
        interrupted = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            judging = pool.submit(_judge_transcripts, speech, clips, judges, interrupted)
            try:
                _fit(network, clips, speech.indices(TRAIN).tolist(), _updates(clips, speech), progress, interrupted)
                step_tokens, confidence = _align(speech, clips, network)
                advantage = judging.result()
            except BaseException:
                interrupted.set()  # the pool waits for its thread, which then ends after the batch it is at
                raise
        return Aligned(step_tokens, confidence, advantage, _fit_durations(speech, clips, step_tokens))
    finally:
        torch.set_rng_state(state)
        torch.set_num_threads(threads)


def _updates(clips: _Clips, speech: Dataset) -> int:
    per_epoch = len(clips.batches(speech.indices(TRAIN).tolist(), None))
    return min(max(_FEWEST_UPDATES, _FEWEST_EPOCHS * per_epoch), max(_MOST_UPDATES, per_epoch))


def _fit(
    network: AlignerNetwork,
    clips: _Clips,
    train: list[int],
    updates: int,
    progress: Progress,
    interrupted: threading.Event,
) -> None:
    optimiser = torch.optim.AdamW(network.parameters(), lr=_LEARNING_RATE, betas=(0.9, 0.98))
    shuffle = random.Random(0)
    done = 0
    while done < updates:
        for batch in clips.batches(train, shuffle)[: updates - done]:
            if interrupted.is_set():
                return
            inputs = clips.collate(batch, batch)
            _, token_count, _, step_count, _ = inputs
            loss = -path_sum(network(*inputs), step_count, token_count).sum() / step_count.sum()
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            done += 1
            progress(done, updates, "aligning text and speech")
    network.eval()


@torch.no_grad()
def _align(
    speech: Dataset, clips: _Clips, network: AlignerNetwork
) -> tuple[tuple[NDArray[np.int32], ...], NDArray[np.float32]]:
    paths: list[NDArray[np.int32]] = [np.zeros(0, np.int32)] * len(speech)
    confidence = np.zeros(len(speech), dtype=np.float32)
    for batch in clips.batches(range(len(speech)), None):
        scores = network(*clips.collate(batch, batch))
        for row, clip in enumerate(batch):
            inside = scores[row, : clips.steps[clip], : int(speech.token_count[clip])]
            paths[clip], confidence[clip] = best_path(inside.numpy())
    return tuple(paths), confidence


def _judge_transcripts(
    speech: Dataset, clips: _Clips, judges: Sequence[AlignerNetwork], interrupted: threading.Event
) -> NDArray[np.float32]:
    """Own score over decoys' [clips], each clip judged by a small network that has not learned from it.

    A network that has learned from a wrong transcript finds it right: of 26 swapped ones the aligner itself noticed 4.
    """
    texts = sorted(set(speech.texts))
    random.Random(0).shuffle(texts)
    fold_of = {text: place % len(judges) for place, text in enumerate(texts)}
    folds = np.array([fold_of[text] for text in speech.texts])
    decoys = _texts_of_like_length(speech)
    advantage = np.zeros(len(speech), dtype=np.float32)
    for fold, judge in enumerate(judges):
        learned = np.flatnonzero(folds != fold).tolist() or list(range(len(speech)))
        _fit(judge, clips, learned, _updates(clips, speech) // 2, no_progress, interrupted)
        with torch.no_grad():
            for batch in clips.batches(np.flatnonzero(folds == fold).tolist(), None):
                if interrupted.is_set():
                    return advantage
                scores = []
                for texts_of_batch in (batch, *([int(decoy[clip]) for clip in batch] for decoy in decoys)):
                    inputs = clips.collate(batch, texts_of_batch)
                    _, token_count, _, step_count, _ = inputs
                    scores.append((path_sum(judge(*inputs), step_count, token_count) / step_count).numpy())
                advantage[batch] = scores[0] - np.mean(scores[1:], axis=0)
    return advantage


def _texts_of_like_length(speech: Dataset) -> list[NDArray[np.int64]]:
    """For every clip, DECOYS other clips whose texts differ from its own and are nearest to it in length."""
    order = np.lexsort((np.arange(len(speech)), speech.token_count))
    decoys = np.zeros((DECOYS, len(speech)), dtype=np.int64)
    for rank, clip in enumerate(order):
        found: list[int] = []
        for distance in range(1, len(order)):
            for other in (rank - distance, rank + distance):
                if 0 <= other < len(order) and speech.texts[order[other]] != speech.texts[clip]:
                    found.append(int(order[other]))
            if len(found) >= DECOYS:
                break
        found = found or [int(clip)]
        decoys[:, clip] = [found[index % len(found)] for index in range(DECOYS)]
    return list(decoys)


def _fit_durations(speech: Dataset, clips: _Clips, step_tokens: Sequence[NDArray[np.int32]]) -> DurationPredictor:
    predictor = DurationPredictor(len(speech.vocabulary), len(speech.speakers))
    optimiser = torch.optim.AdamW(predictor.parameters(), lr=_LEARNING_RATE)
    train, shuffle = speech.indices(TRAIN).tolist(), random.Random(0)
    truth = {
        clip: np.bincount(step_tokens[clip], minlength=int(speech.token_count[clip])).astype(np.float32)
        for clip in train
    }
    per_epoch = len(clips.batches(train, None))
    epochs = min(max(_DURATION_EPOCHS, _FEWEST_UPDATES // per_epoch), 60)
    predicted, spoken = np.zeros(len(speech.speakers)), np.zeros(len(speech.speakers))
    for epoch in range(epochs + 1):
        for batch in clips.batches(train, shuffle):
            token_count = torch.tensor([len(truth[clip]) for clip in batch])
            tokens = torch.zeros(len(batch), int(token_count.max()), dtype=torch.int64)
            steps = torch.zeros(tokens.shape)
            for row, clip in enumerate(batch):
                tokens[row, : len(truth[clip])] = torch.from_numpy(speech.clip_tokens(clip).astype(np.int64))
                steps[row, : len(truth[clip])] = torch.from_numpy(truth[clip])
            speakers = torch.from_numpy(speech.speaker_index[np.asarray(batch)].astype(np.int64))
            real = torch.arange(tokens.shape[1]) < token_count[:, None]
            if epoch == epochs:
                with torch.no_grad():
                    length = (torch.expm1(predictor(tokens, token_count, speakers)) * real).sum(1).numpy()
                np.add.at(predicted, speakers.numpy(), length)
                np.add.at(spoken, speakers.numpy(), steps.sum(1).numpy())
                continue
            error = (predictor(tokens, token_count, speakers) - torch.log1p(steps)).abs()
            loss = (error * real).sum() / real.sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    pace = np.where(predicted > 0, spoken / np.maximum(predicted, 1e-6), 1.0)
    predictor.pace.copy_(torch.from_numpy(pace.clip(0.25, 4.0)))
    return predictor.eval()
