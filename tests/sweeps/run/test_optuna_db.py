"""optuna.db: what optuna-dashboard and a person's own study script find in it."""

from __future__ import annotations

import math
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from sweeps.common.errors import SweepFailed
from sweeps.run.optuna_db import write_optuna_db
from sweeps.space.space_file import load_space
from tests.sweeps.builders import trial


def load(path: Path) -> optuna.Study:
    return optuna.load_study(study_name="mine", storage=f"sqlite:///{path}")


def test_trials_have_their_states_values_and_params(tmp_path: Path) -> None:
    records = [
        trial(1, [0.9, 0.5, 0.6], "finished", origin="default"),
        trial(2, [0.95], "stopped", reason="0.95 at epoch 1"),
        trial(3, [0.8, math.nan], "diverged", reason="mel is nan at step 7"),
        trial(4, [], "failed"),
        trial(5, [0.7], None),
        trial(6, [0.7], "budget"),
    ]
    path = tmp_path / "optuna.db"
    write_optuna_db(path, "mine", load_space("safe_weights"), records)
    trials = load(path).trials
    complete, pruned, fail, running = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING
    assert [t.state for t in trials] == [complete, pruned, pruned, fail, running, pruned]
    assert trials[0].value == 0.5
    assert trials[0].params == {"mel_loss_weight": 1.1, "kl_loss_weight": 1.0, "gradient_clip_norm": 0.5}
    assert [t.intermediate_values for t in trials[:3]] == [{1: 0.9, 2: 0.5, 3: 0.6}, {1: 0.95}, {1: 0.8}]
    assert trials[2].user_attrs["stop_reason"] == "mel is nan at step 7"
    assert load(path).best_trial.user_attrs["trial_id"] == "t0001"
    assert load(path).best_trial.distributions["mel_loss_weight"].log


def test_what_diverged_is_infeasible_as_optunas_own_constraint_would_have_it(tmp_path: Path) -> None:
    study = optuna.create_study()
    asked = study.ask()
    asked.set_constraint("diverged", 1.0)
    study.tell(asked, state=TrialState.PRUNED)
    path = tmp_path / "optuna.db"
    write_optuna_db(path, "mine", load_space("safe_weights"), [trial(1, [0.5]), trial(2, [0.8, math.nan], "diverged")])
    fine, diverged = load(path).trials
    assert diverged.constraints == study.trials[0].constraints == {"diverged": 1.0}
    assert fine.constraints == {"diverged": 0.0}


@pytest.mark.parametrize(
    "sampler",
    [
        optuna.samplers.TPESampler(seed=1, n_startup_trials=1),
        optuna.samplers.GPSampler(seed=1, n_startup_trials=1),
    ],
    ids=["TPE", "GP"],
)
def test_a_study_goes_on_from_the_file_with_optunas_own_samplers(
    tmp_path: Path, sampler: optuna.samplers.BaseSampler
) -> None:
    records = [trial(1, [0.5]), trial(2, [0.6]), trial(3, [0.8, math.nan], "diverged"), trial(4, [0.9], "stopped")]
    write_optuna_db(tmp_path / "optuna.db", "mine", load_space("safe_weights"), records)
    study = load(tmp_path / "optuna.db")
    study.sampler = sampler
    assert set(study.ask(study.trials[0].distributions).params) == set(records[0].params)


def test_a_study_is_replaced_and_not_added_to(tmp_path: Path) -> None:
    path = tmp_path / "optuna.db"
    for count in (2, 3):
        write_optuna_db(path, "mine", load_space("safe_weights"), [trial(n, [0.5]) for n in range(1, count + 1)])
        assert len(load(path).trials) == count
    assert [entry.name for entry in tmp_path.iterdir()] == ["optuna.db"]


def test_ratios_are_the_studys_parameters_and_knobs_its_attributes(tmp_path: Path) -> None:
    record = trial(1, [0.5], params={"mel_loss_weight": 2.5, "kl_loss_weight": 1.0, "gradient_clip_norm": 0.5})
    record = type(record)(**{**vars(record), "coordinates": {"mel_over_kl": 2.5, "clip_over_mel": 0.2}})
    write_optuna_db(tmp_path / "optuna.db", "mine", load_space("balance"), [record])
    (stored,) = load(tmp_path / "optuna.db").trials
    assert stored.params == {"mel_over_kl": 2.5, "clip_over_mel": 0.2}
    assert stored.user_attrs["mel_loss_weight"] == 2.5


def test_controls_keep_their_odd_values(tmp_path: Path) -> None:
    space = load_space("before_after")
    records = [trial(n, [0.5], role="control", params=config.params) for n, config in enumerate(space.trials, 1)]
    write_optuna_db(tmp_path / "optuna.db", "mine", space, records)
    stored = load(tmp_path / "optuna.db").trials
    assert [t.params for t in stored] == [dict(config.params) for config in space.trials]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SweepFailed, match="cannot be written"):
        write_optuna_db(tmp_path / "gone" / "optuna.db", "mine", load_space("safe_weights"), [])
