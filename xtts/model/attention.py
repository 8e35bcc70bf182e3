"""Attention with rotary places, as transformer blocks, with a cache of keys and values for running freely."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def rotary_table(places: Tensor, head_width: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines [..., head_width / 2] of rotary position embedding (Su et al. 2021) for places [...]."""
    exponents = torch.arange(0, head_width, 2, device=places.device, dtype=torch.float32) / head_width
    angles = places[..., None].float() * torch.pow(torch.tensor(10_000.0, device=places.device), -exponents)
    return angles.cos(), angles.sin()


def rotate(states: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    """Turn each pair of halves of states [..., places, head_width] by its place."""
    cosine, sine = table[0].to(states), table[1].to(states)
    first, second = states.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], dim=-1)


@dataclass
class Rollout:
    """Keys and values of one layer while several continuations of each clip run at once, one step after the other.

    All continuations of a clip see the same true history; each then sees only its own steps.
    """

    history_keys: Tensor
    """[batch, heads, places, head_width]"""
    history_values: Tensor
    own_keys: Tensor
    """[batch, heads, starts, longest, head_width], filled step by step."""
    own_values: Tensor


class SelfAttention(nn.Module):
    """Multi-head self-attention over [batch, places, width]."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.into = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def _project(self, states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[batch, places, width] -> three of [batch, heads, places, head_width]."""
        batch, places, width = states.shape
        into = self.into(states).view(batch, places, 3, self.heads, width // self.heads)
        query, key, value = into.permute(2, 0, 3, 1, 4).unbind(0)
        return query, key, value

    def forward(
        self, states: Tensor, table: tuple[Tensor, Tensor], mask: Tensor | None, causal: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """States [batch, places, width] -> the same shape, with the rotated keys and the values for a rollout.

        mask [batch, 1, 1, places] is True where a place may be looked at.
        """
        query, key, value = self._project(states)
        query, key = rotate(query, table), rotate(key, table)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)
        return self.out(mixed.transpose(1, 2).flatten(2)), key, value

    def step(self, states: Tensor, table: tuple[Tensor, Tensor], rollout: Rollout, seen: Tensor, taken: int) -> Tensor:
        """One more step of every continuation: states [batch, starts, width] -> the same shape.

        seen [starts, places] says how much of the true history each start may look at; `taken` own steps came before.
        """
        query, key, value = self._project(states)
        query, key = rotate(query, table), rotate(key, table)
        rollout.own_keys[:, :, :, taken] = key
        rollout.own_values[:, :, :, taken] = value
        own_keys = rollout.own_keys[:, :, :, : taken + 1]
        own_values = rollout.own_values[:, :, :, : taken + 1]
        history = (query @ rollout.history_keys.transpose(2, 3)).masked_fill(~seen, -math.inf)
        own = (query[:, :, :, None] * own_keys).sum(-1)
        weights = (torch.cat([history, own], dim=-1) / math.sqrt(query.shape[-1])).float().softmax(-1).to(query)
        places = history.shape[-1]
        mixed = weights[..., :places] @ rollout.history_values + (weights[..., places:, None] * own_values).sum(-2)
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out


class Block(nn.Module):
    """Pre-norm transformer block: attention, then a feed-forward of four times the width."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.before_attention = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        self.before_feed = nn.LayerNorm(width)
        self.feed_in = nn.Linear(width, 4 * width)
        self.feed_out = nn.Linear(4 * width, width)

    def _feed(self, states: Tensor) -> Tensor:
        fed: Tensor = self.feed_out(F.gelu(self.feed_in(self.before_feed(states)), approximate="tanh"))
        return states + fed

    def forward(
        self, states: Tensor, table: tuple[Tensor, Tensor], mask: Tensor | None = None, causal: bool = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        """States [batch, places, width] -> states, keys, values."""
        mixed, keys, values = self.attention(self.before_attention(states), table, mask, causal)
        return self._feed(states + mixed), keys, values

    def step(self, states: Tensor, table: tuple[Tensor, Tensor], rollout: Rollout, seen: Tensor, taken: int) -> Tensor:
        """One step of a rollout: states [batch, starts, width] -> the same shape."""
        mixed = self.attention.step(self.before_attention(states), table, rollout, seen, taken)
        return self._feed(states + mixed)
