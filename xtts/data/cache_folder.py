"""Where features, alignments and demo speech are kept between runs."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """$XTTS_SWEEP_CACHE, else $XDG_CACHE_HOME/xtts-sweep, else ~/.cache/xtts-sweep: all in it can be made again."""
    own = os.environ.get("XTTS_SWEEP_CACHE")
    if own:
        return Path(own).expanduser().absolute()
    shared = os.environ.get("XDG_CACHE_HOME")
    base = Path(shared).expanduser() if shared else Path.home() / ".cache"
    return base.absolute() / "xtts-sweep"
