"""Failures that are not the trial's own: disk, memory, data or cache, node, storage. A resume tries them again."""

from __future__ import annotations

import errno
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

ENVIRONMENT_ERRNOS = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EIO,
        errno.ESTALE,
        errno.ENOMEM,
        errno.ENOENT,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENODEV,
        errno.ENXIO,
        errno.ETIMEDOUT,
        errno.ENOTCONN,
    }
)
ENVIRONMENT_WORDS = re.compile(
    "No space left on device|Disk quota exceeded|Read-only file system|Input/output error|Stale file handle"
    "|MemoryError|memory ran out|out of memory|can(no|')t allocate memory|its node died"
    "|FileNotFoundError|No such file or directory|is gone|ConnectionError|cannot be kept there or fetched",
    re.IGNORECASE,
)
"""How programs say it, whose errors are text, libraries without a type for it, and runs of version 0.1.0"""


class EnvironmentFailureError(Exception):
    """What a worker raises in place of an error that is not the trial's own; its message names that error."""


@contextmanager
def environment_failures() -> Iterator[None]:
    """Mark errors that are not the trial's own, by their type, for the process that records the failure."""
    try:
        yield
    except EnvironmentFailureError:
        raise
    except Exception as error:
        if is_environment_failure(error):
            raise EnvironmentFailureError(f"{type(error).__name__}: {' '.join(str(error).split())}") from error
        raise


def is_environment_failure(error: BaseException) -> bool:
    """Whether an error, or one that it was raised from, comes from disk, memory, data, network or node."""
    torch = sys.modules.get("torch")
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, (MemoryError, ConnectionError, TimeoutError, FileNotFoundError)):
            return True
        if isinstance(cause, OSError) and cause.errno in ENVIRONMENT_ERRNOS:
            return True
        if torch is not None and isinstance(cause, torch.OutOfMemoryError):
            return True
        if isinstance(cause, EnvironmentFailureError) or ENVIRONMENT_WORDS.search(str(cause)):
            return True
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return False
