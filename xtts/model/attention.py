"""Attention with rotary places, as transformer blocks, with a cache of keys and values for running freely."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def rotary_table(places: Tensor, head_width: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines [..., head_width / 2] of rotary position embedding (Su et al. 2021) for places [...]."""
    exponents = torch.arange(0, head_width, 2, device=places.device, dtype=torch.float32) / head_width
    angles = places[..., None].float() * torch.pow(10_000.0, -exponents)
    return angles.cos(), angles.sin()


def rotate(states: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    """Turn each pair of halves of states [..., places, head_width] by its place."""
    cosine, sine = table[0].to(states), table[1].to(states)
    first, second = states.chunk(2, dim=-1)
    turned = (torch.addcmul(first * cosine, second, sine, value=-1.0), torch.addcmul(first * sine, second, cosine))
    return torch.cat(turned, dim=-1)


@dataclass
class Rollout:
    """Keys and values of one layer while several continuations of each clip run at once, one step after the other.

    The true history of a clip comes first, the same for all its continuations; then, step by step, what each adds.
    """

    keys: Tensor
    """[batch, heads, places + longest * starts, head_width], filled up to `taken`."""
    values: Tensor
    taken: int
    """Places that are filled."""

    def add(self, keys: Tensor, values: Tensor) -> None:
        """One more step of the first clips: keys and values [running, heads, starts, head_width]."""
        running, after = len(keys), self.taken + keys.shape[2]
        self.keys[:running, :, self.taken : after] = keys
        self.values[:running, :, self.taken : after] = values
        self.taken = after

    def of(self, running: int) -> tuple[Tensor, Tensor]:
        """All keys and values so far of the first `running` clips."""
        return self.keys[:running, :, : self.taken], self.values[:running, :, : self.taken]


class SelfAttention(nn.Module):
    """Multi-head self-attention over [batch, places, width]."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.into = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def _project(self, states: Tensor, table: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """[batch, places, width] -> rotated queries and keys, and values, each [batch, heads, places, head_width]."""
        batch, places, width = states.shape
        into = self.into(states).view(batch, places, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        query, key = rotate(into[:2], table).unbind(0)
        return query, key, into[2]

    def forward(
        self, states: Tensor, table: tuple[Tensor, Tensor], mask: Tensor | None, causal: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """States [batch, places, width] -> the same shape, with the rotated keys and the values for a rollout.

        mask [batch, 1, 1, places] is True where a place may be looked at.
        """
        query, key, value = self._project(states, table)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)
        return self.out(mixed.transpose(1, 2).flatten(2)), key, value

    def step(self, states: Tensor, table: tuple[Tensor, Tensor], rollout: Rollout, seen: Tensor | None) -> Tensor:
        """One more step of every continuation: states [running, starts, width] -> the same shape.

        Clips that are done come last in the batch, and are left out here.
        seen [starts, places + longest * starts] is 0 where a start may look and -inf elsewhere; None: everywhere.
        """
        query, key, value = self._project(states, table)
        rollout.add(key, value)
        keys, values = rollout.of(len(query))
        mask = None if seen is None else seen[:, : rollout.taken].to(query.dtype)
        mixed = F.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
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
        fed: Tensor = self.feed_out(F.gelu(self.feed_in(self.before_feed(states))))
        return states + fed

    def forward(
        self, states: Tensor, table: tuple[Tensor, Tensor], mask: Tensor | None = None, causal: bool = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        """States [batch, places, width] -> states, keys, values."""
        mixed, keys, values = self.attention(self.before_attention(states), table, mask, causal)
        return self._feed(states + mixed), keys, values

    def step(self, states: Tensor, table: tuple[Tensor, Tensor], rollout: Rollout, seen: Tensor | None) -> Tensor:
        """One step of a rollout: states [batch, starts, width] -> the same shape."""
        mixed = self.attention.step(self.before_attention(states), table, rollout, seen)
        return self._feed(states + mixed)
