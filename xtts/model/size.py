"""How many parameters a model has, without building it."""

from __future__ import annotations

from xtts.model.model_config import PLACE_FEATURES, TEXT_REACH, ModelConfig


def parameter_count(shape: ModelConfig, symbols: int, values: int) -> int:
    """Of all parts, in the order of their modules; `values` are of a mel patch."""
    width, codec, latent = shape.width, shape.codec_width, shape.latent
    half = width // 2
    block = (
        2 * _norm(width)
        + _linear(width, 3 * width)
        + _linear(width, width)
        + _linear(width, 4 * width)
        + _linear(4 * width, width)
    )
    text = (
        symbols * half
        + _linear((2 * TEXT_REACH + 1) * half, width)
        + shape.text_layers * block
        + _norm(width)
        + _linear(2 * (width + PLACE_FEATURES), width)
    )
    voice = (
        shape.voice_latents * width
        + _linear(values, width)
        + 2 * _norm(width)
        + 2 * _linear(width, width)
        + 2 * _linear(width, 2 * width)
        + _linear(2 * width, width)
    )
    posterior = _linear(values, codec) + _linear(codec, codec) + _norm(codec) + _linear(codec, 2 * latent)
    prior = _linear(latent, width) + width + shape.layers * block + _norm(width) + _linear(width, 2 * latent)
    decoder = (
        _linear(latent, codec) + _linear(width, codec) + _linear(codec, codec) + _norm(codec) + _linear(codec, values)
    )
    return text + voice + posterior + prior + decoder


def _linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def _norm(width: int) -> int:
    return 2 * width
