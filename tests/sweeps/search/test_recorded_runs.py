"""Recorded runs in the benchmarks: what they say of each other, and as a function to search."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.recorded_curves import recorded_function
from benchmarks.search_memory import report_on_runs
from sweeps.common.errors import RequestError
from sweeps.space.space_file import load_space
from tests.sweeps.builders import trial_events

SPACE = load_space("safe_weights")
RECORDED = Path(__file__).parents[2] / "fixtures" / "version_0_1" / "searched"


def write_run(folder: Path, end: Callable[[np.ndarray], float], configs: int = 12) -> Path:
    """A run whose trials are the default and random configs, each with the end that their unit point has."""
    folder.mkdir(parents=True)
    shutil.copy(RECORDED / "sweep.yaml", folder)
    points = np.random.default_rng(1).random((configs, len(SPACE.searched)))
    params = [SPACE.default().params, *(SPACE.at(point.tolist()).params for point in points[1:])]
    lines = []
    for number, config in enumerate(params, 1):
        units = [parameter.unit(config[parameter.name]) for parameter in SPACE.searched]
        value = end(np.array(units, dtype=float))
        lines += [json.dumps(event) for event in trial_events(number, [value + 0.2, value], params=config)]
    (folder / "trials.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def slope(point: np.ndarray) -> float:
    return float(0.5 + 0.1 * point.sum())


def test_the_memory_of_a_like_run_puts_its_best_first_and_that_of_the_opposite_its_worst(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / "a" / "one", slope),
        write_run(tmp_path / "a" / "alike", lambda point: 3 + 2 * slope(point)),
        write_run(tmp_path / "a" / "opposite", lambda point: 2 - slope(point)),
        write_run(tmp_path / "a" / "short", slope, configs=5),
    ]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in report_on_runs(runs, SPACE)[2:]]
    found = {(new, old): (configs, rank, regrets.split(", ")) for new, old, configs, rank, regrets in rows}
    assert {new for new, _ in found} == {"a/one", "a/alike", "a/opposite"}  # five configs are no new data
    configs, rank, (first, default, mean) = found["a/one", "a/alike"]
    assert (configs, rank, first) == ("12", "+1.00", "0%")
    assert 0 < int(default[:-1]) < 100
    assert 0 < int(mean[:-1]) < 100
    assert found["a/one", "a/opposite"][1:] == ("-1.00", ["100%", default, mean])
    assert found["a/opposite", "a/one"][1] == "-1.00"
    assert ("a/one", "a/short") in found


def test_a_recorded_run_is_a_function_that_gives_the_best_so_far_of_the_nearest_config(tmp_path: Path) -> None:
    function = recorded_function(write_run(tmp_path / "run", slope), SPACE)
    points = np.random.default_rng(1).random((12, 3))[1:]
    lowest = points[points.sum(axis=1).argmin()]
    near = {f"x{axis}": float(unit) + 0.001 for axis, unit in enumerate(lowest)}
    assert function.epochs == 2
    assert function.truth(near) == pytest.approx(slope(lowest), abs=1e-4)
    assert function.value(near, 1, 5) == pytest.approx(slope(lowest) + 0.2, abs=1e-4)
    assert function.truth(near) == function.optimum
    assert function.range == pytest.approx(np.ptp([slope(point) for point in points]), abs=1e-4)
    with pytest.raises(RequestError, match="has 5 unstopped trials in safe_weights, 8 are needed"):
        recorded_function(write_run(tmp_path / "short", slope, configs=5), SPACE)
