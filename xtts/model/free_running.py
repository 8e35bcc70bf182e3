"""The model on its own predictions: several continuations of every clip at once, with a key-value cache."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from xtts.model.attention import rotary_table
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
    voice: Tensor
    """[batch, voice latents, width]"""
    posterior: Gaussian
    prior: Gaussian
    hidden: Tensor
    """[batch, patches, width] of the prior, with true history"""
    remembered: Remembered


def with_true_history(model: Xtts, batch: Batch) -> TrueHistory:
    """One pass in which every place sees the posterior means of the real patches before it."""
    patches = to_patches(batch.mel, model.frames_per_patch)
    voice = model.voice(batch.reference, batch.reference_count)
    posterior, text = model.posterior(patches), model.text_at_patches(batch)
    return TrueHistory(patches, text, voice, posterior, *_prior(model, posterior.mean, text, voice))


def with_text_of(model: Xtts, batch: Batch, history: TrueHistory) -> TrueHistory:
    """The pass over the clips of `history` with the texts of `batch`, which else holds the same."""
    text = model.text_at_patches(batch)
    prior, hidden, remembered = _prior(model, history.posterior.mean, text, history.voice)
    return replace(history, text=text, prior=prior, hidden=hidden, remembered=remembered)


def _prior(model: Xtts, latents: Tensor, text: Tensor, voice: Tensor) -> tuple[Gaussian, Tensor, Remembered]:
    kept = torch.ones(latents.shape[:2], dtype=torch.bool, device=latents.device)
    hidden, prior, remembered = model.prior(latents, kept, text, voice)
    return prior, hidden, remembered


def run_freely(model: Xtts, history: TrueHistory, every: int = HORIZONS) -> Tensor:
    """Patches [batch, patches, values] predicted on the prior's own means, from truth again at every `every`-th patch.

    The patch at place t has been predicted (t mod every) + 1 patches ahead. With `every` at least the number of
    patches, whole clips run freely from their voice prompt and text alone.
    """
    return _continued(model, history.text, history.prior.mean, history.hidden, history.remembered, every)


def run_whole(model: Xtts, batch: Batch) -> Tensor:
    """Whole clips [batch, patches, values] from voice prompt and text alone, without a pass over what was recorded."""
    text, voice = model.text_at_patches(batch), model.voice(batch.reference, batch.reference_count)
    # The first patch is predicted from nothing before it, whatever stands there.
    nothing = text.new_zeros(len(text), 1, model.latent)
    prior, hidden, remembered = _prior(model, nothing, text[:, :1], voice)
    return _continued(model, text, prior.mean, hidden, remembered, text.shape[1])


def _continued(model: Xtts, text: Tensor, means: Tensor, hidden: Tensor, remembered: Remembered, every: int) -> Tensor:
    """Continuations from every `every`-th place of text [batch, patches, width]; means, hidden and what is remembered
    are of a pass with true history, which has taken the first step of each."""
    patches, voice_latents, device = text.shape[1], model.prior.voice_latents, text.device
    every = min(every, patches)
    starts = torch.arange(0, patches, every, device=device)
    here = starts + torch.arange(every, device=device)[:, None]
    texts = text[:, here.clamp(max=patches - 1)].unbind(1)
    cosine, sine = rotary_table(here + voice_latents, model.prior.head_width)
    seen, places = None, voice_latents
    if len(starts) > 1:
        places += int(starts[-1])
        # At its first step a start sees the true latents before it; the keys of places before it hold them.
        truth = torch.arange(places, device=device) < starts[:, None] + voice_latents
        own = torch.eye(len(starts), dtype=torch.bool, device=device).repeat(1, every)
        seen = torch.zeros(len(starts), places + own.shape[1], device=device)
        seen.masked_fill_(~torch.cat([truth, own], dim=1), -math.inf)
    rollouts = model.prior.begin(remembered, places, starts + voice_latents, every)
    before, hiddens = means[:, starts], [hidden[:, starts]]
    latents = [before]
    for taken in range(1, every):
        state, prior = model.prior.step(rollouts, before, texts[taken], (cosine[taken], sine[taken]), seen)
        before = prior.mean
        hiddens.append(state)
        latents.append(before)
    # All at once: nothing that is decoded is heard again.
    predicted: Tensor = model.decoder(torch.stack(latents, dim=2), torch.stack(hiddens, dim=2))
    return predicted.flatten(1, 2)[:, :patches]
