"""The name under which the user started the program, for hints such as `xtts-sweep resume NAME`."""

from __future__ import annotations

import sys
from pathlib import Path

SCRIPT = "run_sweep.py"
INSTALLED = "xtts-sweep"


def program() -> str:
    """What starts the program again: the installed command where that was used, else the script."""
    return INSTALLED if Path(sys.argv[0]).stem == INSTALLED else f"python {SCRIPT}"


def command(words: str) -> str:
    """A command to copy, for instance `python run_sweep.py resume NAME`."""
    return f"{program()} {words}"
