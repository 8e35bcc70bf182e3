"""The user's own JSON, YAML or TOML template gets the tuned values at its own keys, and nothing else changes."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
import yaml

from xtts.export import ExportError, Provenance, TunedConfig, TunedParams, export_config, exporters, targets

YAML = "# mine\nopt:\n  lr: 0.1   # peak\n  loss:\n    mel_w:   45.0  # as in the paper\n    kl_w: 1.0\nname: 'a'\n"
TOML = "# mine\nname = 'a'\n\n[opt]\nlr = 0.1  # peak\n\n[opt.loss]\nmel_w   = 45.0  # as in the paper\nkl_w = 1.0\n"
JSON = json.dumps({"opt": {"lr": 0.1, "loss": {"mel_w": 45.0, "kl_w": 1.0}}}, indent=4) + "\n"
KEYS = {"mel": "opt.loss.mel_w", "rate": "opt.lr"}
EXTERNAL = TunedParams({"mel": 30.5, "rate": 1e-4}, searched=frozenset({"mel", "rate"}))


def exported(
    tmp_path: Path, provenance: Provenance, name: str, text: str, params: TunedParams = EXTERNAL, **options: object
) -> str:
    template, output = tmp_path / name, tmp_path / f"out-{name}"
    template.write_bytes(text.encode())
    export_config("template", params, provenance, output, template=template, **options)  # type: ignore[arg-type]
    return output.read_bytes().decode()


def test_yaml_keeps_every_line_but_the_tuned_ones(tmp_path: Path, provenance: Provenance) -> None:
    text = exported(tmp_path, provenance, "base.yaml", YAML, keys=KEYS)
    body = text.split("# <<< exported by XTTS Sweep\n", 1)[1]
    assert body == YAML.replace("45.0", "30.5").replace("lr: 0.1", "lr: 1.0e-04")
    assert "verdict: better" in text


def test_exporting_again_replaces_the_provenance(tmp_path: Path, provenance: Provenance) -> None:
    once = exported(tmp_path, provenance, "base.yaml", YAML.replace("\n", "\r\n"), keys=KEYS)
    assert exported(tmp_path, provenance, "again.yaml", once, keys=KEYS) == once


def test_toml_keeps_its_comments(tmp_path: Path, provenance: Provenance) -> None:
    text = exported(tmp_path, provenance, "base.toml", TOML, keys=KEYS)
    body = text.split("# <<< exported by XTTS Sweep\n", 1)[1]
    assert body == TOML.replace("45.0", "30.5").replace("lr = 0.1", "lr = 0.0001")
    assert tomllib.loads(text)["opt"]["loss"] == {"mel_w": 30.5, "kl_w": 1.0}


def test_json_keeps_its_order_and_indentation(tmp_path: Path, provenance: Provenance) -> None:
    text = exported(tmp_path, provenance, "base.json", JSON, keys=KEYS)
    assert text == JSON.replace("45.0", "30.5").replace("0.1", "0.0001")


@pytest.mark.parametrize(("name", "text"), [("a.yaml", YAML), ("a.toml", TOML), ("a.json", JSON)])
def test_a_key_that_the_spec_names_and_the_template_lacks_is_an_error(
    tmp_path: Path, provenance: Provenance, name: str, text: str
) -> None:
    with pytest.raises(ExportError, match=r"has no opt\.loss\.absent"):
        exported(tmp_path, provenance, name, text, keys={"mel": "opt.loss.absent"})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "clip: [5, 1000] # two\nlosses:\n- {w: 45} # mel\n"),
        ("a.toml", "clip = [5, 1000] # two\n[[losses]]\nw = 45 # mel\n"),
        ("a.json", '{"clip": [5, 1000], "losses": [{"w": 45}]}'),
    ],
)
def test_a_key_may_name_an_entry_of_a_list(tmp_path: Path, provenance: Provenance, name: str, text: str) -> None:
    written = exported(tmp_path, provenance, name, text, keys={"mel": "losses.0.w", "rate": "clip.1"})
    load = {"yaml": yaml.safe_load, "toml": tomllib.loads, "json": json.loads}[name[2:]]
    loaded = load(written)
    assert (loaded["clip"], loaded["losses"]) == ([5, 1e-4], [{"w": 30.5}])
    assert name == "a.json" or ("# two" in written and "# mel" in written)


def test_without_keys_leaves_of_the_same_name_are_set(
    tmp_path: Path, tuned: TunedConfig, provenance: Provenance
) -> None:
    text = exported(tmp_path, provenance, "a.yaml", "a:\n  mel_loss_weight: 45\nb:\n  kl_loss_weight: 1\n", tuned)
    assert yaml.safe_load(text) == {"a": {"mel_loss_weight": 3.5}, "b": {"kl_loss_weight": 0.8}}


def test_a_section_of_the_same_name_is_no_place_for_a_value(tmp_path: Path, provenance: Provenance) -> None:
    text = "mel: {kind: l1}\nloss:\n  mel: 45\n"
    assert exported(tmp_path, provenance, "a.yaml", text).endswith("mel: {kind: l1}\nloss:\n  mel: 30.5\n")


def test_a_name_in_two_places_is_an_error_that_lists_them(
    tmp_path: Path, tuned: TunedConfig, provenance: Provenance
) -> None:
    twice = json.dumps({"a": {"mel_loss_weight": 1}, "b": {"c": {"mel_loss_weight": 2}}})
    with pytest.raises(ExportError, match=r"a\.mel_loss_weight, b\.c\.mel_loss_weight"):
        exported(tmp_path, provenance, "a.json", twice, tuned)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.ini", "x", "must end in"),
        ("a.json", "{", "not JSON"),
        ("a.json", "[1]", "holds a list"),
        ("a.toml", "a = ", "not TOML"),
        ("a.yaml", "a: [", "not YAML"),
        ("a.yaml", "a: 1\n", "has none of mel, rate"),
    ],
)
def test_a_template_that_does_not_fit_is_an_error_in_one_line(
    tmp_path: Path, provenance: Provenance, name: str, text: str, message: str
) -> None:
    with pytest.raises(ExportError, match=message) as refused:
        exported(tmp_path, provenance, name, text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("target", ["native", "myxtts"])
def test_an_external_trainers_config_goes_into_a_template_only(
    tmp_path: Path, provenance: Provenance, target: str
) -> None:
    with pytest.raises(ExportError, match="use --to template"):
        export_config(target, EXTERNAL, provenance, tmp_path / "out.yaml")


def test_a_new_exporter_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_trainer.py").write_text(
        "from xtts.export.exporter import Export, Exporter\n"
        "EXPORTER = Exporter('for my trainer', lambda job: Export('x'))\n"
    )
    monkeypatch.setattr(targets, "__path__", [*targets.__path__, str(tmp_path)])
    exporters.cache_clear()
    try:
        assert exporters()["my-trainer"].summary == "for my trainer"
    finally:
        exporters.cache_clear()
