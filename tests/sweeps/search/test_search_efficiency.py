"""The search benchmark: its functions, its clock, and that its sweep is the sweep that Ray runs."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.recorded_curves import replay, report_on_curves
from benchmarks.search_efficiency import median_interval, ratio_interval
from benchmarks.search_functions import EPOCHS, LEVELS, SearchFunction, given_function
from benchmarks.search_methods import METHODS, OneEpoch, Sweep, drive, make_method
from benchmarks.search_rivals import Rival
from sweeps.common.errors import RequestError
from sweeps.space.space_file import load_space
from sweeps.trials.record import TrialRecord
from sweeps.tuner.api import run
from tests.sweeps.builders import toy_request, trial_events
from tests.toy_trainer import ToyTrainer

OPTIMUM = {"x0": 0.114614, "x1": 0.555649, "x2": 0.852547}


def bowl(config: dict[str, float], epoch: int, seed: int) -> float:
    """Somebody's own function."""
    return (config["x0"] - 0.3) ** 2 + (config["x1"] - 0.6) ** 2 + 1 / epoch


bowl.bounds = {"x0": (0.0, 1.0), "x1": (0.0, 2.0)}  # type: ignore[attr-defined]


def decisions(records: list[TrialRecord]) -> list[object]:
    rungs = [[(e["epoch"], e["value"], e["cutoff"], e["decision"]) for e in record.rungs] for record in records]
    return [
        (r.params, r.origin, r.status, r.epochs, r.stop_reason, rung) for r, rung in zip(records, rungs, strict=True)
    ]


@pytest.mark.slow
def test_the_simulated_sweep_decides_as_the_sweep_on_ray_does(tmp_path: Path) -> None:
    ray = run(toy_request(tmp_path, trials=9, epochs=9, concurrent=1))
    simulated = Sweep(load_space("safe_weights"), seed=1, slots=1, trials=9, epochs=9)
    while (job := simulated.next_job()) is not None:
        trainer, epoch = ToyTrainer(job.config, "", 1), 1
        while not simulated.report(job, epoch, float(str(trainer.train_epoch()["objective"]))):
            epoch += 1
    assert decisions(simulated.records) == decisions(list(ray.records))
    assert {record.origin for record in ray.records} == {"default", "sobol", "model"}
    assert "stopped" in {record.status for record in ray.records}


def test_full_length_is_hartmanns_function_whatever_the_level() -> None:
    for function in (one for one in LEVELS.values() if one.family == "hartmann3"):
        assert function.truth(OPTIMUM) == pytest.approx(-3.86278, abs=1e-5)
        assert function.range == pytest.approx(3.863, abs=0.01)
        assert function.value(OPTIMUM, EPOCHS, 5) == function.truth(OPTIMUM)


def test_in_seven_dimensions_the_seventh_blows_up_like_an_unstable_training() -> None:
    function = LEVELS["heavy7"]
    best = dict(zip(function.bounds, (0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573, 0.4), strict=True))
    assert function.truth(best) == pytest.approx(-3.32237, abs=1e-4)
    assert function.truth({**best, "x6": 0.5}) < -3
    assert function.truth({**best, "x6": 1.0}) > 100


def test_low_fidelities_are_as_noisy_and_as_biased_as_they_say() -> None:
    noisy, biased = LEVELS["noisy"], LEVELS["biased"]
    values = [noisy.value(OPTIMUM, 9, seed) for seed in range(2000)]
    assert np.std(values) == pytest.approx(0.8 / 3, rel=0.06)
    assert noisy.value(OPTIMUM, 9, 3) == values[3]
    assert biased.value(OPTIMUM, 1, 1) > 0 > biased.value(OPTIMUM, EPOCHS, 1)
    assert biased.value(OPTIMUM, 9, 1) == biased.value(OPTIMUM, 9, 2)


