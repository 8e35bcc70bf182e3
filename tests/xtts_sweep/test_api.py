"""The Python API: the same defaults and the same plan as the commands, and its example."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from sweeps.common.errors import RequestError
from tests import ROOT
from tests.sweeps.builders import TOY
from xtts_sweep.api import resume, sweep
from xtts_sweep.main import parser_of
from xtts_sweep.sweep_plan import SweepOptions, config_of


def test_the_defaults_are_those_of_the_command() -> None:
    options = vars(parser_of("sweep").parse_args([]))
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
    given = {one.name: getattr(SweepOptions(), one.name) for one in fields(SweepOptions) if one.name != "command"}
    assert {name: options[name] for name in given} == given


def test_values_are_set_as_texts_or_by_key(tmp_path: Path) -> None:
    by_text, by_key = (
        config_of(SweepOptions(trainer=TOY, name="toy", output=str(tmp_path), set=given)).set_params
        for given in (["slow=0.5"], {"slow": 0.5})
    )
    assert by_text == by_key == {"slow": 0.5}


def test_what_is_wrong_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="slwo"):
        sweep(trainer=TOY, set={"slwo": 1.0}, output=str(tmp_path), wandb="off")
    with pytest.raises(RequestError, match="no run here"):
        resume(output=str(tmp_path), wandb="off")
    with pytest.raises(TypeError, match="trails"):
        sweep(trails=3)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_notebook_example_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "python_api.py"), str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "trials: [('t0001', 'finished')" in done.stdout
    assert "verdict: " in done.stdout
    assert (tmp_path / "api" / "verdict.json").exists()
