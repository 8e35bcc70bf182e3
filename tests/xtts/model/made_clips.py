"""Batches of made-up clips for a model of few parameters, alone or padded together, the padding filled with rubbish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from xtts.model.model_config import ModelConfig
from xtts.model.xtts import PLACE_FEATURES, Batch, Noise, Xtts

SHAPE = ModelConfig(width=16, layers=2, heads=2, text_layers=2, latent=3, codec_width=24, voice_latents=2)
SYMBOLS, MELS, PATCH = 7, 5, 4


def made_model(dtype: torch.dtype = torch.float64, seed: int = 0) -> Xtts:
    """A small model whose every parameter, those that begin at zero too, matters."""
    torch.manual_seed(seed)
    model = Xtts(SHAPE, SYMBOLS, MELS, PATCH).to(dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def made_clip(frames: int, tokens: int, reference: int, seed: int, dtype: torch.dtype = torch.float64) -> Batch:
    """One clip of so many mel frames and tokens, prompted by so many reference patches."""
    draw = torch.Generator().manual_seed(seed)
    patches = -(-frames // PATCH)
    mel = torch.zeros(1, patches * PATCH, MELS, dtype=dtype)
    mel[:, :frames] = torch.randn(1, frames, MELS, generator=draw, dtype=dtype)
    return Batch(
        tokens=torch.randint(0, SYMBOLS, (1, tokens), generator=draw),
        token_count=torch.tensor([tokens]),
        step_token=torch.randint(0, tokens, (1, 2 * patches), generator=draw).sort(1).values,
        step_place=torch.randn(1, 2 * patches, PLACE_FEATURES, generator=draw, dtype=dtype),
        mel=mel,
        frame_count=torch.tensor([frames]),
        reference=torch.randn(1, max(1, reference), MELS * PATCH, generator=draw, dtype=dtype),
        reference_count=torch.tensor([reference]),
    )


def made_noise(clip: Batch, seed: int, kept: float = 0.7) -> Noise:
    """What is random in a step on one clip."""
    draw = torch.Generator().manual_seed(1000 + seed)
    patches = clip.mel.shape[1] // PATCH
    normal = torch.randn(1, patches, SHAPE.latent, generator=draw, dtype=clip.mel.dtype)
    return Noise(normal, torch.rand(1, patches, generator=draw) < kept)


def stacked(tensors: Sequence[torch.Tensor], rubbish: float) -> torch.Tensor:
    """[1, length, ...] tensors under one another, filled up with rubbish behind the shorter ones."""
    longest = max(tensor.shape[1] for tensor in tensors)
    out = tensors[0].new_full((len(tensors), longest, *tensors[0].shape[2:]), rubbish)
    for row, tensor in enumerate(tensors):
        out[row, : tensor.shape[1]] = tensor[0]
    return out


def together(clips: Sequence[Batch], rubbish: int = 0) -> Batch:
    """The clips as one batch."""
    return Batch(
        tokens=stacked([clip.tokens for clip in clips], rubbish % SYMBOLS),
        token_count=torch.cat([clip.token_count for clip in clips]),
        step_token=stacked([clip.step_token for clip in clips], 0),
        step_place=stacked([clip.step_place for clip in clips], rubbish),
        mel=stacked([clip.mel for clip in clips], rubbish),
        frame_count=torch.cat([clip.frame_count for clip in clips]),
        reference=stacked([clip.reference for clip in clips], rubbish),
        reference_count=torch.cat([clip.reference_count for clip in clips]),
    )


def noise_together(noises: Sequence[Noise], rubbish: float = 0.0) -> Noise:
    """The clips' noise as one batch's."""
    return Noise(stacked([one.posterior for one in noises], rubbish), stacked([one.history_kept for one in noises], 1))


def with_mel_changed(clip: Batch, patch: int) -> Batch:
    """The same clip with other sound in one patch."""
    mel = clip.mel.clone()
    mel[:, patch * PATCH : (patch + 1) * PATCH] += 1.0
    return replace(clip, mel=mel)


def with_steps_changed(clip: Batch, patch: int) -> Batch:
    """The same clip with other tokens and places from one patch on; the text itself stays."""
    token, place = clip.step_token.clone(), clip.step_place.clone()
    token[:, 2 * patch :] = (token[:, 2 * patch :] + 1) % int(clip.token_count)
    place[:, 2 * patch :] += 1.0
    return replace(clip, step_token=token, step_place=place)
