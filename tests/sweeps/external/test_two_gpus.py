"""A program that uses several GPUs by itself, as torchrun does: its trial gets whole cards and shares none."""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path

import pytest

from sweeps.external.trainer import trainer_of
from sweeps.run.resources import Machine, plan_resources
from sweeps.space.space_file import space_from_mapping
from sweeps.trainer import pinned
from sweeps.tuner.api import run
from tests import ROOT
from tests.sweeps.builders import toy_request
from tests.sweeps.external.test_trainer import alive

GIB = 1 << 30
PROGRAM = ROOT / "tests" / "trainers_fixture" / "two_devices.py"
SPEC = f"""
name: two-devices
python: {sys.executable}
command: ["{{python}}", {PROGRAM}, --folder, "{{folder}}", --epochs, "{{epochs}}", --seed, "{{seed}}",
          --rate, "{{rate}}", --sleep, "0.2"]
params:
  rate: {{min: 0.05, max: 0.4, default: 0.1}}
metrics: [{{csv: "log.csv", step: epoch}}]
epoch: {{tag: loss}}
report: {{objective: loss, world: world}}
preflight: false
timeouts: {{first_epoch: 4m, epoch: 2m}}
"""


@pytest.mark.slow
def test_a_trial_of_two_gpus_trains_on_both_by_two_processes_and_no_other_trial_runs_next_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tmp_path / "two.yaml"
    spec.write_text(SPEC)
    trainer, _ = pinned(str(spec), {})
    space = space_from_mapping(dict(trainer_of(str(spec)).default_space() or {}), "two")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3,5")
    request = toy_request(
        tmp_path,
        space,
        trainer=str(spec),
        trainer_spec=trainer,
        trials=2,
        epochs=3,
        concurrent=None,
        gpus_per_trial=2.0,
    )
    resources = plan_resources(Machine(4, 64 * GIB, 3), 2, gpus_per_trial=2.0)
    assert resources.concurrent == 1, "the third card is left over"
    result = run(request, resources=resources)
    assert [record.status for record in result.records] == ["finished"] * 2
    spans = []
    for record in result.records:
        assert [report["world"] for report in record.reports] == [2.0] * 3
        first, *_, last = (record.started, *(float(str(report["time"])) for report in record.reports))
        spans.append((first, last))
        (log,) = (tmp_path / "toy" / "trials" / record.trial_id).rglob("log.csv")
        with log.open() as file:
            devices = {row["devices"] for row in csv.DictReader(file)}
        (used,) = devices
        assert set(used.split("+")) < {"0", "3", "5"}, "a card for each process, by the numbers that were visible"
        assert len(used.split("+")) == 2
    assert spans[0][1] <= spans[1][1]
    end = time.monotonic() + 10
    while alive("two_devices.py") and time.monotonic() < end:
        time.sleep(0.1)
    assert alive("two_devices.py") == []
