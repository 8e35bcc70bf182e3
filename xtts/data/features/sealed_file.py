"""Named arrays and a JSON value in one file that is either whole or refused."""

import hashlib
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
_DIGEST_BYTES = 32
_VALUE = "__value__"


class DamagedFileError(Exception):
    """The file is missing, cut short or changed since it was sealed."""


def write_sealed(path: Path, value: object, arrays: Mapping[str, Array]) -> None:
    """Write atomically: readers see the old file or the new one; OSError if the disk refuses, and the old one stays."""
    body = io.BytesIO()
    encoded = np.frombuffer(json.dumps(value).encode(), dtype=np.uint8)
    np.savez(body, allow_pickle=False, **{_VALUE: encoded}, **arrays)
    content = body.getvalue()
    write_atomically(path, hashlib.sha256(content).digest() + content)


def read_sealed(path: Path) -> tuple[Any, dict[str, Array]]:
    """The value and arrays of a sealed file; DamagedFileError if it is not exactly what was written."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DamagedFileError(f"{path}: {error.strerror}") from error
    body = memoryview(content)[_DIGEST_BYTES:]
    if len(content) <= _DIGEST_BYTES or hashlib.sha256(body).digest() != content[:_DIGEST_BYTES]:
        raise DamagedFileError(f"{path}: checksum does not match")
    with np.load(io.BytesIO(body), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return json.loads(arrays.pop(_VALUE).tobytes()), arrays


def write_atomically(path: Path, content: bytes) -> None:
    """Write and sync a temporary neighbour, then rename it into place."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def pack_strings(strings: tuple[str, ...] | list[str]) -> Array:
    """Strings without NUL as one uint8 array; paths keep bytes that are not UTF-8."""
    return np.frombuffer("\0".join(strings).encode("utf-8", "surrogateescape"), dtype=np.uint8)


def unpack_strings(packed: Array, count: int) -> tuple[str, ...]:
    """The `count` strings that pack_strings joined."""
    return tuple(packed.tobytes().decode("utf-8", "surrogateescape").split("\0")) if count else ()
