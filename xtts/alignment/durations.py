"""Duration predictor: frames of each token for new text; one small network, trained once per data set."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from xtts.alignment.network import with_neighbours

_REACH = 4


class DurationPredictor(nn.Module):
    """Tokens in their context and the speaker -> log(1 + steps) of each token; a step is two mel frames."""

    def __init__(self, symbols: int, speakers: int, width: int = 64) -> None:
        super().__init__()
        self.embed = nn.Embedding(symbols, width)
        self.speaker = nn.Embedding(speakers, 2 * width)
        self.mix = nn.Linear((2 * _REACH + 1) * width, 2 * width)
        self.out = nn.Linear(2 * width, 1)
        self.pace: Tensor
        self.register_buffer("pace", torch.ones(speakers))

    def forward(self, tokens: Tensor, token_count: Tensor, speaker: Tensor) -> Tensor:
        """tokens [batch, tokens], counts [batch], speaker [batch] -> [batch, tokens]."""
        real = torch.arange(tokens.shape[1], device=tokens.device) < token_count[:, None]
        text = self.embed(tokens) * real[..., None]
        states = F.gelu(self.mix(with_neighbours(text, _REACH)) + self.speaker(speaker)[:, None])
        out: Tensor = F.softplus(self.out(states)).squeeze(-1)
        return out

    @torch.no_grad()
    def step_tokens(self, tokens: NDArray[np.int32], speaker: int) -> NDArray[np.int32]:
        """The token at each step of the clip that this text would make: [2 * patches], never falling.

        Durations are scaled by the speaker's measured pace: the typical length of each token, summed up, is shorter
        than the typical sentence.
        """
        batch = torch.from_numpy(np.asarray(tokens, dtype=np.int64))[None]
        log_steps = self(batch, torch.tensor([len(tokens)]), torch.tensor([speaker]))[0]
        ends = torch.cumsum(torch.expm1(log_steps) * self.pace[speaker], dim=0).numpy()
        steps = max(2, 2 * round(float(ends[-1]) / 2))
        at = (np.arange(steps) + 0.5) * float(ends[-1]) / steps
        return np.minimum(np.searchsorted(ends, at), len(tokens) - 1).astype(np.int32)
