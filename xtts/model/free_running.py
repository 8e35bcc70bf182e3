"""The model on its own predictions: several continuations of every clip at once, with a key-value cache."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

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
    """What a pass over the real clips leaves behind, with one text each or with several one after the other."""

    patches: Tensor
    """[batch, patches, values] the normalised mel"""
    posterior: Gaussian
    text: Tensor
    """[texts * batch, patches, width]"""
    prior: Gaussian
    """Of the clips with each text, as the hidden states and what is remembered"""
    hidden: Tensor
    """[texts * batch, patches, width] of the prior, with true history"""
    remembered: Remembered


def with_true_history(model: Xtts, batch: Batch, *others: Batch) -> TrueHistory:
    """One pass in which every place sees the posterior means of the real patches before it.

    `others` hold the same clips as `batch` with other texts; the clips pass once more with those of each.
    """
    patches = to_patches(batch.mel, model.frames_per_patch)
    voice = model.voice(batch.reference, batch.reference_count)
    posterior = model.posterior(patches)
    texts = [model.text_at_patches(one) for one in (batch, *others)]
    text = torch.cat(texts)
    latents, voices = (given.repeat(len(texts), 1, 1) for given in (posterior.mean, voice))
    return TrueHistory(patches, posterior, text, *_prior(model, latents, text, voices))


def _prior(model: Xtts, latents: Tensor, text: Tensor, voice: Tensor) -> tuple[Gaussian, Tensor, Remembered]:
    kept = torch.ones(latents.shape[:2], dtype=torch.bool, device=latents.device)
    hidden, prior, remembered = model.prior(latents, kept, text, voice)
    return prior, hidden, remembered


def run_freely(model: Xtts, history: TrueHistory, every: int = HORIZONS) -> Tensor:
    """Patches [texts * batch, patches, values] predicted on the prior's own means, from truth again at every `every`-th
    patch.

    The patch at place t has been predicted (t mod every) + 1 patches ahead. With `every` at least the number of
    patches, whole clips run freely from their voice prompt and text alone.
    """
    return _continued(model, history.text, history.prior.mean, history.hidden, history.remembered, every)


def run_whole(model: Xtts, batch: Batch, lengths: Sequence[int] | None = None) -> Tensor:
    """Whole clips [batch, patches, values] from voice prompt and text alone, without a pass over what was recorded.

    Where the `lengths` of the clips in patches are given, longest first, a clip stops at its own: zeros come after it.
    """
    text, voice = model.text_at_patches(batch), model.voice(batch.reference, batch.reference_count)
    # The first patch has no history: its content does not matter.
    nothing = text.new_zeros(len(text), 1, model.latent)
    prior, hidden, remembered = _prior(model, nothing, text[:, :1], voice)
    steps = text.shape[1]
    running = None if lengths is None else [sum(length > step for length in lengths) for step in range(steps)]
    return _continued(model, text, prior.mean, hidden, remembered, steps, running)


def _continued(
    model: Xtts,
    text: Tensor,
    means: Tensor,
    hidden: Tensor,
    remembered: Remembered,
    every: int,
    running: Sequence[int] | None = None,
) -> Tensor:
    """Continuations from every `every`-th place of text [batch, patches, width]; means, hidden and what is remembered
    are of a pass with true history, which has taken the first step of each. Of each step, `running` of the first clips
    take part; None: all."""
    patches, voice_latents, device = text.shape[1], model.prior.voice_latents, text.device
    every = min(every, patches)
    starts = torch.arange(0, patches, every, device=device)
    here = starts + torch.arange(every, device=device)[:, None]
    texts = text[:, here.clamp(max=patches - 1)].unbind(1)
    cosine, sine = rotary_table(here + voice_latents, model.prior.head_width)
    seen, places = None, voice_latents
    if len(starts) > 1:
        places += (patches - 1) // every * every  # the last start, without asking the device for it
        # At its first step a start sees the true latents before it; the keys of places before it hold them.
        truth = torch.arange(places, device=device) < starts[:, None] + voice_latents
        own = torch.eye(len(starts), dtype=torch.bool, device=device).repeat(1, every)
        seen = torch.zeros(len(starts), places + own.shape[1], device=device)
        seen.masked_fill_(~torch.cat([truth, own], dim=1), -math.inf)
    rollouts = model.prior.begin(remembered, places, starts + voice_latents, every)
    before, hiddens = means[:, starts], [hidden[:, starts]]
    latents = [before]
    for taken in range(1, every):
        here_text = texts[taken]
        if running is not None:
            before, here_text = before[: running[taken]], here_text[: running[taken]]
        state, before = model.prior.step(rollouts, before, here_text, (cosine[taken], sine[taken]), seen)
        hiddens.append(state)
        latents.append(before)
    # All at once: nothing decoded is fed back.
    if running is None:
        predicted: Tensor = model.decoder(torch.stack(latents, dim=2), torch.stack(hiddens, dim=2))
    else:
        decoded = model.decoder(torch.cat(latents), torch.cat(hiddens))
        by_step = decoded.new_zeros(every, len(text), *decoded.shape[1:])
        by_step[torch.arange(len(text)) < torch.tensor(running)[:, None]] = decoded
        predicted = by_step.permute(1, 2, 0, 3)
    return predicted.flatten(1, 2)[:, :patches]
