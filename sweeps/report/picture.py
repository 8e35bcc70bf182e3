"""A spectrogram as a PNG, without an imaging library."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

MOST_COLUMNS = 600
SIGNATURE = b"\x89PNG\r\n\x1a\n"
PALETTE = ("000004", "280b54", "65156e", "9f2a63", "d44842", "f57d15", "fac127", "fcffa4")
"""Eight anchors of matplotlib's `inferno` (CC0), evenly spaced."""


def png(picture: NDArray[np.float32]) -> bytes:
    """`picture` [time, bands], low bands first, drawn with time to the right and low bands at the bottom.

    Its 1st to 99th percentile fill the scale; what is not finite is drawn as the lowest. ValueError for a picture
    without values or that is not two-dimensional.
    """
    values = np.asarray(picture, dtype=np.float32)
    if values.ndim != 2 or not values.size:
        raise ValueError(f"a picture of shape {values.shape}: expected [time, bands]")
    step = -(-values.shape[0] // MOST_COLUMNS)
    values = values[::step]
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, [1, 99]) if finite.size else (0.0, 1.0)
    scaled = np.clip((np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) / max(high - low, 1e-9), 0, 1)
    rows = (255 * scaled).astype(np.uint8).T[::-1]
    height, width = rows.shape
    lines = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1)  # each line begins with filter type 0
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)  # eight bits of a palette
    return b"".join(
        (
            SIGNATURE,
            _chunk(b"IHDR", header),
            _chunk(b"PLTE", _palette()),
            _chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)),
            _chunk(b"IEND", b""),
        )
    )


def _palette() -> bytes:
    anchors = np.array([list(bytes.fromhex(colour)) for colour in PALETTE], dtype=np.float64)
    places = np.linspace(0, len(anchors) - 1, 256)
    channels = [np.interp(places, np.arange(len(anchors)), anchors[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=1).round().astype(np.uint8).tobytes()


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
