"""Coqui VITS and XTTS's GPT in process: exact resume, and validation over all batches with one fixed seed.

For users who have coqui-tts in the environment of the sweep (`pip install 'xtts-sweep[coqui]'`):

    python run_sweep.py --trainer trainers.coqui:CoquiVits --set config=my_vits.json
    python run_sweep.py --trainer trainers.coqui:CoquiXttsGpt --set config=my_xtts.json --data DIR

Parameters, ranges and reasons are those of the specs coqui_vits.yaml and coqui_xtts_gpt.yaml. Half of Coqui's
evaluation samples is the validation split; the other half is the test split, which only confirmation runs open.
"""

from __future__ import annotations

import json
import math
import random
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar, cast

from sweeps.common.errors import RequestError, meant
from sweeps.common.strict_yaml import read_yaml_mapping
from sweeps.external.config_file import ConfigFile
from sweeps.trainer import PreparedData, Trainer, TrialContext
from trainers.coqui_validation import SPLITS, Evaluation, Validation, seed_all, split_of

SPACE_KEYS = ("distribution", "min", "max", "q", "values", "default")


class CoquiTrainer(Trainer, ABC):
    """What both models share; `spec` is the shipped spec whose parameters they take."""

    spec: ClassVar[str]
    weights: ClassVar[Mapping[str, tuple[str, str]]]
    """Of each reported term: Coqui's loss and the parameter that weights it"""
    defaults: ClassVar[Mapping[str, object]]
    text_term: ClassVar[str]
    """The reported term that needs the text, of which text_use is taken"""
    text_keys: ClassVar[tuple[str, str]]
    """Coqui's names for the tokens of a batch and their counts"""

    def __init__(self, params: Mapping[str, object], data: str, seed: int) -> None:
        self._params = {**self.default_params(), **self.configured_params(params), **params}
        self._data, self._seed = data, seed
        self._state: dict[str, object] | None = None
        self._folder: Path | None = None
        self._temporary: Path | None = None
        self._coqui: Any = None
        self._validation: Validation | None = None
        self._epoch = 0

    @abstractmethod
    def make(self, folder: Path) -> Any:
        """Coqui's trainer, with its model."""

    def start(self, context: TrialContext) -> None:
        """The model is made here, not in the first epoch: loading it may take longer than many epochs."""
        self._folder = context.folder
        self._begin()

    def train_epoch(self) -> Mapping[str, object]:
        """One epoch as Coqui trains it, then validation."""
        if self._coqui is None:
            self._begin()
        from trainer.generic_utils import KeepAverage

        coqui = self._coqui
        coqui.keep_avg_train, coqui.keep_avg_eval = KeepAverage(), None
        coqui.epochs_done = self._epoch
        coqui.train_epoch()
        self._epoch += 1
        evaluation = cast(Validation, self._validation).evaluate(self.weights[self.text_term][0])
        report: dict[str, object] = {}
        trained = {name.removeprefix("avg_"): float(value) for name, value in coqui.keep_avg_train.avg_values.items()}
        for name, (loss, weight) in self.weights.items():
            divisor = float(cast(float, self._params[weight])) if weight else 1.0
            report[f"val/{name}"] = evaluation.losses[loss] / divisor
            if loss in trained:
                report[f"train/{name}"] = trained[loss] / divisor
        first = next(iter(self.weights))
        report["objective"] = report[f"val/{first}"]
        report |= self._text_use(evaluation)
        report["updates"] = int(coqui.total_steps_done)
        for name, value in report.items():
            if isinstance(value, float) and not math.isfinite(value):
                report["diverged"] = {"step": int(coqui.total_steps_done), "term": name, "value": str(value)}
                break
        return report

    def _text_use(self, evaluation: Evaluation) -> dict[str, object]:
        from xtts.evaluation.speech_metrics import MeanInterval

        divisor = float(cast(float, self._params[self.weights[self.text_term][1]]))
        interval = MeanInterval.of([difference / divisor for difference in evaluation.by_batch])
        bounds = {"text_use_low": interval.low, "text_use_high": interval.high}
        known = {name: value for name, value in bounds.items() if value is not None}
        return {"text_use": evaluation.text_use / divisor, **known}

    def state_dict(self) -> dict[str, object]:
        """Model, optimisers, schedulers, counts, and every random generator."""
        import numpy as np
        import torch

        coqui = self._coqui
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        return {
            "epoch": self._epoch,
            "steps": int(coqui.total_steps_done),
            "model": dict(coqui.model.state_dict()),
            "optimizers": [optimizer.state_dict() for optimizer in coqui.optimizer],
            "schedulers": [
                None if scheduler is None else _plain(scheduler.state_dict()) for scheduler in coqui.scheduler
            ],
            "random": {"python": random.getstate(), "numpy": np.random.get_state(), "torch": torch.get_rng_state()},
            "cuda": list(cuda),
        }

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Taken up with the next epoch."""
        self._state, self._epoch = state, int(cast(int, state["epoch"]))

    def close(self) -> None:
        """Release the model, and remove Coqui's own folder where none was given."""
        self._coqui = self._validation = None
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None

    def export_best(self, folder: Path) -> None:
        """The weights, as Coqui's own code loads them, and the config."""
        import torch

        if self._coqui is None:
            self._begin()
        torch.save({"model": self._coqui.model.state_dict()}, folder / "best_model.pth")
        self._coqui.config.save_json(str(folder / "config.json"))

    @classmethod
    def default_params(cls) -> Mapping[str, object]:
        """The spec's parameters and the config's path."""
        return {"config": "", "evaluate_on": SPLITS[0], **cls.defaults}

    @classmethod
    def configured_params(cls, settings: Mapping[str, object]) -> Mapping[str, object]:
        """What the user's Coqui config holds at the spec's keys."""
        path = str(settings.get("config") or "")
        if not Path(path).is_file():
            return {}
        config = _read_config(path)
        return {name: config.get(key) for name, key in cls.export_keys().items() if config.problem(key) is None}

    @classmethod
    def confirmation_params(cls) -> Mapping[str, object]:
        """A confirmation is judged on clips that the search never saw."""
        return {"evaluate_on": SPLITS[1]}

    @classmethod
    def check_params(cls, params: Mapping[str, object]) -> None:
        """The config must be there, and the split be one."""
        split = params.get("evaluate_on", SPLITS[0])
        if split not in SPLITS:
            raise RequestError(f"--set evaluate_on={split}: {meant(str(split), SPLITS)}")
        path = str(params.get("config") or "FILE")
        if not Path(path).is_file():
            raise RequestError(f"--set config={path}: trainer {cls.__name__} needs your Coqui config, a JSON file")

    @classmethod
    def default_space(cls, without: Sequence[str] = ()) -> Mapping[str, object] | None:
        """The spec's, with Coqui's defaults where the user's config has none."""
        parameters = {
            name: {**{key: entry[key] for key in SPACE_KEYS if key in entry}, "default": cls.defaults[name]}
            for name, entry in _spec_params(cls.spec).items()
            if name not in without
        }
        return {"name": cls.spec.replace("_", "-"), "parameters": parameters}

    @classmethod
    def own_limits(cls) -> Mapping[str, Mapping[str, object]] | None:
        """The spec's ranges."""
        keys = ("min", "max", "reason", "dangerous_above")
        return {
            name: {key: entry[key] for key in keys if key in entry} for name, entry in _spec_params(cls.spec).items()
        }

    @classmethod
    def export_keys(cls) -> Mapping[str, str]:
        """The spec's keys in the user's Coqui config."""
        return {name: str(entry["key"]) for name, entry in _spec_params(cls.spec).items()}

    @classmethod
    def prepare(cls, data: str | None, val_data: str | None, **options: Any) -> PreparedData:
        """--data takes the place of the config's first dataset."""
        if data is not None and not Path(data).is_dir():
            raise RequestError(f"--data {data}: there is no such folder")
        path = str(Path(data).resolve()) if data is not None else ""
        return PreparedData(path, {"data": path, "source": path}, [f"trainer      {cls.__name__}, in process"])

    def _begin(self) -> None:
        seed_all(self._seed)
        if self._folder is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="coqui-"))
        coqui = self._coqui = self.make(self._folder or cast(Path, self._temporary))
        coqui.train_loader = coqui.get_train_dataloader(coqui.train_samples, verbose=False)
        coqui.eval_samples = split_of(coqui.eval_samples, str(self._params["evaluate_on"]))
        self._validation = Validation(coqui, self.text_keys)
        state, self._state = self._state, None
        if state is not None:
            self._restore(state)

    def _restore(self, state: Mapping[str, Any]) -> None:
        import numpy as np
        import torch

        coqui = self._coqui
        coqui.model.load_state_dict(state["model"])
        for optimizer, saved in zip(coqui.optimizer, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        for scheduler, saved in zip(coqui.scheduler, state["schedulers"], strict=True):
            if scheduler is not None:
                scheduler.load_state_dict(saved)
        coqui.total_steps_done = int(state["steps"])
        version, internal, gauss = state["random"]["python"]
        random.setstate((version, tuple(internal), gauss))
        np.random.set_state(tuple(state["random"]["numpy"]))
        torch.set_rng_state(state["random"]["torch"])
        if state["cuda"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(list(state["cuda"]))

    def _given(self) -> dict[str, Any]:
        """The user's config with this trial's parameters at the spec's keys."""
        config = _read_config(str(self._params["config"]))
        for name, key in self.export_keys().items():
            config.add(key, self._params[name])
        given: dict[str, Any] = config.document
        if self._data:
            given["datasets"][0]["path"] = self._data
        off = {"test_sentences": [], "save_checkpoints": False, "print_eval": False, "training_seed": self._seed}
        return {**given, **off, "run_name": "trial"}


class CoquiVits(CoquiTrainer):
    """VITS: the objective is the validation's mel L1, divided by its weight.

    That mel is rebuilt from the recording and does not read the text; the KL term does, so text_use is the KL's.
    """

    spec = "coqui_vits"
    text_term = "kl"
    text_keys = ("tokens", "token_lens")
    weights: ClassVar[Mapping[str, tuple[str, str]]] = {
        "mel": ("loss_mel", "mel_loss_alpha"),
        "kl": ("loss_kl", "kl_loss_alpha"),
        "duration": ("loss_duration", ""),
    }
    defaults: ClassVar[Mapping[str, object]] = {"mel_loss_alpha": 45.0, "kl_loss_alpha": 1.0, "grad_clip_gen": 1000.0}

    def judged_figures(self) -> Mapping[str, Mapping[str, object]]:
        """Errors of the split's sentences as the model speaks them."""
        from trainers.coqui_speech import speech_figures

        return speech_figures(self._coqui.model, self._coqui.eval_samples)

    def make(self, folder: Path) -> Any:
        """As TTS/bin/train_tts.py does it."""
        from trainer import Trainer as CoquisTrainer
        from trainer import TrainerArgs
        from TTS.config import load_config
        from TTS.tts.datasets import load_tts_samples
        from TTS.tts.models import setup_model

        path = folder / "coqui.json"
        path.write_text(json.dumps(self._given()), encoding="utf-8")
        config = load_config(str(path))
        train, validation = load_tts_samples(
            config,
            eval_split=True,
            eval_split_max_size=config.eval_split_max_size,
            eval_split_size=config.eval_split_size,
        )
        model = setup_model(config)
        return CoquisTrainer(
            TrainerArgs(),
            model.config,
            str(folder),
            model=model,
            train_samples=train,
            eval_samples=validation,
            parse_command_line_args=False,
        )


class CoquiXttsGpt(CoquiTrainer):
    """XTTS v2's GPT: the objective is the validation's mel cross-entropy, divided by its weight."""

    spec = "coqui_xtts_gpt"
    text_term = "mel"
    text_keys = ("padded_text", "text_lengths")
    weights: ClassVar[Mapping[str, tuple[str, str]]] = {
        "mel": ("loss_mel_ce", "mel_ce_weight"),
        "text": ("loss_text_ce", "text_ce_weight"),
    }
    defaults: ClassVar[Mapping[str, object]] = {
        "mel_ce_weight": 1.0,
        "text_ce_weight": 0.01,
        "grad_clip": 1.0,
        "lr": 5e-6,
    }

    def make(self, folder: Path) -> Any:
        """As Coqui's recipe does it; its files may be the released ones or random ones of the right form."""
        from trainer import Trainer as CoquisTrainer
        from trainer import TrainerArgs
        from TTS.tts.datasets import load_tts_samples
        from TTS.tts.layers.xtts.trainer.gpt_trainer import GPTTrainer

        from trainers.coqui_xtts_gpt_recipe import xtts_config

        given = self._given()
        config = xtts_config(given)
        train, validation = load_tts_samples(
            config,
            eval_split=True,
            eval_split_max_size=config.eval_split_max_size,
            eval_split_size=config.eval_split_size,
        )
        return CoquisTrainer(
            TrainerArgs(grad_accum_steps=int(given.get("grad_accum_steps", 1))),
            config,
            output_path=str(folder),
            model=GPTTrainer.init_from_config(config),
            train_samples=train,
            eval_samples=validation,
            parse_command_line_args=False,
        )


def _read_config(path: str) -> ConfigFile:
    return ConfigFile(Path(path).read_text(encoding="utf-8"), ".json", f"--set config={path}")


@cache
def _spec_params(name: str) -> Mapping[str, Mapping[str, Any]]:
    content = read_yaml_mapping(Path(str(files("trainers") / f"{name}.yaml")))
    return cast("Mapping[str, Mapping[str, Any]]", content["params"])


def _plain(state: Mapping[str, Any]) -> dict[str, Any]:
    """A scheduler's state without its functions, which are the same in a new object."""
    return {key: value for key, value in state.items() if value is None or isinstance(value, (bool, int, float, list))}
