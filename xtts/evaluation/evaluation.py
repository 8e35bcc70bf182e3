"""The objective and the other validation metrics: weight-free, in sd units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xtts.audio.mel import MELS, PATCH_FRAMES
from xtts.model.codec import to_patches
from xtts.model.free_running import HORIZONS, TrueHistory, run_freely, run_whole, with_true_history
from xtts.model.gaussian import Gaussian, kl_divergence
from xtts.model.xtts import Batch, Xtts, valid_masks
from xtts.prepare.batches import Item, SpeechBatches

_FRAME_BUDGETS = {"cpu": 3000, "cuda": 8000}  # a CPU loses more to padding than to one more batch
_MOST_CLIPS = 128  # evenly spread over a larger validation set
_MOST_WHOLE = 16  # of them run freely from end to end, one patch after the other
_RESAMPLES = 1000


@dataclass(frozen=True)
class Errors:
    """Sums of absolute errors in sd units, and of the values they are over, by clip and horizon [clips, 8]."""

    total: NDArray[np.float64]
    values: NDArray[np.float64]

    def mean(self, counts: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Mean over horizons of each horizon's mean error; for each row of `counts` [..., clips], the number of
        times each clip is drawn."""
        total = self.total.sum(0) if counts is None else counts @ self.total
        values = self.values.sum(0) if counts is None else counts @ self.values
        # A horizon that no clip is long enough for is left out; one with an error that is not a number never is.
        return np.asarray(np.mean(total / np.maximum(values, 1.0), axis=-1, where=values > 0))


@dataclass(frozen=True)
class Evaluation:
    """Metrics of one model on one split."""

    objective: float
    next: float
    mel: float
    kl: float
    free: float
    text_use: float
    text_use_low: float
    text_use_high: float


class Evaluator:
    """The same clips, starts, voice prompts and swapped texts for every trial."""

    def __init__(self, batches: SpeechBatches, split: int, sd: float, device: torch.device, dtype: torch.dtype) -> None:
        """`sd` is what one unit of the batches' mel is divided by to come to sd units: 1 where it is standardised."""
        self._sd = sd
        clips = evenly_spread(batches.speech.indices(split), _MOST_CLIPS)
        fixed = batches.fixed(clips, clips, _FRAME_BUDGETS.get(device.type, 8000))
        # One batch: each of its many steps costs the same however few clips take it.
        whole = [item for batch in batches.fixed(evenly_spread(clips, _MOST_WHOLE), clips, 1) for item in batch][::-1]
        self.whole_batches = [batches.collate(whole).to(device, dtype)]
        self.whole_patches = batches.patches[[item.clip for item in whole]].tolist()
        self.own_batches = [batches.collate(items).to(device, dtype) for items in fixed]
        self.swapped_batches = [
            batches.collate(items, _foreign_texts(batches, items, clips)).to(device, dtype) for items in fixed
        ]
        self.mean_frame_error = _mean_frame_error(batches, clips, sd)
        self.halved = False

    def halve(self) -> None:
        """Measure the same clips in batches of half the size, because the device's memory did not suffice."""
        self.own_batches, self.swapped_batches, self.whole_batches = (
            [half for batch in batches for half in batch.halves()]
            for batches in (self.own_batches, self.swapped_batches, self.whole_batches)
        )
        self.halved = True

    @torch.no_grad()
    def objective(self, model: Xtts) -> Tensor:
        """Errors on the model's own prior, 1 to 8 patches ahead, left on the device without a sync [2, clips, 8]."""
        found = [_horizon_errors(model, with_true_history(model, batch), batch)[0] for batch in self.own_batches]
        return torch.cat(found, dim=1)

    def read(self, collected: Tensor) -> Errors:
        """What `objective` left on the device."""
        total, values = collected.double().cpu().numpy()
        return Errors(total / self._sd, values)

    @torch.no_grad()
    def evaluate(self, model: Xtts) -> Evaluation:
        """All metrics of one epoch."""
        horizons, swapped, sums = [], [], []
        for batch, other in zip(self.own_batches, self.swapped_batches, strict=True):
            history = with_true_history(model, batch, other)
            errors, errors_swapped = _horizon_errors(model, history, batch)
            horizons.append(errors)
            swapped.append(errors_swapped)
            sums.append(_sums(model, history, batch))
        own = self.read(torch.cat(horizons, dim=1))
        text_use, low, high = difference_interval(self.read(torch.cat(swapped, dim=1)), own)
        free, free_values = self._free_sums(model).double().cpu().tolist()
        ahead, mel, kl, values = torch.stack(sums).double().sum(0).cpu().tolist()
        return Evaluation(
            objective=float(own.mean()),
            next=ahead / values / self._sd,
            mel=mel / values / self._sd,
            kl=kl / values,
            free=free / free_values / self._sd,
            text_use=text_use,
            text_use_low=low,
            text_use_high=high,
        )

    def _free_sums(self, model: Xtts) -> Tensor:
        """Sums of the errors of whole clips, longest first, run freely, and of values [2]."""
        patches, sums = iter(self.whole_patches), []
        for batch in self.whole_batches:
            count = list(islice(patches, len(batch.tokens)))
            error, values = _patch_errors(run_whole(model, batch, count), to_patches(batch.mel, PATCH_FRAMES), batch)
            sums.append(torch.stack([error.sum(), values.sum()]))
        return torch.stack(sums).sum(0)


