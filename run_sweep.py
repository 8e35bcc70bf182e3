"""The entry script: the same program as the installed command `xtts-sweep`."""

import sys

from sweeps.common.shadowing import complaint, hiding_file

if __name__ == "__main__":
    hiding = hiding_file(sys.path[0])
    if hiding is not None:
        print(f"run_sweep.py: {complaint(hiding)}", file=sys.stderr)
        raise SystemExit(2)
    from xtts_sweep.start import console

    raise SystemExit(console())
