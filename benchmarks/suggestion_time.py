"""Processor time of one suggestion of the model-based sampler, by dimensions and by how many trials there are.

    OMP_NUM_THREADS=1 python benchmarks/suggestion_time.py

The trials' ends are a bowl with noise that shrinks over 27 epochs; a third of them stopped at epoch 9. The median and
the longest of seven suggestions.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from sweeps.search.acquisition import suggest
from sweeps.space.limits import NO_LIMITS
from sweeps.space.space import Space, space_from_mapping
from sweeps.trials.record import TrialRecord, records_from_events

EPOCHS, RUNG, SUGGESTIONS = 27, 9, 7
SIZES = ((16, 4), (60, 4), (200, 4), (936, 64))  # trials that ended, and that are running


def trial(space: Space, number: int, epochs: int, status: str | None, chance: np.random.Generator) -> TrialRecord:
    """A trial of a random config."""
    name, units = f"t{number:04d}", chance.random(len(space.searched))
    end = 0.5 + float(((units - 0.3) ** 2).sum())
    noise = 0.01 * chance.standard_normal(EPOCHS)
    params = dict(space.at(units.tolist()).params)
    events: list[dict[str, object]] = [
        {"event": "trial_started", "trial_id": name, "role": "trial", "seed": 1, "params": params}
    ]
    for epoch in range(1, epochs + 1):
        value = end + (0.3 + float(noise[epoch - 1])) * (1 - epoch / EPOCHS)
        events.append({"event": "report", "trial_id": name, "epoch": epoch, "objective": value})
        if epoch == RUNG:
            events.append({"event": "rung", "trial_id": name, "epoch": epoch, "value": value})
    if status is not None:
        events.append({"event": "trial_ended", "trial_id": name, "status": status})
    return records_from_events(events)[0]


def main() -> None:
    """Print the table."""
    print("| dimensions | trials | running | median | longest |\n|---|---|---|---|---|")
    for dimensions in (3, 4, 7):
        parameters = {f"x{axis}": {"min": 0.0, "max": 1.0, "default": 0.5} for axis in range(dimensions)}
        space = space_from_mapping({"parameters": parameters}, "benchmark")
        for ended, running in SIZES:
            chance = np.random.default_rng(1)
            records = [
                trial(space, number, *((EPOCHS, "finished") if number % 3 else (RUNG, "stopped")), chance)
                for number in range(1, ended + 1)
            ]
            later = range(ended + 1, ended + running + 1)
            records += [trial(space, number, int(chance.integers(0, EPOCHS)), None, chance) for number in later]
            taken = []
            for number in range(ended + running + 1, ended + running + 1 + SUGGESTIONS):
                begun = time.process_time()
                suggest(space, NO_LIMITS, records, seed=1, number=number)
                taken.append(time.process_time() - begun)
            shown = f"{1000 * float(np.median(taken)):.0f} ms | {1000 * max(taken):.0f} ms"
            print(f"| {dimensions} | {ended + running} | {running} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
