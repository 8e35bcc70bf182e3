"""Runs of the product that a benchmark reads: made with run_sweep.py where they are missing, resumed where cut off."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sweeps.run.run import Run, read_run  # noqa: E402


def ended(run: Run) -> bool:
    """Whether a run came to its end, and was not only interrupted."""
    return any(event["event"] == "sweep_ended" and event.get("reason") == "finished" for event in run.events)


def finished_run(
    name: str,
    space: str | Path,
    *,
    data: str | None,
    output: Path,
    seed: int,
    epochs: int,
    settings: Mapping[str, object] | None = None,
) -> Run:
    """The run `name` in `output`: as it stands if it has ended, else after run_sweep.py has ended it.

    SystemExit with its exit code where that fails. Nothing is stopped early or confirmed: the spaces are of controls.
    """
    folder = output / name
    if (folder / "sweep.yaml").is_file():
        if ended(read_run(folder)):
            return read_run(folder)
        arguments = ["resume", name]
    else:
        arguments = ["--space", str(space), "--seed", str(seed), "--epochs", str(epochs), "--name", name]
        arguments += ["--data", data] if data else []
        arguments += [text for name, value in (settings or {}).items() for text in ("--set", f"{name}={value}")]
    command = [sys.executable, str(ROOT / "run_sweep.py"), *arguments, "--output", str(output), "--wandb", "off"]
    print(f"{name} ...", file=sys.stderr, flush=True)
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    return read_run(folder)
