"""What `--trainer` says of a log: a known trainer's name, or the spec of an external trainer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sweeps.common.errors import RequestError, one_line
from xtts.diagnostics.logged_tags import RATE_KEYS, TRAINERS, WEIGHT_KEYS, number_under

SPEC_NAMES = {"objective": "val/objective", "loss": "train/loss", "train/grad_norm": "grad_norm"}
"""What a spec's report calls the curves that have another name here"""


@dataclass(frozen=True)
class TrainerSpec:
    """What is known of the trainer: names of its tags, and whether its terms contain their weights."""

    name: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    weighted: bool | None = None
    weight_keys: Mapping[str, str] = field(default_factory=dict)
    """The config's key of a term's weight, by term"""
    mode: str = "min"
    usual: Mapping[str, float] = field(default_factory=dict)
    """The learning rate (`rate`) and the mel weight (`mel`) that the spec has as defaults"""

    @classmethod
    def of(cls, trainer: str) -> TrainerSpec:
        if trainer == "auto":
            return cls()
        if trainer.endswith((".yaml", ".yml")):
            return cls._of_file(Path(trainer))
        known = {one.name: one for one in TRAINERS}
        if trainer not in known:
            raise RequestError(f"--trainer {trainer}: expected auto, a spec file or one of {', '.join(known)}")
        return cls(trainer, weighted=known[trainer].weighted)

    @classmethod
    def _of_file(cls, path: Path) -> TrainerSpec:
        import yaml

        try:
            spec = yaml.safe_load(path.read_text(encoding="utf-8"))
            report, params = dict(spec.get("report") or {}), dict(spec.get("params") or {})
            keys = {name: str(dict(one or {}).get("key", name)).removeprefix("+") for name, one in params.items()}
            defaults = {keys[name]: dict(one or {}).get("default") for name, one in params.items()}
        except (OSError, ValueError, AttributeError, TypeError, yaml.YAMLError) as error:
            raise RequestError(f"--trainer {path}: cannot be read as a spec: {one_line(error)}") from error
        names: dict[str, str] = {}
        weights: dict[str, str] = {}
        for name, expression in report.items():
            tag, divided, weight = (part.strip() for part in str(expression).partition(" / "))
            if not divided or weight in params:
                name = SPEC_NAMES.get(str(name), str(name))
                names[name] = tag
                if divided:
                    weights[name.partition("/")[2]] = keys[weight]
        usual = {
            name: number
            for name, known in (("rate", RATE_KEYS), ("mel", WEIGHT_KEYS["mel"]))
            if (number := number_under(defaults, known)) is not None
        }
        name, mode = str(spec.get("name", path.stem)), str(spec.get("mode", "min"))
        return cls(name, names, bool(weights), weights, mode, usual)
