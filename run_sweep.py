"""The entry script: the same program as the installed command `xtts-sweep`."""

from xtts_sweep.main import console

if __name__ == "__main__":
    raise SystemExit(console())
