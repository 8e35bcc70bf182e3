"""The simulations behind the documented error rates run, and meet their demands."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT


@pytest.mark.slow
def test_the_simulation_of_the_readme_runs_on_real_curves_and_meets_its_demands(tmp_path: Path) -> None:
    chance = random.Random(3)
    stored: dict[str, dict[str, list[float]]] = {}
    for config in "abc":
        stored[config] = {}
        for seed in range(5):
            own = chance.gauss(0, 0.01)
            stored[config][str(seed)] = [
                0.56 * math.exp(own + chance.gauss(0, 0.005)) + 0.2 / epoch for epoch in range(1, 10)
            ]
    path = tmp_path / "curves.json"
    path.write_text(json.dumps(stored), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "benchmarks/verdict_errors.py", "--curves", str(path), "--sweeps", "2000"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "15 real seeds of 3 configs (5 seeds in common)" in done.stdout
    assert "TOO FEW" not in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("gain", "word"), [(0.06, "'better'"), (0.0, "'no difference'")])
def test_sweeps_of_recorded_configs_end_as_their_effects_say(tmp_path: Path, gain: float, word: str) -> None:
    chance = random.Random(5)
    effects = {"default": 0.0, "good": -gain, "poor": 0.05, "worse": 0.08, "worst": 0.1}
    stored = {
        config: {
            str(seed): [(0.56 + 0.2 / epoch) * math.exp(effect + chance.gauss(0, 0.003)) for epoch in range(1, 10)]
            for seed in range(4)
        }
        for config, effect in effects.items()
    }
    path = tmp_path / "curves.json"
    path.write_text(json.dumps(stored), encoding="utf-8")
    command = [sys.executable, "benchmarks/verdict_errors.py", "--curves", str(path), "--sweeps", "200"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    recorded = done.stdout.partition("sweeps of 5 of the 5 recorded configs (200), 4 seeds each")[2]
    share = next(float(line.split(word)[1].split("%")[0]) for line in recorded.splitlines() if word in line)
    assert share > 90, done.stdout + done.stderr
