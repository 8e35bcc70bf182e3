"""The whole model: raw losses in training, errors on its own predictions in evaluation, mel from text in synthesis."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xtts.model.codec import Decoder, Posterior, to_patches
from xtts.model.gaussian import kl_divergence
from xtts.model.model_config import PLACE_FEATURES, ModelConfig
from xtts.model.prior import Prior
from xtts.model.text_encoder import TextEncoder
from xtts.model.voice import VoicePrompt


@dataclass(frozen=True)
class Batch:
    """Padded clips. A patch is 4 mel frames; a step is half a patch."""

    tokens: Tensor
    """[batch, tokens] int64"""
    token_count: Tensor
    """[batch] int64"""
    step_token: Tensor
    """[batch, 2 * patches] int64: the token at each step"""
    step_place: Tensor
    """[batch, 2 * patches, 3]"""
    mel: Tensor
    """[batch, 4 * patches, mels], normalised; padding is zero"""
    frame_count: Tensor
    """[batch] int64: real mel frames"""
    reference: Tensor
    """[batch, reference patches, 4 * mels], normalised: another clip of the same speaker"""
    reference_count: Tensor
    """[batch] int64: real patches of it, 0 where the speaker has no other clip"""

    def to(self, device: torch.device, dtype: torch.dtype) -> Batch:
        """The same batch on a device, real numbers as `dtype`; copies do not block where memory is pinned."""
        return Batch(
            **{
                name: value.to(device, dtype if value.is_floating_point() else value.dtype, non_blocking=True)
                for name, value in vars(self).items()
            }
        )

    def halves(self) -> list[Batch]:
        """The batch as two of half its clips, padded as before; one clip stays one batch."""
        middle = (len(self.tokens) + 1) // 2
        parts = [slice(0, middle), slice(middle, None)] if len(self.tokens) > 1 else [slice(None)]
        return [Batch(**{name: value[part] for name, value in vars(self).items()}) for part in parts]


@dataclass(frozen=True)
class Noise:
    """What is random in one training step, drawn outside the model so that every trial can be given the same."""

    posterior: Tensor
    """[batch, patches, latent] standard normal"""
    history_kept: Tensor
    """[batch, patches] bool: False where a patch does not see the latent before it"""


class Xtts(nn.Module):
    """Posterior, prior, decoder, text encoder and voice prompt."""

    def __init__(self, shape: ModelConfig, symbols: int, mels: int, frames_per_patch: int) -> None:
        super().__init__()
        values = mels * frames_per_patch
        self.frames_per_patch = frames_per_patch
        self.mels = mels
        self.latent = shape.latent
        self.text = TextEncoder(symbols, shape)
        self.aligned = nn.Linear(2 * (shape.width + PLACE_FEATURES), shape.width)
        self.voice = VoicePrompt(values, shape)
        self.posterior = Posterior(values, shape)
        self.prior = Prior(shape)
        self.decoder = Decoder(values, shape)

    def text_at_patches(self, batch: Batch) -> Tensor:
        """The states of the tokens at both steps of each patch, with their places: [batch, patches, width]."""
        states = self.text(batch.tokens, batch.token_count)
        clip = torch.arange(len(states), device=states.device)[:, None] * states.shape[1]
        # Whole rows at once: a gather would read value by value, and its gradient has no fixed order on a GPU.
        at_steps = F.embedding(batch.step_token + clip, states.flatten(0, 1))
        steps = torch.cat([at_steps, batch.step_place.to(states)], dim=-1)
        out: Tensor = self.aligned(to_patches(steps, 2))
        return out

    def losses(self, batch: Batch, noise: Noise) -> dict[str, Tensor]:
        """Raw terms, each a scalar per valid mel value: `mel` (L1) and `kl` (nats)."""
        patches = to_patches(batch.mel, self.frames_per_patch)
        q = self.posterior(patches)
        latents = q.at(noise.posterior)
        hidden, p, _ = self.prior(
            latents, noise.history_kept, self.text_at_patches(batch), self.voice(batch.reference, batch.reference_count)
        )
        error = (self.decoder(latents, hidden) - patches).abs()
        frame_real, patch_real = valid_masks(batch, self.frames_per_patch)
        values = frame_real.sum() * self.mels
        by_frame = error.unflatten(-1, (self.frames_per_patch, self.mels)).sum(-1)
        return {
            "mel": (by_frame * frame_real.unflatten(1, (-1, self.frames_per_patch))).sum() / values,
            "kl": (kl_divergence(q, p) * patch_real).sum() / values,
        }


def valid_masks(batch: Batch, frames_per_patch: int) -> tuple[Tensor, Tensor]:
    """Which frames [batch, frames] and which patches [batch, patches] are real; a patch with one real frame is."""
    frame_real = torch.arange(batch.mel.shape[1], device=batch.mel.device) < batch.frame_count[:, None]
    return frame_real, frame_real.unflatten(1, (-1, frames_per_patch)).any(dim=-1)
