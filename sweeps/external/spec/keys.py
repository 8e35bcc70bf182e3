"""The keys of a spec's file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictStr, model_validator

from sweeps.common.budget import parse_duration
from sweeps.common.errors import RequestError
from sweeps.common.validation import unknown_keys
from sweeps.space.parameter import KEYS, Number, ParameterWords

SIZES = {"kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}


def _seconds(value: object) -> object:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except RequestError:
            raise ValueError(f"{value!r} is no time; write 30m, 45s or 2h") from None
    raise ValueError(f"{value!r} is no time; write 30m, 45s or 2h")


def _bytes(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(kB|MB|GB|TB)\s*", str(value))
    if found is None:
        raise ValueError(f"{value!r} is no size; write 500MB or 20GB")
    return int(float(found.group(1)) * SIZES[found.group(2)])


def _words(value: object) -> object:
    """A command's items: numbers are written without quotes in YAML."""
    if not isinstance(value, list) or not value:
        raise ValueError(f"command {value!r}: write a list of the program and its arguments; there is no shell")
    wrong = [item for item in value if isinstance(item, (list, dict)) or item is None]
    if wrong:
        raise ValueError(f'{wrong[0]!r} is no word; put quotes around a placeholder such as "{{config}}"')
    return [str(item).lower() if isinstance(item, bool) else str(item) for item in value]


Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, allow_inf_nan=False)]
Bytes = Annotated[int, BeforeValidator(_bytes), Field(gt=0)]
Words = Annotated[list[str], BeforeValidator(_words)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ConfigEntry(_Section):
    """The user's own config, and the name under which each trial gets its copy."""

    template: StrictStr
    write: StrictStr | None = None


class ParamEntry(ParameterWords):
    """A parameter that can be searched: the words of a search space, and where it goes in the trainer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: StrictStr | None = None
    type: Literal["int", "float"] | None = None
    reason: StrictStr | None = None
    """Why the limits are where they are"""
    limits: tuple[Number, Number] | None = None
    """Where they are wider than what is searched by default"""
    dangerous_above: Number | None = None

    @property
    def words(self) -> dict[str, Any]:
        """What a search space would hold."""
        found = self.model_dump(include=set(KEYS) - {"description"}, exclude_none=True)
        if self.values is not None or self.value is not None:
            return found
        if self.type == "int":
            if str(self.distribution or "").endswith("log_uniform_values"):
                return {**found, "distribution": "q_log_uniform_values", "q": 1}
            return {**found, "distribution": "int_uniform"}
        return {"distribution": "uniform", **found} if self.type == "float" else found


class MetricsEntry(_Section):
    """A source of metrics; exactly one kind."""

    tensorboard: StrictStr | None = None
    csv: StrictStr | None = None
    jsonl: StrictStr | None = None
    wandb: StrictStr | None = None
    stdout: StrictStr | None = None
    step: StrictStr | None = None
    prefix: StrictStr = ""

    @model_validator(mode="after")
    def _one_kind(self) -> MetricsEntry:
        kinds = [kind for kind in METRIC_KINDS if getattr(self, kind) is not None]
        if len(kinds) != 1:
            raise ValueError(f"metrics: each entry has one of {', '.join(METRIC_KINDS)}; found {kinds or 'none'}")
        if self.stdout is not None:
            try:
                pattern = re.compile(self.stdout)
            except re.error as error:
                raise ValueError(f"metrics: stdout {self.stdout!r} is no regular expression: {error}") from None
            if not pattern.groupindex:
                raise ValueError(f"metrics: stdout {self.stdout!r} has no named group such as (?P<loss>\\S+)")
        if self.step is not None and self.kind not in ("csv", "jsonl"):
            raise ValueError("metrics: step names a column of csv or jsonl")
        return self

    @property
    def kind(self) -> str:
        """tensorboard, csv, jsonl, wandb or stdout."""
        return next(kind for kind in METRIC_KINDS if getattr(self, kind) is not None)

    @property
    def where(self) -> str:
        """The glob, or the expression of stdout."""
        return str(getattr(self, self.kind))


METRIC_KINDS = ("tensorboard", "csv", "jsonl", "wandb", "stdout")


class EpochEntry(_Section):
    """The tag whose n-th value closes epoch n."""

    tag: StrictStr


class ResumeEntry(_Section):
    """The trainer's own way to resume: what is added to its command."""

    args: Words
    exact: StrictBool = False


class StopEntry(_Section):
    """The signal that stops the program, and how long it may take before SIGKILL."""

    signal: Literal["SIGTERM", "SIGINT", "SIGKILL", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] = "SIGTERM"
    wait: Annotated[float, BeforeValidator(_seconds), Field(ge=0, allow_inf_nan=False)] = 20.0


class TimeoutsEntry(_Section):
    """How long the program may take for its first epoch, start included, and for each further one."""

    first_epoch: Seconds = 1800.0
    epoch: Seconds = 1200.0


class SpecFile(_Section):
    """The keys of a spec."""

    name: StrictStr
    description: str = ""
    python: StrictStr | None = None
    command: Words
    cwd: StrictStr | None = None
    seed_first: StrictBool = False
    """Seed random, numpy, torch and tensorflow before the program starts, for programs that do not seed themselves"""
    config: ConfigEntry | None = None
    params: dict[StrictStr, ParamEntry] = Field(min_length=1)
    set: dict[StrictStr, Any] = {}
    env: dict[StrictStr, Any] = {}
    metrics: list[MetricsEntry] = Field(min_length=1)
    epoch: EpochEntry
    report: dict[StrictStr, StrictStr]
    mode: Literal["min", "max"] = "min"
    resume: Literal["replay"] | ResumeEntry = "replay"
    stop: StopEntry = StopEntry()
    timeouts: TimeoutsEntry = TimeoutsEntry()
    keep: list[StrictStr] = []
    """Files of more than a megabyte that stay when a trial ends, as globs below its folder"""
    disk: Bytes = 50_000_000_000
    """A trial whose folder grows larger than this fails"""
    freeze: dict[StrictStr, Any] = {}
    """Settings with which nothing is learned: the preflight then sees the objective move with weights alone"""
    preflight: StrictBool = True
    remarks: list[str] = []
    """What a user of this trainer should know"""


SECTIONS: Mapping[str, type[BaseModel]] = {
    "config": ConfigEntry,
    "epoch": EpochEntry,
    "stop": StopEntry,
    "timeouts": TimeoutsEntry,
}


def unknown_in_sections(given: Mapping[str, Any]) -> list[str]:
    """A line for each unknown key below the top, with its section."""
    problems = []
    for key, model in SECTIONS.items():
        if isinstance(given.get(key), Mapping):
            problems += [f"{key}: {problem}" for problem in unknown_keys(given[key], model)]
    if isinstance(given.get("resume"), Mapping):
        problems += [f"resume: {problem}" for problem in unknown_keys(given["resume"], ResumeEntry)]
    entries = given.get("params")
    for name, entry in entries.items() if isinstance(entries, Mapping) else ():
        if isinstance(entry, Mapping):
            problems += [f"params: {name}: {problem}" for problem in unknown_keys(entry, ParamEntry)]
    listed = given.get("metrics")
    for number, entry in enumerate(listed if isinstance(listed, list) else [], 1):
        if isinstance(entry, Mapping):
            problems += [f"metrics, entry {number}: {problem}" for problem in unknown_keys(entry, MetricsEntry)]
    return problems