def _horizon_errors(model: Xtts, history: TrueHistory, batch: Batch) -> Tensor:
    """Sums of errors and numbers of values by clip and horizon, for each text [texts, 2, batch, 8]."""
    predicted = run_freely(model, history).unflatten(0, (-1, len(history.patches)))
    error, values = _patch_errors(predicted, history.patches, batch)
    both = torch.stack([error, values.expand_as(error)], dim=1)
    padded = torch.nn.functional.pad(both, (0, -error.shape[-1] % HORIZONS))
    out: Tensor = padded.unflatten(-1, (-1, HORIZONS)).sum(-2)
    return out


def _sums(model: Xtts, history: TrueHistory, batch: Batch) -> Tensor:
    """Sums over valid values: errors one patch ahead and on the posterior's path, KL, and the number of values [4].

    Of the clips with their first text.
    """
    prior = Gaussian(*(one[: len(history.patches)] for one in history.prior))
    both = model.decoder(torch.stack([prior.mean, history.posterior.mean]), history.hidden[: len(prior.mean)])
    ahead, values = _patch_errors(both[0], history.patches, batch)
    rebuilt, _ = _patch_errors(both[1], history.patches, batch)
    _, patch_real = valid_masks(batch, PATCH_FRAMES)
    kl = (kl_divergence(history.posterior, prior) * patch_real).sum()
    return torch.stack([ahead.sum(), rebuilt.sum(), kl, values.sum()])


def difference_interval(errors: Errors, base: Errors) -> tuple[float, float, float]:
    """errors minus base of the same clips, with a 95 % bootstrap interval over clips."""
    drawn = resampled_counts(len(base.total))
    differences = errors.mean(drawn) - base.mean(drawn)
    low, high = np.quantile(differences, [0.025, 0.975])
    return float(errors.mean() - base.mean()), float(low), float(high)


@lru_cache(maxsize=4)
def resampled_counts(clips: int) -> NDArray[np.float64]:
    """How often each clip is drawn in each bootstrap sample [samples, clips]; always the same."""
    drawn = np.random.default_rng(0).integers(0, clips, (_RESAMPLES, clips))
    counts = np.zeros((_RESAMPLES, clips))
    np.add.at(counts, (np.arange(_RESAMPLES)[:, None], drawn), 1.0)
    counts.flags.writeable = False
    return counts


def _patch_errors(predicted: Tensor, patches: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Absolute errors of predicted [..., batch, patches, values], summed over the valid values of each patch, and how
    many those are [batch, patches]."""
    frame_real, _ = valid_masks(batch, PATCH_FRAMES)
    by_frame = (predicted.float() - patches).abs().unflatten(-1, (PATCH_FRAMES, MELS)).sum(-1)
    real = frame_real.unflatten(1, (-1, PATCH_FRAMES))
    return (by_frame * real).sum(-1), real.sum(-1) * float(MELS)


def evenly_spread(clips: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most so many of the clips, evenly spread."""
    if len(clips) <= most:
        return clips
    return clips[np.arange(most) * len(clips) // most]


def _foreign_texts(batches: SpeechBatches, items: Sequence[Item], clips: NDArray[np.int64]) -> list[int]:
    """For each clip, the one of another text that is nearest to it in length (of the same speaker if there is one)."""
    speech = batches.speech
    foreign = []
    for item in items:
        others = [int(clip) for clip in clips if speech.texts[clip] != speech.texts[item.clip]]
        same = [clip for clip in others if speech.speaker_index[clip] == speech.speaker_index[item.clip]]
        length = int(speech.frames[item.clip])
        foreign.append(min(same or others or [item.clip], key=lambda clip: abs(int(speech.frames[clip]) - length)))
    return foreign


def _mean_frame_error(batches: SpeechBatches, clips: NDArray[np.int64], sd: float) -> float:
    """Error in sd units of always predicting the training split's mean frame."""
    mean = batches.mean_frame()
    total = sum(float(np.abs(batches.normalised(int(clip)) - mean).sum()) for clip in clips)
    return total / (float(batches.speech.frames[clips].sum()) * MELS) / sd
