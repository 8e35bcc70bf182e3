"""Specs of external trainers: everything that is wrong at once, and what becomes of a good one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sweeps.common.errors import RequestError
from sweeps.common.strict_yaml import read_yaml_mapping
from sweeps.external.command import Launch, command_of, config_text, environment_of
from sweeps.external.spec import SpecFile, TrainerSpec, load_spec, shipped_specs
from sweeps.external.trainer import bound
from sweeps.space.limits import limits_from_mapping
from sweeps.space.space_file import space_from_mapping
from sweeps.trainer import load_trainer, pinned
from tests import ROOT

FIXTURE = ROOT / "tests" / "trainers_fixture"
Write = Callable[..., Path]
TEMPLATE = {"loss": {"mel_w": 45, "kl_w": 1.0}, "train": {"epochs": 9, "betas": [0.9, 0.99], "name": "x", "amp": False}}
SPEC: dict[str, Any] = {
    "name": "mine",
    "command": ["{python}", "train.py", "--config", "{config}", "--seed", "{seed}"],
    "config": {"template": "base.json"},
    "params": {
        "mel_w": {"key": "loss.mel_w", "distribution": "log_uniform_values", "min": 10, "max": 90},
        "beta": {"key": "train.betas.1", "min": 0.9, "max": 0.999},
    },
    "set": {"train.epochs": "{epochs}", "train.amp": True},
    "metrics": [{"tensorboard": "**/events*"}],
    "epoch": {"tag": "val/mel"},
    "report": {"objective": "val/mel / mel_w"},
}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a spec with changes, next to its template and program."""

    def written(**changes: Any) -> Path:
        (tmp_path / "train.py").touch()
        (tmp_path / "base.json").write_text(json.dumps(TEMPLATE))
        (tmp_path / "base.yaml").write_text(
            "# top\nloss:\n  mel_w: 45.0 # mel\ntrain: {epochs: 9, betas: [0.9, 0.99], amp: no}\n"
        )
        (tmp_path / "base.toml").write_text(
            "[loss]\nmel_w = 45.0 # mel\n[train]\nepochs = 9\nbetas = [0.9, 0.99]\namp = false\n"
        )
        path = tmp_path / "mine.yaml"
        content = {key: value for key, value in {**SPEC, **changes}.items() if value is not None}
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    return written


def launch(folder: Path, **changes: Any) -> Launch:
    given: dict[str, Any] = {"folder": folder, "seed": 7, "epochs": 3, "data": "/data", "threads": 2}
    return Launch(**given | changes)


def test_a_trial_gets_a_typed_copy_of_the_template(write: Write, tmp_path: Path) -> None:
    spec = load_spec(str(write()))
    text = json.loads(config_text(spec, {"mel_w": 36.5, "beta": 0.95}, launch(tmp_path)))
    assert text["loss"] == {"mel_w": 36.5, "kl_w": 1.0}
    assert text["train"] == {"epochs": 3, "betas": [0.9, 0.95], "name": "x", "amp": True}
    command = command_of(spec, {"mel_w": 36.5, "beta": 0.95}, launch(tmp_path))
    assert command[1:] == [str(tmp_path / "train.py"), "--config", str(tmp_path / "base.json"), "--seed", "7"]


@pytest.mark.parametrize("suffix", ["yaml", "toml"])
def test_comments_of_yaml_and_toml_stay(write: Write, tmp_path: Path, suffix: str) -> None:
    spec = load_spec(str(write(config={"template": f"base.{suffix}", "write": f"run.{suffix}"})))
    text = config_text(spec, {"mel_w": 1e-5, "beta": 0.95}, launch(tmp_path))
    assert "# mel" in text
    assert "0.95" in text
    if suffix == "yaml":
        assert yaml.safe_load(text)["loss"]["mel_w"] == 1e-5  # PyYAML takes 1e-05 for text


