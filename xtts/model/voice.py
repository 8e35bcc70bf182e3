"""The voice prompt: a Perceiver resampler over another clip of the same speaker, as in XTTS."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xtts.model.model_config import ModelConfig


class VoicePrompt(nn.Module):
    """Reference patches [batch, patches, values] -> a fixed number of voice latents [batch, latents, width]."""

    def __init__(self, values: int, shape: ModelConfig) -> None:
        super().__init__()
        self.heads = shape.heads
        self.queries = nn.Parameter(nn.init.normal_(torch.empty(shape.voice_latents, shape.width), std=0.02))
        self.patch = nn.Linear(values, shape.width)
        self.norm = nn.LayerNorm(shape.width)
        self.query = nn.Linear(shape.width, shape.width)
        self.key_value = nn.Linear(shape.width, 2 * shape.width)
        self.out = nn.Linear(shape.width, shape.width)
        self.feed_norm = nn.LayerNorm(shape.width)
        self.feed_in = nn.Linear(shape.width, 2 * shape.width)
        self.feed_out = nn.Linear(2 * shape.width, shape.width)

    def forward(self, reference: Tensor, reference_count: Tensor) -> Tensor:
        """Where a speaker has no other clip (count 0) the latents are the same for every such clip."""
        batch, patches, _ = reference.shape
        real = torch.arange(patches, device=reference.device) < reference_count[:, None]
        # A place that is always there, so that an empty reference has something to look at.
        prompt = F.pad(self.norm(F.gelu(self.patch(reference))), (0, 0, 1, 0))
        mask = F.pad(real, (1, 0), value=True)[:, None, None, :]
        key, value = self._heads(self.key_value(prompt)).chunk(2, dim=-1)
        queries = self.queries.expand(batch, -1, -1)
        query = self._heads(self.query(queries))
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        latents = queries + self.out(mixed.transpose(1, 2).flatten(2))
        fed = self.feed_out(F.gelu(self.feed_in(self.feed_norm(latents))))
        out: Tensor = latents + fed
        return out

    def _heads(self, states: Tensor) -> Tensor:
        """[batch, places, width] -> [batch, heads, places, width / heads]."""
        out: Tensor = states.unflatten(2, (self.heads, -1)).transpose(1, 2)
        return out
