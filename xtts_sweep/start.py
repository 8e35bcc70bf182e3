"""The start of the program: opens standard streams that are closed, and names files that hide modules of Python."""

import os
import sys

from sweeps.common.shadowing import complaint, hiding_import


def console() -> int:
    """Run the command line; 2 where it failed because a folder in PYTHONPATH hides a module from it."""
    open_missing_streams()
    try:
        from xtts_sweep.main import console as run

        return run()
    except (ImportError, AttributeError):
        hiding = hiding_import()
        if hiding is None:
            raise
        print(f"{os.path.basename(sys.argv[0])}: {complaint(hiding)}", file=sys.stderr)  # noqa: PTH119
        return 2


def open_missing_streams() -> None:
    """Open the null device for each of the three standard streams that whoever started the program has closed.

    Python has None in their place, and the next file that is opened would get the number that C libraries print to.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r+", encoding="utf-8"))  # noqa: PTH123, SIM115