def test_defaults_come_from_the_template_and_limits_from_the_ranges(write: Write) -> None:
    trainer = bound(load_spec(str(write())))
    assert trainer.default_params() == {"mel_w": 45, "beta": 0.99}
    space = space_from_mapping(trainer.default_space() or {}, "mine")
    assert [parameter.name for parameter in space.searched] == ["mel_w", "beta"]
    assert space.default().params == {"mel_w": 45, "beta": 0.99}
    limits = limits_from_mapping(trainer.own_limits() or {}, "mine")
    assert limits.problems({"mel_w": 100.0}) != []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"comand": ["x"]}, "unknown key 'comand'; did you mean 'command'"),
        ({"command": "python train.py"}, "command"),
        ({"command": ["{python}", "{confg}"]}, r"unknown placeholder \{confg\}; did you mean 'config'"),
        ({"epoch": {"tagg": "x"}}, "epoch: unknown key 'tagg'; did you mean 'tag'"),
        ({"report": {"loss": "a"}}, "report needs objective"),
        ({"report": {"objective": "val/mel / / 2"}}, "no arithmetic"),
        ({"report": {"objective": "open('x')"}}, "report: objective"),
        ({"metrics": [{"csv": "a", "jsonl": "b"}]}, "each entry has one of"),
        ({"metrics": [{"stdout": "loss (\\S+)"}]}, "no named group"),
        ({"metrics": [{"stdout": "loss ("}]}, "no regular expression"),
        ({"mode": "minimum"}, "unknown mode 'minimum'; did you mean 'min'"),
        ({"stop": {"signal": "SIGBYE"}}, "SIGBYE"),
        ({"timeouts": {"epoch": "soon"}}, "'soon' is no time"),
        ({"config": {"template": "gone.json"}}, "gone.json: cannot be read"),
        ({"set": {"train.epochz": 3}}, "did you mean 'train.epochs'"),
        ({"set": {"train.name": 3}}, "which is text"),
        ({"set": {"train.epochs": "many"}}, "which is a number"),
        (
            {"params": {"mel_w": {"key": "loss.mel", "min": 1, "max": 2}}},
            "has no key 'loss.mel'; did you mean 'loss.mel_w'",
        ),
        ({"params": {"mel_w": {"key": "train.name", "min": 1, "max": 2, "default": 1}}}, "which is text"),
        ({"params": {"mel_w": {"key": "train.betas", "min": 1, "max": 2, "default": 1}}}, "name one of its entries"),
        ({"params": {"mel_w": {"key": "loss.mel_w", "min": 1, "max": 2}}}, "default 45 lies outside 1 to 2"),
        (
            {"params": {"mel_w": {"key": "loss.mel_w", "maxi": 2}}},
            "params: mel_w: unknown key 'maxi'; did you mean 'max'",
        ),
        ({"seed_first": True, "command": ["bash", "{config}"]}, "begins with {python}"),
        ({"config": None, "set": {}, "command": ["x", "{mel_w}"]}, "beta reaches the program nowhere"),
    ],
)
def test_what_is_wrong_is_named_with_a_hint(write: Write, changes: dict[str, Any], said: str) -> None:
    path = write(**changes)
    with pytest.raises(RequestError, match=said) as caught:
        load_spec(str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_problems_are_told_at_once(write: Write) -> None:
    path = write(report={"loss": "a"}, set={"train.epochz": 3}, params={"a": {"key": "b", "min": 1, "max": 2}})
    with pytest.raises(RequestError) as caught:
        load_spec(str(path))
    assert all(word in str(caught.value) for word in ("objective", "train.epochz", "has no key 'b'"))


def test_set_changes_keys_of_the_spec_and_fixes_parameters(write: Write, tmp_path: Path) -> None:
    mine = tmp_path / "other.json"
    mine.write_text(json.dumps({**TEMPLATE, "loss": {"mel_w": 30, "kl_w": 1.0}}))
    settings = {"template": str(mine), "timeouts.epoch": "5m", "params.mel_w.max": 60, "beta": 0.95}
    trainer, fixed = pinned(str(write()), settings)
    assert fixed == {"beta": 0.95}
    mine.unlink()  # the template travels with the spec
    loaded = load_trainer(trainer)
    assert loaded.default_params() == {"mel_w": 30, "beta": 0.99}
    space = loaded.default_space(without=["beta"]) or {}
    assert space["parameters"] == {"mel_w": {"distribution": "log_uniform_values", "default": 30, "min": 10, "max": 60}}
    with pytest.raises(RequestError, match="no such key or parameter; did you mean 'mel_w'"):
        pinned(str(write()), {"mel_ww": 3})


def test_a_command_line_takes_all_values_as_arguments_or_overrides(write: Write, tmp_path: Path) -> None:
    params = {"mel_w": 36.5, "beta": 0.95}
    base: dict[str, Any] = {"config": None, "set": {"trainer.max_epochs": "{epochs}"}}
    hydra = load_spec(str(write(**base, command=["{python}", "-m", "m", "{overrides}"], params=with_defaults())))
    assert command_of(hydra, params, launch(tmp_path))[3:] == [
        "trainer.max_epochs=3",
        "loss.mel_w=36.5",
        "train.betas.1=0.95",
    ]
    plain = load_spec(str(write(**base, command=["prog", "{args}", "--m={mel_w}"], params=with_defaults())))
    assert command_of(plain, params, launch(tmp_path)) == [
        "prog", "--trainer.max_epochs", "3", "--train.betas.1", "0.95", "--m=36.5",
    ]  # fmt: skip


def test_the_seeding_launcher_stands_before_the_program(write: Write, tmp_path: Path) -> None:
    spec = load_spec(str(write(seed_first=True, command=["{python}", "-u", "-m", "pkg.train", "{config}"])))
    command = command_of(spec, {"mel_w": 1.0, "beta": 0.95}, launch(tmp_path))
    assert command[1] == "-u"
    assert Path(command[2]).name == "seeded.py"
    assert command[3:6] == ["7", "-m", "pkg.train"]


def test_the_environment_holds_threads_and_gpus_and_nothing_of_the_sweep(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "x")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:/theirs")
    monkeypatch.setenv("XTTS_SWEEP_PYTHONPATH", "/theirs")
    spec = load_spec(str(write(env={"SEED": "{seed}", "CUDA_VISIBLE_DEVICES": "{gpus}"})))
    environment = environment_of(spec, {}, launch(tmp_path, gpus=("1", "3")))
    assert environment["OMP_NUM_THREADS"] == "2"
    assert environment["CUDA_VISIBLE_DEVICES"] == "1,3"
    assert environment["PYTHONPATH"] == "/theirs"
    assert environment["SEED"] == "7"
    assert "RAY_ADDRESS" not in environment


def test_a_parameter_of_whole_numbers_is_searched_in_whole_numbers(write: Write) -> None:
    entry = {"key": "loss.mel_w", "type": "int", "distribution": "log_uniform_values", "min": 10, "max": 90}
    spec = load_spec(str(write(params={"mel_w": entry})))
    assert {type(spec.parameters["mel_w"].at(unit / 10)) for unit in range(11)} == {int}
    with pytest.raises(RequestError, match="takes a whole number"):
        bound(spec).check_params({"mel_w": 36.5})


@pytest.mark.parametrize("suffix", ["json", "yaml", "toml"])
def test_a_key_that_may_be_missing_is_added_with_its_default(write: Write, tmp_path: Path, suffix: str) -> None:
    entries = {
        "mel_w": {"key": "+loss.mel_w", "min": 10, "max": 90, "default": 20},  # the template's 45 wins
        "rate": {"key": "+optimizer.lr", "min": 1e-5, "max": 1e-3, "default": 2e-4},
    }
    path = write(config={"template": f"base.{suffix}"}, params=entries)
    spec = load_spec(load_spec(str(path)).pinned)
    assert bound(spec).default_params() == {"mel_w": 45, "rate": 2e-4}
    assert "0.0005" in config_text(spec, {"mel_w": 30, "rate": 5e-4}, launch(tmp_path))
    assert bound(spec).export_keys() == {"mel_w": "loss.mel_w", "rate": "optimizer.lr"}
    assert "lr" in str((bound(spec).export_template() or ("", ""))[1])
    with pytest.raises(RequestError, match=r"base\.\w+ has no key 'optimizer\.lr'"):
        load_spec(str(write(params={**entries, "rate": {**entries["rate"], "key": "optimizer.lr"}})))


@pytest.mark.parametrize("path", [FIXTURE / "stdout.yaml", FIXTURE / "csv.yaml", FIXTURE / "tensorboard.yaml"], ids=str)
def test_the_specs_of_the_fixture_are_good(path: Path) -> None:
    spec = load_spec(str(path))
    assert isinstance(spec, TrainerSpec)


@pytest.mark.parametrize("name", shipped_specs())
def test_a_shipped_spec_needs_nothing_but_its_template(name: str) -> None:
    if SpecFile.model_validate(read_yaml_mapping(shipped_specs()[name])).config is None:
        load_spec(name)
        return
    with pytest.raises(RequestError) as caught:
        load_spec(name)
    assert "cannot be read: No such file or directory; --set template=FILE names your own" in str(caught.value)
    assert str(caught.value).count("; ") == 1


def with_defaults() -> dict[str, Any]:
    return {name: {**entry, "default": 45.0 if name == "mel_w" else 0.99} for name, entry in SPEC["params"].items()}
