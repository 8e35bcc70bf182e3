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
    return _in_home() or _in_temporary_folder() / ".cache" / "xtts-sweep"


def use_writable_home() -> None:
    """Where there is no home folder that can be written, let HOME be a folder in the temporary one.

    numba, Ray and W&B keep files of theirs there, and fail where they cannot.
    """
    if _in_home() is None:
        folder = _in_temporary_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.environ["HOME"] = str(folder)


@cache
def _in_home() -> Path | None:
    try:
        home = Path.home()
    except RuntimeError:  # no HOME, and a user without an entry in the list of users
        return None
    if not home.is_dir():  # a home folder is not made for a cache
        return None
    base = home / ".cache"
    existing = next(folder for folder in (base / "xtts-sweep", base, home) if folder.exists())
    return base / "xtts-sweep" if os.access(existing, os.W_OK | os.X_OK) else None


@cache
def _in_temporary_folder() -> Path:
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"xtts-sweep-home-{user}"
    if folder.is_symlink() or (folder.exists() and folder.stat().st_uid != user):  # another user's
        return Path(tempfile.mkdtemp(prefix="xtts-sweep-home-"))
    return folder


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # ~ without a home folder
        return Path(path)
