"""Exports for MyXTTS load where that trainer loads them, and change a user's file only where they must."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field, make_dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from xtts.export import ExportError, Provenance, TunedConfig
from xtts.export.targets.myxtts import compare_template, known_keys, render_myxtts, render_myxtts_override

USERS_FILE = """\
# my voice, third try
model:
  decoder_dim: 768      # fits my card

data:
  language: fa
training:
  # do not touch!
  epochs: 500
  learning_rate: 8e-5
  mel_loss_weight: 35.0   # 45 was worse
  "kl_loss_weight": 1.8
  use_adaptive_loss_weights: true
  gradient_clip_norm: '1.0'

  wandb_project: 'my: voice'
"""


def section_class(name: str) -> type:
    # The keys come from the committed dump; the test below that counts them keeps it from losing some.
    return make_dataclass(name, [(key, Any, field(default=None)) for key in sorted(known_keys()[name])])


@dataclass
class XTTSConfigStandIn:
    """MyXTTS's XTTSConfig as its from_yaml builds it (TensorFlow itself cannot be had here): each section is passed as
    keyword arguments to a dataclass, so that an unknown key is a TypeError."""

    model: Any
    data: Any
    training: Any

    @classmethod
    def from_yaml(cls, text: str) -> XTTSConfigStandIn:
        loaded = yaml.safe_load(text)
        return cls(*(section_class(name)(**loaded.get(name, {})) for name in ("model", "data", "training")))


def body(text: str) -> str:
    return text.split("# <<< exported by XTTS Sweep\n", 1)[1]


def test_the_stand_in_refuses_an_unknown_key_as_the_trainer_does() -> None:
    with pytest.raises(TypeError, match="n_mels"):
        XTTSConfigStandIn.from_yaml("data: {n_mels: 80}")


def test_the_whole_yaml_loads_with_every_key_of_the_trainer(tuned: TunedConfig, provenance: Provenance) -> None:
    text = render_myxtts(tuned, provenance, None)
    loaded = yaml.safe_load(text)
    config = XTTSConfigStandIn.from_yaml(text)
    assert {name: len(keys) for name, keys in loaded.items()} == {"model": 66, "data": 63, "training": 74}
    assert config.training.mel_loss_weight == 3.5
    assert config.training.kl_loss_weight == 0.8
    assert config.training.gradient_clip_norm == 0.6
    assert config.training.use_adaptive_loss_weights is False
    assert config.training.epochs == 1000
    assert re.search(r"^  kl_loss_weight: 0\.8  # read by nothing in MyXTTS", text, re.MULTILINE)


def test_every_float_is_written_so_that_pyyaml_reads_a_float(tuned: TunedConfig, provenance: Provenance) -> None:
    small = dataclasses.replace(
        tuned, params={**tuned.params, "weight_decay": 3e-7}, searched=frozenset({"learning_rate", "weight_decay"})
    )
    text = render_myxtts(small, provenance, None)
    assert "  learning_rate: 1.0e-04\n" in text
    assert "  weight_decay: 3.0e-07\n" in text
    loaded = yaml.safe_load(text)
    texts = [value for keys in loaded.values() for value in keys.values() if isinstance(value, str)]
    assert not [value for value in texts if re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?", value, re.IGNORECASE)]
    for key in ("learning_rate", "weight_decay", "eps", "min_learning_rate", "beta1", "mel_loss_weight"):
        assert isinstance(loaded["training"][key], float), key


def test_only_a_searched_learning_rate_goes_to_another_trainer(tuned: TunedConfig, provenance: Provenance) -> None:
    params = {**tuned.params, "learning_rate": 3e-3}
    fixed = dataclasses.replace(tuned, params=params)
    searched = dataclasses.replace(tuned, params=params, searched=frozenset({"learning_rate"}))
    assert yaml.safe_load(render_myxtts(fixed, provenance, None))["training"]["learning_rate"] == 1e-4
    assert yaml.safe_load(render_myxtts(searched, provenance, None))["training"]["learning_rate"] == 3e-3


def test_a_searched_parameter_without_a_counterpart_is_named_and_not_written(
    tuned: TunedConfig, provenance: Provenance
) -> None:
    params = {**tuned.params, "history_dropout": 0.3}
    text = render_myxtts(
        dataclasses.replace(tuned, params=params, searched=frozenset({"history_dropout"})), provenance, None
    )
    assert "without a counterpart in MyXTTS, and not written: history_dropout." in text
    XTTSConfigStandIn.from_yaml(text)


def test_a_users_file_changes_in_its_tuned_leaves_only(tuned: TunedConfig, provenance: Provenance) -> None:
    expected = (
        USERS_FILE.replace("mel_loss_weight: 35.0   #", "mel_loss_weight: 3.5   #")
        .replace('"kl_loss_weight": 1.8', '"kl_loss_weight": 0.8')
        .replace("use_adaptive_loss_weights: true", "use_adaptive_loss_weights: false")
        .replace("gradient_clip_norm: '1.0'", "gradient_clip_norm: 0.6")
    )
    assert body(render_myxtts(tuned, provenance, USERS_FILE)) == expected


def test_missing_keys_are_added_and_named_and_unknown_ones_kept_and_named(
    tuned: TunedConfig, provenance: Provenance
) -> None:
    template = (
        "data:\n  n_mels: 80\n  language: fa\nextra:\n  mine: 1\ntraining:\n  mel_loss_weight: 35.0\n  steps: 9\n"
    )
    text = render_myxtts(tuned, provenance, template)
    findings = compare_template(tuned, template)
    assert findings.added == (
        "training.kl_loss_weight",
        "training.gradient_clip_norm",
        "training.use_adaptive_loss_weights",
    )
    assert findings.unknown == ("data.n_mels", "training.steps")
    assert findings.unread == ("extra",)
    known = {f"{section}.{key}" for section, keys in known_keys().items() for key in keys}
    assert set(findings.missing) == known - {
        "data.language",
        "training.mel_loss_weight",
        "training.kl_loss_weight",
        "training.gradient_clip_norm",
        "training.use_adaptive_loss_weights",
    }
    assert f"and {len(findings.missing) - 20} more." in text
    unwrapped = text.replace("\n#   ", " ")
    for line in findings.lines():
        assert line in unwrapped
    loaded = yaml.safe_load(text)
    assert loaded["data"] == {"n_mels": 80, "language": "fa"}
    assert loaded["extra"] == {"mine": 1}
    assert loaded["training"]["steps"] == 9
    assert loaded["training"]["kl_loss_weight"] == 0.8


def test_a_number_that_pyyaml_takes_for_text_is_named(tuned: TunedConfig) -> None:
    # MyXTTS's own example configs are written so.
    template = "training:\n  learning_rate: 1e-4\n  eps: 1e-08\n  min_learning_rate: 1.0e-06\n  mel_loss_weight: 3e1\n"
    findings = compare_template(tuned, template)
    assert findings.text == ("training.learning_rate", "training.eps")
    assert "Write 1e-4 as 1.0e-04." in findings.lines()[-1]


def test_exporting_again_replaces_the_old_provenance(tuned: TunedConfig, provenance: Provenance) -> None:
    once = render_myxtts(tuned, provenance, USERS_FILE)
    later = dataclasses.replace(provenance, run="morning")
    twice = render_myxtts(tuned, later, once)
    assert twice == once.replace("run evening", "run morning")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_header_takes_the_files_line_ends_and_stands_behind_its_byte_order_mark(
    tuned: TunedConfig, provenance: Provenance, end: str
) -> None:
    text = render_myxtts(tuned, provenance, "\ufeff" + USERS_FILE.replace("\n", end))
    assert text.startswith(f"\ufeff# >>> exported by XTTS Sweep{end}")
    assert text.count("\n") == text.count(end)
    assert yaml.safe_load(text)["training"]["mel_loss_weight"] == 3.5
    again = render_myxtts(tuned, provenance, text)
    assert again == text


def test_the_override_sets_the_values_on_the_trainers_config(tuned: TunedConfig, provenance: Provenance) -> None:
    text = render_myxtts_override(tuned, provenance)
    training = SimpleNamespace(mel_loss_weight=2.0, kl_loss_weight=1.8, gradient_clip_norm=0.5, learning_rate=3e-5)
    exec(compile(text, "override.py", "exec"), {"config": SimpleNamespace(training=training)})
    assert vars(training) == {
        "mel_loss_weight": 3.5,
        "kl_loss_weight": 0.8,
        "gradient_clip_norm": 0.6,
        "learning_rate": 3e-5,
        "use_adaptive_loss_weights": False,
    }
    assert "after apply_optimization_level()" in text.replace("\n#   ", " ")
    assert set(vars(training)) <= set(known_keys()["training"])


@pytest.mark.parametrize("template", [None, USERS_FILE])
def test_the_notes_say_what_the_trainer_honours(
    tuned: TunedConfig, provenance: Provenance, template: str | None
) -> None:
    text = render_myxtts(tuned, provenance, template).replace("\n#   ", " ")
    assert "3.5 / 2.1 = 1.67 is roughly its equivalent" in text
    assert "The plain value is right where" in text
    assert "1.67 is right where" in text
    assert "Never carry it over into attention_loss_weight" in text
    assert "a fixed clip at 0.5 comes first, so that 0.5 to 1.0 are the same" in text
    assert "train_main.py reads no YAML" in text


def test_weights_tuned_on_raw_mel_need_no_second_value(tuned: TunedConfig, provenance: Provenance) -> None:
    raw = dataclasses.replace(tuned, params={**tuned.params, "mel_normalisation": "none"})
    text = render_myxtts(raw, provenance, None)
    assert "no conversion is needed" in text
    assert "/ 2.1" not in text


def test_a_template_that_is_no_config_is_refused(tuned: TunedConfig, provenance: Provenance) -> None:
    with pytest.raises(ExportError, match=r"^the template has no `training:` section"):
        render_myxtts(tuned, provenance, "model: {decoder_dim: 8}\n")


@settings(deadline=None)  # a busy machine is not a finding
@given(name=st.text(max_size=60))
def test_no_name_breaks_out_of_the_comments(name: str) -> None:
    tuned = TunedConfig({"mel_loss_weight": 3.5, "kl_loss_weight": 0.8, "gradient_clip_norm": 0.6}, -5.2, 2.3)
    hostile = Provenance(0.5, 7, "unconfirmed", (), None, f"a\n{name}\ntraining: 1", name, "2026-11-23", "0.1.0", name)
    text = render_myxtts(tuned, hostile, "training: {mel_loss_weight: 1}\n")
    assert text.isascii()
    assert yaml.safe_load(text) == {
        "training": {
            "kl_loss_weight": 0.8,
            "gradient_clip_norm": 0.6,
            "use_adaptive_loss_weights": False,
            "mel_loss_weight": 3.5,
        }
    }
    namespace = {"config": SimpleNamespace(training=SimpleNamespace())}
    exec(compile(render_myxtts_override(tuned, hostile), "override.py", "exec"), namespace)
