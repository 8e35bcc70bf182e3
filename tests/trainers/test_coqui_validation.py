"""Validation of Coqui's models in process. Coqui is not installed here; `make test-trainers` runs the real one."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from sweeps.common.errors import RequestError
from sweeps.common.strict_yaml import read_yaml_mapping
from sweeps.external.config_file import ConfigFile
from sweeps.external.spec import SpecFile, load_spec, shipped_specs
from sweeps.external.trainer import bound
from sweeps.tuner.train import read_config
from trainers.coqui import CoquiVits
from trainers.coqui_validation import Validation, own_seed, split_of, with_foreign_texts
from xtts_sweep.sweep_plan import SweepOptions, config_of

TEXTS = [[1, 2, 3], [4, 5], [6, 7, 8, 9], [1, 2, 3]]
BATCHES = [
    {"tokens": torch.tensor([[1, 2, 3], [4, 5, 0]]), "token_lens": torch.tensor([3, 2]), "clip": torch.tensor([0, 1])},
    {"tokens": torch.tensor([[6, 7, 8, 9]]), "token_lens": torch.tensor([4]), "clip": torch.tensor([2])},
    {"tokens": torch.tensor([[1, 2, 3]]), "token_lens": torch.tensor([3]), "clip": torch.tensor([3])},
]


class Model:
    """Has no more of a model than its mode."""

    def eval(self) -> None:
        pass


class CoquiDouble:
    """Stands for Coqui's trainer: a loss that a foreign text raises by 1 a clip, and one that is noise."""

    model = Model()
    eval_samples: tuple[str, ...] = ()

    def get_eval_dataloader(self, samples: object, verbose: bool) -> list[dict[str, Tensor]]:
        return BATCHES

    def format_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        batch["on_device"] = batch.pop("tokens")  # as Coqui does: what is not needed any more goes
        return batch

    def eval_step(self, batch: Mapping[str, Any], step: int) -> tuple[None, dict[str, float]]:
        rows = zip(batch["on_device"], batch["token_lens"], batch["clip"], strict=True)
        foreign = [row[: int(length)].tolist() != TEXTS[int(clip)] for row, length, clip in rows]
        return None, {"kl": 2.0 + sum(foreign) / len(foreign), "noise": float(torch.rand(()))}


def test_each_clip_gets_the_nearest_in_length_of_the_other_texts() -> None:
    swapped = with_foreign_texts(BATCHES, "tokens", "token_lens")
    rows = [
        row[: int(n)].tolist() for batch in swapped for row, n in zip(batch["tokens"], batch["token_lens"], strict=True)
    ]
    assert rows == [[4, 5], [1, 2, 3], [1, 2, 3], [4, 5]]
    assert [batch["clip"].tolist() for batch in swapped] == [[0, 1], [2], [3]]
    assert BATCHES[0]["tokens"].tolist() == [[1, 2, 3], [4, 5, 0]]


def test_text_use_is_what_foreign_texts_add_and_losses_are_means_over_clips() -> None:
    found = Validation(CoquiDouble(), ("tokens", "token_lens")).evaluate("kl")
    assert found.losses["kl"] == 2.0
    assert found.text_use == 1.0
    assert found.by_batch == [1.0, 1.0, 1.0]


def test_a_validation_draws_the_same_noise_each_time_and_leaves_the_trainings_alone() -> None:
    validation = Validation(CoquiDouble(), ("tokens", "token_lens"))
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    first = validation.evaluate("kl").losses["noise"]
    drawn = torch.rand(1)
    assert validation.evaluate("kl").losses["noise"] == first
    assert torch.equal(torch.cat([drawn, torch.rand(1)]), expected)


def test_an_own_seed_holds_for_python_and_numpy_too() -> None:
    before = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[union-attr,index]
    with own_seed(5):
        one = random.random(), np.random.random()
    with own_seed(5):
        assert (random.random(), np.random.random()) == one
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # type: ignore[union-attr,index]


def test_search_and_confirmation_share_no_clip() -> None:
    samples = list(range(7))
    search, confirmation = split_of(samples, "validation"), split_of(samples, "test")
    assert sorted(search + confirmation) == samples
    assert not set(search) & set(confirmation)
    assert CoquiVits.confirmation_params() == {"evaluate_on": "test"}


def test_a_missing_config_and_an_unknown_split_are_named(tmp_path: Path) -> None:
    config = tmp_path / "vits.json"
    with pytest.raises(RequestError, match="--set config=FILE: trainer CoquiVits needs your Coqui config"):
        CoquiVits.check_params(CoquiVits.default_params())
    config.write_text("{}")
    CoquiVits.check_params({**CoquiVits.default_params(), "config": str(config)})
    with pytest.raises(RequestError, match="evaluate_on=tset: did you mean 'test'"):
        CoquiVits.check_params({"config": str(config), "evaluate_on": "tset"})


def test_trial_1_is_the_users_config(tmp_path: Path) -> None:
    path = tmp_path / "vits.json"
    path.write_text(json.dumps({"mel_loss_alpha": 30, "grad_clip": [5, 7.5]}))  # without kl: Coqui's own default
    asked = SweepOptions(trainer="trainers.coqui:CoquiVits", set={"config": str(path)}, trials=2, epochs=1)
    config = config_of(asked)
    assert config.space.default().params == {"mel_loss_alpha": 30, "kl_loss_alpha": 1.0, "grad_clip_gen": 7.5}
    fixed = config_of(replace(asked, set={"config": str(path), "mel_loss_alpha": 20}))
    assert fixed.space.default().params == {"kl_loss_alpha": 1.0, "grad_clip_gen": 7.5}
    assert fixed.shared_params["mel_loss_alpha"] == 20
    space = tmp_path / "space.yaml"
    space.write_text("parameters: {kl_loss_alpha: {min: 0.5, max: 2.0, distribution: uniform, default: 1.5}}")
    searched = config_of(replace(asked, space=str(space)))
    assert searched.shared_params["grad_clip_gen"] == 7.5
    single = tmp_path / "single.yaml"
    single.write_text("training: {kl_loss_alpha: 0.5}")
    params = read_config(single, CoquiVits, {"config": str(path)})
    assert (params["mel_loss_alpha"], params["kl_loss_alpha"], params["grad_clip_gen"]) == (30, 0.5, 7.5)
    path.write_text(json.dumps({"mel_loss_alpha": 300}))
    with pytest.raises(RequestError, match=r"fixes one.*the default 300 lies outside 5 to 90"):
        config_of(asked)


@pytest.mark.parametrize("name", ["piper", "myxtts", "coqui_vits", "coqui_xtts_gpt"])
def test_trial_1_of_a_shipped_spec_is_the_users_template(name: str, tmp_path: Path) -> None:
    spec = SpecFile.model_validate(read_yaml_mapping(shipped_specs()[name]))
    assert spec.config is not None
    template = ConfigFile("{}", ".json", "template")
    for key, value in {**spec.set, **spec.freeze}.items():
        if not key.startswith("+"):
            template.add(key, value)
    middles = {name: round((cast(float, e.min) * cast(float, e.max)) ** 0.5, 7) for name, e in spec.params.items()}
    if name == "piper":
        middles["c_mel"] = 31
    for parameter, value in middles.items():
        template.add(str(spec.params[parameter].key).removeprefix("+"), value)
    path = tmp_path / f"template{Path(spec.config.template).suffix}"
    path.write_text(template.text())
    loaded = load_spec(name, {"template": str(path), "config.write": f"config{path.suffix}"})
    assert bound(loaded).default_params() == middles
