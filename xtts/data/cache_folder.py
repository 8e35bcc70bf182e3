"""Where features, alignments and demo speech are kept between runs."""

import os
import tempfile
from functools import cache
from pathlib import Path


def cache_folder() -> Path:
    """$XTTS_SWEEP_CACHE, else $XDG_CACHE_HOME/xtts-sweep, else ~/.cache/xtts-sweep: all in it can be made again.

    Without a home folder that can be written it is a folder of this user in the temporary folder.
    """
    own = os.environ.get("XTTS_SWEEP_CACHE")
    if own:
        return _expanded(own).absolute()
    shared = os.environ.get("XDG_CACHE_HOME")
    if shared:
        return _expanded(shared).absolute() / "xtts-sweep"
    return _in_home() or Path(tempfile.gettempdir()) / f"xtts-sweep-cache-{_user()}"


def use_writable_numba_cache() -> None:
    """Let numba keep compiled code in the cache folder where it finds no place by itself, which it treats as an error.

    It tries the program's own folder and then the home folder.
    """
    if not os.environ.get("NUMBA_CACHE_DIR") and _in_home() is None:
        os.environ["NUMBA_CACHE_DIR"] = str(cache_folder() / "numba")


@cache
def _in_home() -> Path | None:
    try:
        base = Path.home() / ".cache"
    except RuntimeError:  # no HOME, and a user without an entry in the list of users
        return None
    existing = next(folder for folder in (base, *base.parents) if folder.exists())
    return base / "xtts-sweep" if os.access(existing, os.W_OK | os.X_OK) else None


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else "user"


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # ~ without a home folder
        return Path(path)
