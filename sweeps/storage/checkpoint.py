"""A trainer's whole state in one safetensors file, exactly and without pickle.

Tensors and arrays are stored as they are; their places in the nested state, and every number and word, stand as JSON in
the file's metadata. Python's JSON keeps integers of any size and floats to the last bit.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from sweeps.common.atomic_file import replacing

LAST, BEST = "last.safetensors", "best.safetensors"  # in a trial's folder
BIT_TYPES = {1: "uint8", 2: "uint16", 4: "uint32", 8: "uint64"}


@dataclass(frozen=True)
class Checkpoint:
    """A trainer's state and what was known of the trial when it was saved."""

    state: dict[str, object]
    about: Mapping[str, object]


class UnreadableCheckpointError(Exception):
    """A file that is no checkpoint, or was damaged."""


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write the checkpoint whole or not at all; OSError and TypeError (something no checkpoint holds) pass through."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    layout = _encode(checkpoint.state, arrays, "state")
    metadata = {"layout": json.dumps(layout), "about": json.dumps(checkpoint.about)}
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with replacing(path) as temporary:
            save_file(arrays, temporary, metadata=metadata)
    except SafetensorError as error:
        raise OSError(f"{path}: {error}") from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint back as it was; FileNotFoundError, or UnreadableCheckpointError for anything else."""
    from safetensors import safe_open

    if not path.is_file():
        raise FileNotFoundError(path)
    try:
        with safe_open(path, framework="numpy") as opened:
            metadata = opened.metadata() or {}
            arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - no mapping
        state = _decode(json.loads(metadata["layout"]), arrays)
        about = json.loads(metadata["about"])
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, IndexError) as error:
        raise UnreadableCheckpointError(f"{path}: {error}") from error
    return Checkpoint(cast(dict[str, object], state), about)


def _encode(value: object, arrays: dict[str, np.ndarray[Any, Any]], where: str) -> object:
    if value is None or isinstance(value, (bool, str)) or type(value) in (int, float):
        return value
    if isinstance(value, Mapping):
        return {"dict": [[_key(key, where), _encode(entry, arrays, f"{where}.{key}")] for key, entry in value.items()]}
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_encode(entry, arrays, f"{where}[{index}]") for index, entry in enumerate(value)]}
    if isinstance(value, (np.ndarray, np.generic)):
        kind = "array" if isinstance(value, np.ndarray) else "scalar"
        return {kind: _store(np.asarray(value), arrays, where)}
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        tensor = value.detach().cpu().contiguous()
        dtype = str(tensor.dtype).removeprefix("torch.")
        if not hasattr(np, dtype):  # bfloat16 and float8: NumPy has none, so their bits are stored
            tensor = tensor.view(getattr(torch, BIT_TYPES[tensor.element_size()]))
        return {"tensor": _store(tensor.numpy(), arrays, where), "dtype": dtype}
    raise TypeError(f"{where} is a {type(value).__name__}; a checkpoint holds tensors, arrays, numbers, words and None")


def _store(array: np.ndarray[Any, Any], arrays: dict[str, np.ndarray[Any, Any]], where: str) -> str:
    if array.dtype.kind not in "biufc":
        raise TypeError(f"{where} is an array of {array.dtype}; a checkpoint holds numbers")
    name = str(len(arrays))
    arrays[name] = np.array(array, order="C", copy=True) if array.ndim == 0 else np.ascontiguousarray(array)
    return name


def _key(key: object, where: str) -> object:
    if key is None or isinstance(key, (bool, str)) or type(key) in (int, float):
        return key
    raise TypeError(f"{where} has the key {key!r}; a checkpoint's keys are words and numbers")


def _decode(layout: object, arrays: Mapping[str, np.ndarray[Any, Any]]) -> object:
    if not isinstance(layout, dict):
        return layout
    if "dict" in layout:
        return {key: _decode(entry, arrays) for key, entry in layout["dict"]}
    if "list" in layout:
        return [_decode(entry, arrays) for entry in layout["list"]]
    if "tuple" in layout:
        return tuple(_decode(entry, arrays) for entry in layout["tuple"])
    if "array" in layout:
        return arrays[layout["array"]]
    if "scalar" in layout:
        return arrays[layout["scalar"]][()]
    import torch

    tensor = torch.from_numpy(np.array(arrays[layout["tensor"]]))
    dtype = getattr(torch, layout["dtype"])
    return tensor if tensor.dtype == dtype else tensor.view(dtype)
