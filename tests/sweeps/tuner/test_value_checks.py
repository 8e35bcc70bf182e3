"""Values that the trainer would refuse are named before anything is started, all at once."""

from pathlib import Path

import pytest

from sweeps.common.budget import Budget
from sweeps.common.errors import RequestError
from sweeps.run.config import SweepConfig
from sweeps.space.space_file import space_from_mapping
from sweeps.trainer import Trainer
from sweeps.tuner.api import check

WHOLE = {"min": 10, "max": 60, "default": 30}
MEL = {"min": 1.0, "max": 5.0, "default": 2.5}


def request(parameters: dict[str, object], fixed: dict[str, object], given: dict[str, object]) -> SweepConfig:
    from xtts.trainer import XttsTrainer

    space = space_from_mapping({"parameters": parameters, "set": fixed}, "mine.yaml")
    known = {name: value for name, value in XttsTrainer.default_params().items() if name not in space.hyperparameters}
    return SweepConfig(
        "n", Path("runs"), space, "xtts.trainer:XttsTrainer", "", Budget(4, 2), fixed=known, set_params=given
    )


@pytest.mark.parametrize(
    ("parameters", "fixed", "wanted"),
    [
        ({"warmup_updates": {"distribution": "uniform", **WHOLE}}, {}, ["whole number", "int_uniform"]),
        ({"mel_normalisation": {"values": ["standard", "minmax"], "default": "standard"}}, {}, ["'minmax'"]),
        ({"mel_normalisation": {"values": ["standard", None], "default": "standard"}}, {}, ["None"]),
        ({"loss_value_clip": {"values": [False, 10.0], "default": 10.0}}, {}, ["YAML reads off"]),
        ({"weight_decay": {"min": -0.1, "max": 0.1, "default": 0.01}}, {}, ["weight_decay -0.1"]),
        ({"history_dropout": {"min": 0.0, "max": 2.0, "default": 0.3}}, {}, ["history_dropout 2.0"]),
        ({"mel_loss_weight": MEL}, {"warmup_updates": "30"}, ["warmup_updates '30'", "without quotes"]),
        ({"mel_loss_weight": MEL, "precision": "bf16"}, {}, ["precision 'bf16'"]),
        (
            {"mel_loss_weight": MEL, "model": {"values": ["tiny", "smal"], "default": "tiny"}},
            {"warmup_updates": -1},
            ["model 'smal'", "warmup_updates -1"],
        ),
    ],
)
def test_what_the_trainer_refuses_is_refused_at_once(parameters, fixed, wanted):
    with pytest.raises(RequestError) as caught:
        check(request(parameters, fixed, {}))
    assert all(word in str(caught.value) for word in wanted)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "warmup",
    [
        {"distribution": "int_uniform", **WHOLE},
        {"distribution": "q_uniform", "q": 10, **WHOLE},
        WHOLE,
    ],
)
def test_whole_numbers_are_no_error(warmup):
    check(request({"warmup_updates": warmup, "mel_loss_weight": MEL}, {}, {"weight_decay": 0.0}))


class NeedsConfig(Trainer):
    """A trainer that trains nothing without the path of a config."""

    def train_epoch(self):
        return {"objective": 1.0}

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass

    @classmethod
    def default_params(cls):
        return {"config": "", "clip": 1.0}

    @classmethod
    def check_params(cls, params):
        if not params["config"]:
            raise RequestError("needs a config")


@pytest.mark.parametrize("where", ["--set", "resumed", "nowhere"])
def test_what_a_trainer_needs_at_all_may_be_fixed_for_all_trials(where):
    space = space_from_mapping({"parameters": {"clip": {"min": 0.1, "max": 2.0, "default": 1.0}}}, "mine.yaml")
    given = {"config": "mine.json"}
    config = SweepConfig(
        "n",
        Path("runs"),
        space,
        f"{__name__}:NeedsConfig",
        "",
        Budget(4, 2),
        fixed=given if where == "resumed" else {},
        set_params=given if where == "--set" else {},
    )
    if where != "nowhere":
        assert issubclass(check(config), NeedsConfig)
        return
    with pytest.raises(RequestError, match="needs a config") as caught:
        check(config)
    assert str(caught.value).count("needs a config") == 1


def test_a_sweep_file_of_wandb_is_taken_as_far_as_it_fits():
    given = {"program": "train.py", "method": "bayes", "metric": {"name": "x"}, "parameters": {"mel_loss_weight": MEL}}
    assert space_from_mapping(given, "w.yaml").ignored == ("program", "method", "metric")
    without_default = {"method": "bayes", "parameters": {"mel_loss_weight": {"min": 1.0, "max": 5.0}}}
    assert space_from_mapping(without_default, "w.yaml").assumed == ("mel_loss_weight 3.0 (the middle)",)
    with pytest.raises(RequestError, match="W&B's own: method") as caught:
        space_from_mapping({"method": "bayes", "parameters": {"mel_loss_weight": {"min": 1.0}}}, "w.yaml")
    assert "unknown key" not in str(caught.value)


def test_a_number_in_quotes_is_told_to_lose_them():
    with pytest.raises(RequestError, match="min '1e-4' is a word: write the number without quotes"):
        space_from_mapping({"parameters": {"learning_rate": {"min": "1e-4", "max": "1e-3", "default": 5e-4}}}, "s.yaml")
