"""What the sound of a token in its context is expected to be, and how well each step of a clip fits each token.

A step is two mel frames (23 ms), half a patch: at one token a patch, fast speech would have more tokens than places.
The score is a Gaussian likelihood, as in Glow-TTS (Kim et al. 2020) and neural HMM TTS (Mehta et al. 2022). A softmax
over the tokens of a text (RAD-TTS, Shih et al. 2021) was tried first: it preferred the right text to six wrong ones
of its length in 10 of 55 clips, this one in 49.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STEP_FRAMES = 2
_PRECISION = 0.1  # below 1, since the 160 values of a step are far from independent
_RATE_SD = 0.2  # of the share of the text spoken by a given share of the clip


def with_neighbours(states: Tensor, reach: int) -> Tensor:
    """Each place with its `reach` neighbours on both sides, zeros past the ends.

    [batch, places, width] -> [batch, places, (2 * reach + 1) * width].
    """
    places = states.shape[1]
    padded = F.pad(states, (0, 0, reach, reach))
    return torch.cat([padded[:, offset : offset + places] for offset in range(2 * reach + 1)], dim=-1)


class AlignerNetwork(nn.Module):
    """Expected mel of every token, and the log-score of every step against every token of its text."""

    def __init__(self, symbols: int, speakers: int, mels: int, width: int = 128, reach: int = 3) -> None:
        super().__init__()
        self.reach = reach  # tokens seen on each side: enough for "th", "tion", a silent e
        self.embed = nn.Embedding(symbols, width)
        self.speaker = nn.Embedding(speakers, 2 * width)
        self.mix = nn.Linear((2 * reach + 1) * width, 2 * width)
        self.mel = nn.Linear(2 * width, mels * STEP_FRAMES)

    def forward(
        self, tokens: Tensor, token_count: Tensor, steps: Tensor, step_count: Tensor, speaker: Tensor
    ) -> Tensor:
        """tokens [batch, tokens], steps [batch, steps, 2 * mels], counts and speaker [batch] -> [batch, steps, tokens].

        Log-scores up to a constant of each step, the speaking-rate prior included.
        """
        text_mask = torch.arange(tokens.shape[1], device=tokens.device) < token_count[:, None]
        text = self.embed(tokens) * text_mask[..., None]
        states = self.mix(with_neighbours(text, self.reach)) + self.speaker(speaker)[:, None]
        mean = self.mel(F.gelu(states))
        distance = (
            steps.square().sum(-1)[:, :, None]
            - 2.0 * torch.bmm(steps, mean.transpose(1, 2))
            + mean.square().sum(-1)[:, None, :]
        )
        fit: Tensor = -0.5 * _PRECISION * distance
        return fit + _rate_prior(tokens.shape[1], token_count, steps.shape[1], step_count)


def _rate_prior(tokens: int, token_count: Tensor, steps: int, step_count: Tensor) -> Tensor:
    """Speaking-rate prior [batch, steps, tokens]: a text is spoken at a roughly even pace from end to end."""
    device = token_count.device
    spoken = (torch.arange(tokens, device=device) + 0.5) / token_count[:, None]
    elapsed = (torch.arange(steps, device=device) + 0.5) / step_count[:, None]
    return -(elapsed[:, :, None] - spoken[:, None, :]).square() / (2.0 * _RATE_SD**2)
