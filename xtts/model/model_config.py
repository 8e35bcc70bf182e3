"""The sizes a model comes in."""

from __future__ import annotations

from dataclasses import dataclass

from xtts.errors import SpeechError

PLACE_FEATURES = 3
"""A step's place in its token: share of it that has passed, log of its length, steps left."""
TEXT_REACH = 3
"""Tokens seen directly on each side, before any attention has been learned."""


@dataclass(frozen=True)
class ModelConfig:
    """Widths and depths of one model."""

    width: int
    layers: int
    heads: int
    text_layers: int
    latent: int
    codec_width: int
    """Of the hidden layers that turn a mel patch into a latent and back."""
    voice_latents: int


PRESETS = {
    "tiny": ModelConfig(width=128, layers=2, heads=4, text_layers=1, latent=32, codec_width=256, voice_latents=4),
    "small": ModelConfig(width=384, layers=5, heads=6, text_layers=2, latent=48, codec_width=768, voice_latents=8),
    "base": ModelConfig(width=576, layers=10, heads=9, text_layers=3, latent=64, codec_width=1152, voice_latents=16),
    "xtts": ModelConfig(width=1024, layers=30, heads=16, text_layers=6, latent=64, codec_width=2048, voice_latents=32),
}
"""`tiny` learns on a CPU, `xtts` has the width, depth and heads of XTTS v2's GPT."""

DEFAULT_MODEL = "tiny"


def model_config(name: str) -> ModelConfig:
    """The preset of that name; SpeechError where there is none."""
    if name not in PRESETS:
        raise SpeechError(f"model {name!r}: expected one of {', '.join(PRESETS)}")
    return PRESETS[name]
