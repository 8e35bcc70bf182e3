"""The model on its own predictions: several continuations of every clip at once, with a key-value cache."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xtts.model.codec import to_patches
from xtts.model.gaussian import Gaussian
from xtts.model.prior import Remembered
from xtts.model.xtts import Batch, Xtts

HORIZONS = 8
"""Patches (0.37 s) that the objective looks ahead."""


@dataclass(frozen=True)
class TrueHistory:
    """What a pass over the real clip leaves behind."""

    patches: Tensor
    """[batch, patches, values] the normalised mel"""
    text: Tensor
    """[batch, patches, width]"""
    posterior: Gaussian
    prior: Gaussian
    hidden: Tensor
    """[batch, patches, width] of the prior, with true history"""
    remembered: Remembered


def with_true_history(model: Xtts, batch: Batch) -> TrueHistory:
    """One pass in which every place sees the posterior means of the real patches before it."""
    patches = to_patches(batch.mel, model.frames_per_patch)
    q = model.posterior(patches)
    text = model.text_at_patches(batch)
    kept = torch.ones(patches.shape[:2], dtype=torch.bool, device=patches.device)
    voice = model.voice(batch.reference, batch.reference_count)
    hidden, p, remembered = model.prior(q.mean, kept, text, voice)
    return TrueHistory(patches, text, q, p, hidden, remembered)


def run_freely(model: Xtts, history: TrueHistory, every: int = HORIZONS) -> Tensor:
    """Patches [batch, patches, values] predicted on the prior's own means, from truth again at every `every`-th patch.

    The patch at place t has been predicted (t mod every) + 1 patches ahead. With `every` at least the number of
    patches, whole clips run freely from their voice prompt and text alone.
    """
    patches = history.posterior.mean.shape[1]
    every = min(every, patches)
    starts = torch.arange(0, patches, every, device=history.text.device)
    voice_latents = model.prior.voice_latents
    places = torch.arange(voice_latents + patches, device=history.text.device)
    # At its first step a start sees the true latents before it; the keys of places before it hold them.
    seen = places < starts[:, None] + voice_latents
    rollouts = model.prior.begin(history.remembered, len(starts), every)
    before = history.posterior.mean[:, (starts - 1).clamp(min=0)]
    hiddens, means = [], []
    for taken in range(every):
        here = starts + taken
        text = history.text[:, here.clamp(max=patches - 1)]
        hidden, p = model.prior.step(rollouts, before, here > 0, text, here, seen, taken)
        before = p.mean
        hiddens.append(hidden)
        means.append(p.mean)
    # All at once: nothing that is decoded is heard again.
    predicted: Tensor = model.decoder(torch.stack(means, dim=2), torch.stack(hiddens, dim=2))
    return predicted.flatten(1, 2)[:, :patches]
