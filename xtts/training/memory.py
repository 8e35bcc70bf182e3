"""How much GPU memory a trial needs, estimated before anything is allocated, and the batch budget that fits.

The estimate is an upper bound: activations count as float32, although autocast keeps many of them in bfloat16, and
attention as the version that keeps its weights. It has been checked against the CPU's allocator, not against a GPU's.
"""

from __future__ import annotations

from xtts.audio.mel import MELS, PATCH_FRAMES
from xtts.errors import SpeechError
from xtts.model.model_config import model_config
from xtts.model.size import parameter_count

ACTIVATION_BYTES = {"tiny": 11_741, "small": 58_279, "base": 156_590, "xtts": 814_415}
"""What a training step keeps for its backward pass, per padded mel frame of a clip of 5.8 s; a test measures it"""
_PARAMETER_COPIES = 7
"""Parameters, two moments, the average, the vector of gradients, the gradients it is made from, those before"""
_BACKWARD_SHARE = 1.2  # gradients of activations, which are freed as the pass proceeds
_CONTEXT_BYTES = 1 << 30  # CUDA's context, cuBLAS's workspace, fragments, evaluation batches
USABLE_SHARE = 0.95
_FEWEST_FRAMES = 200
_USUAL_SYMBOLS = 100


def peak_bytes(model: str, frames: int) -> int:
    """Most GPU memory that training a preset takes with so many padded frames a batch."""
    return _fixed_bytes(model) + int(_bytes_per_frame(model) * frames)


def fitting_budget(wanted: int, model: str, free_bytes: int) -> int:
    """Padded frames a batch: `wanted`, halved until the estimate fits into the free memory.

    Halved rather than cut to size, so that cards and moments with nearly the same free memory give the same batches.
    SpeechError where not even a small batch fits.
    """
    frames = wanted
    while peak_bytes(model, frames) > USABLE_SHARE * free_bytes:
        frames //= 2
        if frames < min(_FEWEST_FRAMES, wanted):
            needed = peak_bytes(model, _FEWEST_FRAMES) / 1e9
            raise SpeechError(
                f"model {model}: needs about {needed:.1f} GB of GPU memory, {free_bytes / 1e9:.1f} GB are free for this"
                " trial; choose a smaller --model or a larger --gpus-per-trial"
            )
    return frames


def _fixed_bytes(model: str) -> int:
    parameters = parameter_count(model_config(model), _USUAL_SYMBOLS, MELS * PATCH_FRAMES)
    return 4 * _PARAMETER_COPIES * parameters + _CONTEXT_BYTES


def _bytes_per_frame(model: str) -> float:
    return _BACKWARD_SHARE * ACTIVATION_BYTES.get(model, max(ACTIVATION_BYTES.values()))