def test_somebodys_own_function_is_taken_with_its_bounds_and_its_optimum_is_found() -> None:
    function = given_function("tests.sweeps.search.test_search_efficiency:bowl")
    assert function.bounds == bowl.bounds  # type: ignore[attr-defined]
    assert function.optimum == pytest.approx(1 / EPOCHS, abs=1e-6)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_runs_counts_all_epochs_and_ends_within_the_tolerance(name: str) -> None:
    function = given_function("tests.sweeps.search.test_search_efficiency:bowl")
    used = 0

    def counted(config: dict[str, float], epoch: int, seed: int) -> float:
        nonlocal used
        used += 1
        return bowl(config, epoch, seed)

    counting = SearchFunction("bowl", "bowl", counted, function.bounds, function.optimum)
    counting.range  # noqa: B018 - so that its own evaluations are not counted
    used = 0
    method = make_method(name, counting, 1, 4)
    course = drive(method, counting, 1, slots=4, cap=8 * EPOCHS, tolerance=0.2)
    method.close()
    assert course.reached is not None
    assert course.reached <= used <= course.reached + course.jobs + 1  # and a look at each incumbent's truth
    assert course.regrets[-1][1] <= 0.2
    assert math.isnan(course.regret_at(0))


STAND_IN = """#!{python}
import json, sys
name, seed, epochs, bounds = sys.argv[2:]
best = None
for count, line in enumerate(sys.stdin):
    asked = json.loads(line)
    if asked["do"] == "next":
        found = {{"name": "a", "config": {{key: low for key, (low, _) in json.loads(bounds).items()}}}}
        answer = {{**found, "first": 3, "last": 9}}
        best = best or found["config"]
    else:
        answer = best if asked["do"] == "incumbent" else asked["value"] < 0.3 and asked["epoch"] > 5
    if count == int(seed):
        break
    print(json.dumps(answer), flush=True)
"""


def test_a_rival_is_asked_in_its_own_process_and_says_so_when_that_ends(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(STAND_IN.format(python=sys.executable))
    python.chmod(0o755)
    rival = Rival(python, "a rival", LEVELS["good"], seed=5)
    job = rival.next_job()
    assert job is not None
    assert (job.config, job.first, job.last) == ({"x0": 0.0, "x1": 0.0, "x2": 0.0}, 3, 9)
    assert [rival.report(job, epoch, 0.25) for epoch in (5, 6)] == [False, True]
    assert rival.incumbent() == job.config
    assert not rival.report(job, 6, 0.35)
    with pytest.raises(SystemExit, match="the rival's process ended with exit code 0"):
        rival.incumbent()
    rival.close()


def test_one_epoch_trains_the_top_on_from_where_they_stopped() -> None:
    function = LEVELS["good"]
    course = drive(OneEpoch(function, 1, configs=12, top=2), function, 1, slots=1, cap=12 + 2 * 26, tolerance=0.0)
    assert course.jobs == 14
    assert course.regrets[-1][0] <= 12 + 2 * 26


def test_a_miss_is_later_than_anything_and_intervals_hold_the_median() -> None:
    reached = np.array([100.0, 200.0, math.inf, 300.0, math.inf])
    assert median_interval(reached)[0] == 300.0
    assert median_interval(reached)[2] == math.inf
    assert ratio_interval(reached[:2], 2 * reached[:2])[0] == 0.5


def write_run(folder: Path, seed: int, configs: int = 9) -> Path:
    """A run of unstopped curves that sink alike, so that the rung foretells the end."""
    import json

    folder.mkdir()
    lines = []
    for number in range(configs):
        end = 0.3 + 0.02 * number + 0.001 * (seed - 1) * (-1) ** number
        for event in trial_events(number + 1, [end + 0.5 / epoch for epoch in range(1, 10)]):
            lines.append(json.dumps({**event, **({"seed": seed} if event["event"] == "trial_started" else {})}))
    (folder / "trials.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_recorded_curves_tell_what_stopping_costs_and_saves(tmp_path: Path) -> None:
    lines = report_on_curves([write_run(tmp_path / "a", 1), write_run(tmp_path / "b", 2)])
    assert "rank correlation +1.00 over 9" in lines[0]
    assert "worse by more than one sd in 0.0%" in lines[-1]
    with pytest.raises(RequestError, match="one config that several"):
        report_on_curves([tmp_path / "a"])


def test_a_replay_that_stops_nobody_trains_everything_and_brings_back_the_best() -> None:
    curves = [[0.9 - 0.01 * n - 0.05 * epoch for epoch in range(9)] for n in range(8)]
    free, careful = replay(curves, stops=False), replay(curves[::-1], stops=True)
    assert (free.epochs, free.stopped, free.end) == (72, 0, min(map(min, curves)))
    assert careful.end == free.end
    assert careful.epochs < 72
    assert careful.stopped > 0
