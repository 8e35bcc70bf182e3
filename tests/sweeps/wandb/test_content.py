"""What W&B is told, before any of it is told: modes, configs, summaries, tables, sweep configs."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sweeps.common.errors import RequestError
from sweeps.run.convergence_columns import compared_with
from sweeps.space.space_file import load_space, space_from_mapping
from sweeps.trials.journal import Journal
from sweeps.trials.record import TrialRecord, records_from_events
from sweeps.wandb import choose_mode, logged_in, project_and_entity
from sweeps.wandb.content import history_row, run_config, run_name, run_summary, run_tags
from sweeps.wandb.destination import Destination, destination_in, read_destination, write_destination
from sweeps.wandb.environment import environment
from sweeps.wandb.logger import end_of
from sweeps.wandb.logger_process import JournalFollower
from sweeps.wandb.sweep_run import sweep_config, sweep_summary, table_of
from tests.sweeps.builders import toy_request, trial, trial_events
from tests.sweeps.report.report_runs import confirmation_events

RATIOS = [("rho", "kl_loss_weight", "mel_loss_weight"), ("clip_over_mel", "gradient_clip_norm", "mel_loss_weight")]
SWEEP_KEYS = {"name", "description", "method", "metric", "parameters", "early_terminate", "run_cap"}
KEY = "a" * 40


def netrc(home: Path, server: str) -> None:
    (home / ".netrc").write_text(f"machine {server}\n  login user\n  password {KEY}\n")


def test_a_login_is_found_where_wandb_looks_for_it(tmp_path: Path) -> None:
    assert not logged_in({}, tmp_path)
    assert logged_in({"WANDB_API_KEY": KEY}, tmp_path)
    assert not logged_in({"WANDB_API_KEY": " "}, tmp_path)
    netrc(tmp_path, "api.wandb.ai")
    assert logged_in({}, tmp_path)
    assert not logged_in({"WANDB_BASE_URL": "https://wandb.example.org"}, tmp_path)
    netrc(tmp_path, "wandb.example.org")
    assert logged_in({"WANDB_BASE_URL": "https://wandb.example.org"}, tmp_path)
    assert not logged_in({"NETRC": str(tmp_path / "other")}, tmp_path)


def test_wandb_itself_agrees_on_where_a_login_is(tmp_path: Path) -> None:
    from wandb.sdk.lib import urls, wbauth

    from sweeps.wandb.environment import SERVERS

    netrc(tmp_path, SERVERS[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NETRC", str(tmp_path / ".netrc"))
        assert wbauth.read_netrc_auth(host=urls.DEFAULT_BASE_URL) == KEY
    assert logged_in({}, tmp_path)


def test_the_mode_is_what_was_asked_then_what_wandb_was_told_then_online_with_a_login(tmp_path: Path) -> None:
    login = {"WANDB_API_KEY": KEY}
    assert choose_mode(None, {}, tmp_path) == "offline"
    assert choose_mode(None, login, tmp_path) == "online"
    assert choose_mode("off", login, tmp_path) == "off"
    assert choose_mode("offline", login, tmp_path) == "offline"
    assert choose_mode(None, login | {"WANDB_MODE": "offline"}, tmp_path) == "offline"
    assert choose_mode(None, {"WANDB_MODE": "disabled"}, tmp_path) == "off"
    assert choose_mode(None, {"WANDB_MODE": "online"}, tmp_path) == "offline"
    settings = tmp_path / ".config" / "wandb" / "settings"
    settings.parent.mkdir(parents=True)
    settings.write_text("[default]\nmode = disabled\n")
    assert choose_mode(None, login, tmp_path) == "off"
    with pytest.raises(RequestError, match="--wandb online: there is no W&B login"):
        choose_mode("online", {}, tmp_path)


@pytest.mark.parametrize(
    ("switches", "mode"),
    [
        ({"WANDB_MODE": "OFFLINE"}, "offline"),
        ({"WANDB_MODE": " DryRun "}, "offline"),
        ({"WANDB_MODE": "Disabled"}, "off"),
        ({"WANDB_MODE": ""}, "online"),
        ({"WANDB_DISABLED": "true"}, "off"),
        ({"WANDB_DISABLED": "1", "WANDB_MODE": "online"}, "off"),
        ({"WANDB_DISABLED": "false", "WANDB_MODE": "offline"}, "offline"),
    ],
)
def test_wandbs_own_switches_decide_in_any_case(tmp_path: Path, switches: dict[str, str], mode: str) -> None:
    assert choose_mode(None, {"WANDB_API_KEY": KEY} | switches, tmp_path) == mode
    assert choose_mode("offline", {"WANDB_API_KEY": KEY} | switches, tmp_path) == "offline"


@pytest.mark.parametrize("switch", ["WANDB_MODE", "WANDB_DISABLED"])
def test_a_switch_that_wandb_does_not_know_is_an_error_never_online(tmp_path: Path, switch: str) -> None:
    with pytest.raises(RequestError, match=f"^{switch}=onlin: expected "):
        choose_mode(None, {"WANDB_API_KEY": KEY, switch: "onlin"}, tmp_path)
    assert choose_mode("off", {switch: "onlin"}, tmp_path) == "off"


def test_project_and_entity_come_from_the_environment_then_from_wandbs_settings(tmp_path: Path) -> None:
    assert project_and_entity("mine", {}, tmp_path) == ("mine", None)
    settings = tmp_path / ".config" / "wandb" / "settings"
    settings.parent.mkdir(parents=True)
    settings.write_text("[default]\nproject = theirs\nentity = team\n")
    assert project_and_entity("mine", {}, tmp_path) == ("theirs", "team")
    assert project_and_entity("mine", {"WANDB_PROJECT": "env", "WANDB_ENTITY": " "}, tmp_path) == ("env", "team")


def test_a_config_holds_all_parameters_their_ratios_and_what_tells_trials_apart() -> None:
    params = {"mel_loss_weight": 2.5, "kl_loss_weight": 1.0, "gradient_clip_norm": None}
    record = trial(3, [1.0], params=params)
    config = run_config(record, {"model": "tiny"}, RATIOS)
    assert config["rho"] == 0.4
    assert "clip_over_mel" not in config
    assert config | {"model": "tiny", "trial_id": "t0003", "role": "trial", "origin": "sobol", "seed": 1} == config
    assert config["gradient_clip_norm"] is None
    assert run_tags(record, "s" * 80) == ["s" * 64, "sobol"]
    assert run_name(record) == "t0003"
    assert run_name(trial(1, [1.0], origin="default")) == "t0001 default"


def test_a_history_row_holds_finite_numbers_only() -> None:
    report = {"event": "report", "trial_id": "t0001", "time": 5.0, "epoch": 2, "objective": math.nan, "loss": 3.5}
    report |= {"evaluations": [{"objective": 1.0}], "diverged": {"step": 7}, "train/mel": None, "fine": True}
    assert history_row(report) == {"epoch": 2, "loss": 3.5}


def curve(number: int, objectives: list[float], origin: str, status: str | None = "finished") -> TrialRecord:
    events = trial_events(number, objectives, status, origin=origin)
    reports: list[dict[str, Any]] = [dict(event) for event in events]
    for report in reports:
        if report["event"] == "report":
            report |= {"updates": 10 * report["epoch"], "mean_frame_error": 1.0, "seconds": 2.0 * report["epoch"]}
    return records_from_events(reports)[0]


def test_a_summary_is_flat_and_counts_the_best_epoch_not_the_last() -> None:
    default = curve(1, [0.9, 0.7, 0.6, 0.5, 0.5, 0.5], "default")
    faster = curve(2, [0.7, 0.5, 0.45, 0.6], "sobol")
    summary = run_summary(faster, [default, faster])
    assert summary["objective"] == 0.45
    assert (summary["best_epoch"], summary["status"], summary["seconds"]) == (3, "finished", 8.0)
    assert summary["speedup"] > 1.5  # type: ignore[operator]
    assert 1 < summary["epochs_to_target"] < 3  # type: ignore[operator]
    assert all(isinstance(value, (int, float, str)) for value in summary.values())
    begun = curve(2, [0.7], "sobol", None)
    running = run_summary(begun, [curve(1, [0.9], "default", None), begun])
    assert running["status"] == "running"
    assert "speedup" not in running
    assert run_summary(faster, [faster])["objective"] == 0.45
    assert "speedup" not in run_summary(faster, [faster])


def test_a_diverged_trial_has_a_status_and_no_objective() -> None:
    diverged = trial(1, [math.nan], "diverged", reason="mel is nan at step 7")
    summary = run_summary(diverged, [diverged])
    assert summary | {"status": "diverged", "stop_reason": "mel is nan at step 7"} == summary
    assert "objective" not in summary


def test_a_judged_run_is_measured_against_the_defaults_of_its_seed_and_others_against_the_searchs() -> None:
    events = confirmation_events({2001: 0.5, 2002: 0.5}, {2001: 0.6, 2002: 0.6})
    records = [trial(1, [1.0], origin="default"), *records_from_events(events)]
    by_id = {record.trial_id: record for record in records}
    assert compared_with(records)(by_id["c0005"]) is by_id["c0004"]
    assert compared_with(records)(by_id["r0003"]) is by_id["c0002"]
    assert compared_with(records)(by_id["r0001"]) is records[0]
    assert compared_with([by_id["c0003"]])(by_id["c0003"]) is None
    control = trial(3, [1.0], role="control", origin="control")
    assert compared_with([control])(trial(4, [1.0], role="control", origin="control")) is control


def test_a_table_keeps_numbers_as_numbers_and_empty_cells_empty() -> None:
    columns, rows = table_of("trial_id,speedup,label,seed\nt0001,1.5,,1\nt0002,,'=x,2\n")
    assert columns == ["trial_id", "speedup", "label", "seed"]
    assert rows == [["t0001", 1.5, None, 1.0], ["t0002", None, "'=x", 2.0]]
    assert table_of("") == ([], [])


def test_the_sweeps_summary_counts_how_trials_ended_and_quotes_the_verdict(tmp_path: Path) -> None:
    records = [trial(1, [0.6], origin="default"), trial(2, [0.5]), trial(3, [0.9], "stopped")]
    verdict = tmp_path / "verdict.json"
    assert sweep_summary(records, verdict)["verdict"] == "unconfirmed"
    verdict.write_text(json.dumps({"verdict": "better", "difference_percent": -3.0, "sentence": "It is better."}))
    summary = sweep_summary(records, verdict)
    assert (summary["best_trial"], summary["best_objective"], summary["default_objective"]) == ("t0002", 0.5, 0.6)
    assert (summary["trials_finished"], summary["trials_stopped"], summary["verdict"]) == (2, 1, "better")


@pytest.mark.parametrize("name", ["safe_weights", "balance", "with_learning_rate", "before_after"])
def test_every_space_becomes_a_sweep_config_with_no_key_that_the_schema_does_not_know(
    name: str, tmp_path: Path
) -> None:
    config: dict[str, Any] = sweep_config(toy_request(tmp_path, name))
    assert set(config) <= SWEEP_KEYS
    assert config["metric"] == {"name": "objective", "goal": "minimize"}
    assert config["parameters"]
    for parameter in config["parameters"].values():
        assert set(parameter) <= {"distribution", "min", "max", "q", "values", "value"}
    assert json.loads(json.dumps(config)) == config


def test_wandbs_own_scheduler_reads_the_parameters_as_they_are_searched(tmp_path: Path) -> None:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
    from wandb.sdk.sweeps.scheduler.optuna import sweep_parameter_to_distribution

    given = {
        "a": {"distribution": "log_uniform_values", "min": 1.0, "max": 5.0, "default": 2.5},
        "b": {"values": ["x", "y"], "default": "x"},
        "c": {"distribution": "int_uniform", "min": 1, "max": 4, "default": 2},
        "d": {"distribution": "q_uniform", "min": 0.0, "max": 1.0, "q": 0.25, "default": 0.5},
    }
    space = space_from_mapping({"name": "all", "parameters": given}, "all")
    parameters: dict[str, Any] = sweep_config(toy_request(tmp_path, space))["parameters"]  # type: ignore[assignment]
    found = {name: sweep_parameter_to_distribution(words) for name, words in parameters.items()}
    assert found == {
        "a": FloatDistribution(1.0, 5.0, log=True),
        "b": CategoricalDistribution(["x", "y"]),
        "c": IntDistribution(1, 4),
        "d": FloatDistribution(0.0, 1.0, step=0.25),
    }


def test_controls_become_a_grid_of_the_values_that_were_run(tmp_path: Path) -> None:
    config: dict[str, Any] = sweep_config(toy_request(tmp_path, load_space("before_after")))
    assert config["method"] == "grid"
    assert 45.0 in config["parameters"]["mel_loss_weight"]["values"]
    assert "early_terminate" not in config


def test_a_follower_reads_each_whole_line_once_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    assert end_of(path) == 0
    follower = JournalFollower(path)
    assert follower.new() == []
    with Journal(path) as journal:
        journal.append("sweep_started", None)
        assert [event["event"] for event in follower.new()] == ["sweep_started"]
        with path.open("ab") as torn:
            torn.write(b'{"event": "rep')
        assert follower.new() == []
        assert end_of(path) < path.stat().st_size
    with Journal(path) as journal:
        start = end_of(path)
        journal.append("sweep_resumed", None)
        assert [event["event"] for event in follower.new()] == ["sweep_resumed"]
    later = JournalFollower(path, start)
    assert [event["event"] for event in later.past()] == ["sweep_started"]
    assert [event["event"] for event in later.new()] == ["sweep_resumed"]


def test_offline_no_key_and_no_proxy_is_handed_on_and_never_a_variable_that_is_not_wandbs(tmp_path: Path) -> None:
    given = {"PATH": "/bin", "HOME": "/h", "MY_TOKEN": "s", "WANDB_API_KEY": KEY, "https_proxy": "http://u:p@h"}
    given |= {"WANDB_RUN_ID": "x", "WANDB_SWEEP_ID": "y", "WANDB_MODE": "disabled", "AWS_SECRET_ACCESS_KEY": "z"}
    offline = environment(given, tmp_path, tmp_path, online=False)
    assert {name for name in given if name in offline} == {"PATH", "HOME"}
    online = environment(given, tmp_path, tmp_path, online=True)
    assert {name for name in given if name in online} == {"PATH", "HOME", "WANDB_API_KEY", "https_proxy"}


def test_a_destination_is_kept_for_all_sessions(tmp_path: Path) -> None:
    made = destination_in(tmp_path / "wandb", "project", None)
    assert destination_in(tmp_path / "wandb", "another", "team") == made
    assert made.run_id("t0001") == f"{made.prefix}-t0001"
    published = Destination("project", "team", made.prefix, "sw33p")
    write_destination(tmp_path / "wandb", published)
    assert read_destination(tmp_path / "wandb") == published
    assert read_destination(tmp_path / "nothing") is None
    (tmp_path / "wandb" / "destination.json").write_text("{")
    with pytest.raises(RequestError, match=r"destination.json: is damaged"):
        read_destination(tmp_path / "wandb")


def test_neither_the_package_nor_a_sweep_imports_wandb() -> None:
    code = "import sys, sweeps.wandb, sweeps.tuner.api; print('wandb' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
