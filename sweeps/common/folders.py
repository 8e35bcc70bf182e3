"""Folders on the disk: their size, a fingerprint of their files, and what stays of one when a trial ends."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path

LARGE_BYTES = 1_000_000
MOST_LISTED = 100_000


def bytes_in(folder: Path) -> int:
    """The size of all its files; files that vanish meanwhile count nothing."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file() and not path.is_symlink():
                total += path.stat().st_size
    return total


def prune(folder: Path, keep: Sequence[str]) -> None:
    """Remove large files that no glob of `keep` matches: checkpoints of a trial that has ended."""
    kept = {path.resolve() for pattern in keep for path in folder.glob(pattern)}
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file() and path.stat().st_size > LARGE_BYTES and path.resolve() not in kept:
                path.unlink()


def fingerprint(data: Path) -> str:
    """The same for the same names and sizes of files."""
    digest = hashlib.blake2b(digest_size=8)
    paths = sorted(data.rglob("*"))[:MOST_LISTED] if data.is_dir() else [data]
    for path in paths:
        with contextlib.suppress(OSError):
            if path.is_file():
                digest.update(f"{path.relative_to(data)} {path.stat().st_size}\n".encode())
    return digest.hexdigest()
