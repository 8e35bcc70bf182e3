"""Text to states: each token in the light of its neighbours and of the whole sentence."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xtts.alignment.network import with_neighbours
from xtts.model.attention import Block, rotary_table
from xtts.model.model_config import TEXT_REACH, ModelConfig


class TextEncoder(nn.Module):
    """Tokens [batch, tokens] with counts [batch] -> states [batch, tokens, width]."""

    def __init__(self, symbols: int, shape: ModelConfig) -> None:
        super().__init__()
        self.head_width = shape.width // shape.heads
        self.embed = nn.Embedding(symbols, shape.width // 2)
        self.spell = nn.Linear((2 * TEXT_REACH + 1) * (shape.width // 2), shape.width)
        self.blocks = nn.ModuleList(Block(shape.width, shape.heads) for _ in range(shape.text_layers))
        self.norm = nn.LayerNorm(shape.width)

    def forward(self, tokens: Tensor, token_count: Tensor) -> Tensor:
        """Padding beyond a text's count changes nothing."""
        places = torch.arange(tokens.shape[1], device=tokens.device)
        real = places < token_count[:, None]  # [batch, tokens]
        states = self.spell(with_neighbours(self.embed(tokens) * real[..., None], TEXT_REACH))
        states = F.gelu(states)
        table = rotary_table(places, self.head_width)
        for block in self.blocks:
            states, _, _ = block(states, table, mask=real[:, None, None, :])
        out: Tensor = self.norm(states)
        return out
