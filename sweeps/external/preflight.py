"""Tries out what a sweep of an external trainer relies on, with a few short runs, before hours are spent.

Is the program deterministic for a seed? Does the objective stay where it is when only the loss weights move? Does each
searched parameter do anything at all? What does an epoch cost in time and disk?
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

from sweeps.common.atomic_file import write_atomically
from sweeps.common.budget import duration
from sweeps.common.errors import RequestError, SweepFailed
from sweeps.external.command import FROZEN_RATE, frozen_settings, is_rate
from sweeps.external.epochs import numbers
from sweeps.external.probe import Probe, Prober
from sweeps.external.spec import TrainerSpec
from sweeps.external.trainer import ExternalTrainer, ProgramError

SAME = 1e-6
"""Relative difference up to which two values are the same: eight times what float32 (TensorBoard's) resolves"""
GROWS_WITH_WEIGHT = 0.5
"""An objective that grows by more than this power of a loss weight holds the weight. A raw loss falls when its own
weight rises, and by AdamW only ratios of weights act: in the fixture of the tests the power is -0.02 to 0.05 raw, and
0.9 to 1.0 weighted (tests/sweeps/external/test_preflight.py)"""
NOISE_FACTOR = 5.0
"""How many times the difference of two equal runs a difference must be to count"""
LEAST_NOISE = 0.3
"""Of a program whose equal runs differ: two of them may be alike by chance, while a weight moves a weighted objective
by half or more"""
LONG_EPOCH_SECONDS = 600.0
SHORTEST_EPOCH = 0.05
PRINTED_DECIMALS = 6  # values with more were not rounded for people
WEIGHT = re.compile(r"weight|alpha|lambda|loss|coef|(^|_)w($|_)|^c_", re.IGNORECASE)
NO_WEIGHT = re.compile(
    r"(^|_)lr($|_)|learning_rate|clip|batch|decay|dropout|beta|momentum|epoch|step|warm|seed|layer|size|dim|channel",
    re.IGNORECASE,
)


@dataclass
class Preflight:
    """What was found; `refusals` are reasons not to start a sweep."""

    trainer: str
    deterministic: bool
    weight_free: bool
    acts: dict[str, bool]
    epoch_seconds: float
    start_seconds: float | None = None
    disk_bytes: int = 0
    seed_acts: bool = True
    weight_free_by: str = "frozen"
    """frozen: seen with learning off; size: judged by how the objective grows with the weights; none: no weights"""
    objectives: list[float | None] = field(default_factory=list)
    """Of the default's first epochs; None for one that is not finite, which JSON cannot hold"""
    difference: float = 0.0
    """The largest relative difference of two starts with one seed"""
    metrics: str = ""
    warnings: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)

    def lines(self) -> list[str]:
        """A table for people."""
        weights = {
            "frozen": "with learning off, the objective does not move with the weights",
            "size": "judged by its size after an epoch",
            "none": "no loss weight is searched",
        }[self.weight_free_by]
        change = ""
        first, second = [*self.objectives, None, None][:2]
        if first and second is not None:
            change = f", {100 * (second / first - 1) * math.copysign(1, first):+.2f} % from epoch 1 to 2"
        rows = [
            ("trainer", self.trainer),
            ("metrics", self.metrics),
            ("objective", "none" if first is None else f"{first:.6g}{change}"),
            ("deterministic", _yes(self.deterministic, f"two starts with one seed differ by {self.difference:.2g}")),
            ("seed", "acts" if self.seed_acts else "NO: another seed gives the same values"),
            ("weight-free", weights if self.weight_free else "NO: the objective moves with the loss weights"),
            *((name, "acts" if acts else "NO: does nothing in this trainer") for name, acts in self.acts.items()),
            ("epoch", duration(self.epoch_seconds) if self.epoch_seconds >= 10 else f"{self.epoch_seconds:.1f} s"),
            ("disk", f"{self.disk_bytes / 1e6:.1f} MB a trial"),
        ]
        width = max(len(name) for name, _ in rows)
        lines = [f"{name:<{width}}  {value}" for name, value in rows]
        return [
            *lines,
            *(f"warning: {warning}" for warning in self.warnings),
            *(f"refused: {r}" for r in self.refusals),
        ]


def preflight(
    trainer: type[ExternalTrainer],
    data: str,
    seed: int,
    *,
    threads: int = 1,
    gpus: Sequence[str] = (),
    log: Callable[[str], None] = lambda line: None,
    fixed: Mapping[str, object] | None = None,
) -> Preflight:
    """Run the probes; `fixed` parameters are not searched. RequestError where the default config does not train."""
    return _Check(trainer, Prober(trainer, data, threads, gpus), seed, log, fixed or {}).result()


def checked_before(
    trainer: type[ExternalTrainer],
    data: str,
    seed: int,
    store: Path,
    *,
    threads: int,
    gpus: Sequence[str],
    start: bool,
    log: Callable[[str], None],
    fixed: Mapping[str, object] | None = None,
) -> Preflight | None:
    """The preflight's result, from `store` where the same spec, template, data and versions were checked before."""
    path = store / f"{_key(trainer.spec, data, fixed or {})}.json"
    with suppress(OSError, ValueError, TypeError):
        return Preflight(**json.loads(path.read_text(encoding="utf-8")))
    if not start:
        return None
    found = preflight(trainer, data, seed, threads=threads, gpus=gpus, log=log, fixed=fixed)
    keep(found, trainer.spec, data, store, fixed)
    return found


def keep(
    found: Preflight, spec: TrainerSpec, data: str, store: Path, fixed: Mapping[str, object] | None = None
) -> None:
    """What cannot be kept is checked again."""
    with suppress(OSError, SweepFailed):
        store.mkdir(parents=True, exist_ok=True)
        write_atomically(store / f"{_key(spec, data, fixed or {})}.json", json.dumps(found.as_dict()))


class _Check:
    """One preflight: the default twice, another seed, frozen runs, a run for each searched parameter."""

    def __init__(
        self,
        trainer: type[ExternalTrainer],
        prober: Prober,
        seed: int,
        log: Callable[[str], None],
        fixed: Mapping[str, object],
    ) -> None:
        self._spec, self._prober, self._seed, self._log = trainer.spec, prober, seed, log
        self._default = {**trainer.default_params(), **fixed}
        parameters = self._spec.parameters.items()
        self._searched = [name for name, parameter in parameters if parameter.searched and name not in fixed]
        self._warnings: list[str] = []
        self._failing: set[str] = set()
        """Parameters with which the program fails at an end of their range: they do act"""

    def result(self) -> Preflight:
        first = self._probe("the default config", {}, epochs=2, most_seconds=LONG_EPOCH_SECONDS)
        objective = cast(float, first.objective())
        if not math.isfinite(objective):
            raise RequestError(f"preflight of {self._spec.name}: the default's objective is {objective} in epoch 1")
        if first.failed:
            self._warnings.append(f"the default config fails in epoch {len(first.reports) + 1}: {first.failed}")
        again = self._probe("the default once more", {})
        difference = self._difference(first, again)
        deterministic = difference <= SAME
        noisy = {tag for tag, values in first.series.items() if not _same(values, again.series.get(tag, ()))}
        seed_acts = self._seed_acts(first)
        weights = self._weights()
        weight_free, by = self._frozen(first, weights, difference)
        probes = {
            name: self._moved(name, first, noisy, whole=by == "size" and name in weights) for name in self._searched
        }
        if by == "size":
            weight_free = self._by_size(first, probes, weights)
        noise = abs(cast(float, again.objective()) - objective)
        acts = {
            name: name in self._failing
            or self._acts(name, probes[name], first, noisy, noise, trivial=name in weights and not weight_free)
            for name in self._searched
        }
        if not deterministic:  # where two equal runs differ, a small effect cannot be told from none
            unclear = [name for name, acted in acts.items() if not acted]
            acts = dict.fromkeys(acts, True)
            if unclear:
                self._warnings.append(f"{', '.join(unclear)}: no effect that stands out from the noise of equal runs")
        found = Preflight(
            trainer=self._spec.name,
            deterministic=deterministic,
            weight_free=weight_free,
            acts=acts,
            epoch_seconds=_epoch_seconds(first),
            start_seconds=round(max(first.seconds[0] - first.seconds[-1], 0.0), 3) if len(first.seconds) > 1 else None,
            disk_bytes=first.disk_bytes,
            seed_acts=seed_acts,
            weight_free_by=by,
            objectives=[_finite(first.objective(n + 1)) for n in range(len(first.reports))],
            difference=difference,
            metrics=first.source,
        )
        self._judge(found, first)
        return found

    def _probe(self, what: str, params: Mapping[str, object], **options: object) -> Probe:
        shown = ", ".join(f"{name} {value}" for name, value in params.items())
        self._log(f"preflight    {what}{': ' if shown else ''}{shown}")
        try:
            return self._prober.run({**self._default, **params}, **{"seed": self._seed, **options})  # type: ignore[arg-type]
        except ProgramError as error:
            raise RequestError(f"preflight of {self._spec.name}, {what}: {error}") from None

    def _difference(self, first: Probe, again: Probe) -> float:
        """The largest relative difference between two runs in what the spec reports: first values and first epoch."""
        known = set(first.series) | set(self._default)
        needed = {name for expression in self._spec.expressions.values() for name in expression.needs(known)}
        pairs = [
            (first.series[tag][0], again.series[tag][0])
            for tag in needed
            if first.series.get(tag) and again.series.get(tag)
        ]
        values = {name: value for name, value in first.reports[0].items() if isinstance(value, float)}
        pairs += [(value, cast(float, again.reports[0].get(name, math.nan))) for name, value in values.items()]
        return max((_relative(a, b) for a, b in pairs), default=0.0)

    def _seed_acts(self, first: Probe) -> bool:
        tag = self._spec.file.epoch.tag

        def differs(series: Mapping[str, Sequence[float]]) -> bool:
            return any(_moved(first.series.get(name, ()), values[:1]) for name, values in series.items() if name != tag)

        try:
            other = self._probe("another seed", {}, seed=self._seed + 1, enough=differs)
        except RequestError as error:
            self._warnings.append(str(error))
            return True
        return differs(other.series) or other.objective() != first.objective()

    def _weights(self) -> list[str]:
        """The searched parameters that are loss weights: by the report's arithmetic, or by their names."""
        used = {name for expression in self._spec.expressions.values() for name in expression.needs(self._default)}
        numeric = [name for name in self._searched if name in numbers(self._default)]
        found = [n for n in numeric if n in used or (WEIGHT.search(n) and not NO_WEIGHT.search(n))]
        return found or [
            name for name in numeric if not NO_WEIGHT.search(name) and not self._spec.parameters[name].whole
        ]

    def _frozen(self, first: Probe, weights: Sequence[str], difference: float) -> tuple[bool, str]:
        """With learning off, a weight-free objective is the same whatever the weights are."""
        if not weights:
            return True, "none"
        rates = self._frozen_params()
        if not self._spec.file.freeze and not frozen_settings(self._spec) and not rates:
            return True, "size"
        try:
            still = self._probe("learning off", rates, frozen=True)
            moved = {name: self._far_ends(name)[0] for name in weights}
            other = self._probe("learning off, other weights", {**rates, **moved}, frozen=True)
        except RequestError as error:
            self._warnings.append(f"learning could not be turned off ({error})")
            return True, "size"
        before, after = cast(float, still.objective()), cast(float, other.objective())
        if _relative(before, cast(float, first.objective())) <= SAME:  # the settings do not turn learning off
            return True, "size"
        rounding = self._rounding(still) + self._rounding(other)
        noise = min(max(NOISE_FACTOR * difference, LEAST_NOISE), GROWS_WITH_WEIGHT) if difference > SAME else 0.0
        return _relative(before, after) <= max(SAME, rounding, noise), "frozen"

    def _rounding(self, probe: Probe) -> float:
        """How much of the objective's tags their printed digits leave open, relatively: 101.03 may be 101.034."""
        expression = self._spec.expressions["objective"]
        needed = expression.needs(set(probe.series) | set(self._default))
        return max((_resolution(probe.series[tag]) for tag in needed if probe.series.get(tag)), default=0.0)

    def _frozen_params(self) -> dict[str, object]:
        if self._spec.file.freeze:
            return {}
        return {name: FROZEN_RATE for name in numbers(self._default) if is_rate(name)}

    def _far_ends(self, name: str) -> list[object]:
        """Values far from the default, the farthest first."""
        parameter, default = self._spec.parameters[name], self._default[name]
        if parameter.values:
            return [value for value in parameter.values if value != default]
        unit = parameter.unit(default)
        ends = sorted((0.0, 1.0), key=lambda end: -abs(end - (unit or 0.0)))
        return [value for value in (parameter.at(end) for end in ends) if value != default]

    def _moved(self, name: str, first: Probe, noisy: set[str], *, whole: bool) -> list[tuple[object, Probe]]:
        """Runs with the parameter at its far ends; the second only where the first shows nothing."""

        def shows(series: Mapping[str, Sequence[float]]) -> bool:
            return not whole and _raw_moves(first.series, series, noisy)

        found: list[tuple[object, Probe]] = []
        for epochs, value in enumerate(self._far_ends(name)[:2], 1):
            try:
                most = min(epochs, len(first.reports))
                probe = self._probe(f"{name} moved", {name: value}, epochs=most, enough=shows)
            except RequestError as error:
                self._warnings.append(str(error))
                self._failing.add(name)
                break
            found.append((value, probe))
            here, there = probe.objective(), first.objective()
            if shows(probe.series) or (here is not None and _relative(here, cast(float, there)) > SAME):
                break
        return found

    def _acts(
        self,
        name: str,
        probes: Sequence[tuple[object, Probe]],
        first: Probe,
        noisy: set[str],
        noise: float,
        *,
        trivial: bool,
    ) -> bool:
        """Whether training goes another way. `trivial`: the objective holds the weight, and moves in any case."""
        for _, probe in probes:
            if _raw_moves(first.series, probe.series, noisy):
                return True
            for epoch in range(1, len(probe.reports) + 1):
                here, there = probe.objective(epoch), first.objective(epoch)
                if here is None or there is None or trivial:
                    continue
                used = name in self._spec.expressions["objective"].needs(self._default)
                rounding = self._rounding(first) + self._rounding(probe) if used else 0.0
                if abs(here - there) > max(NOISE_FACTOR * noise, max(SAME, rounding) * abs(there)):
                    return True
            if trivial and any(
                not _proportional(first.series.get(t, ()), v) for t, v in probe.series.items() if t not in noisy
            ):
                return True
        return False

    def _by_size(
        self, first: Probe, probes: Mapping[str, Sequence[tuple[object, Probe]]], weights: Sequence[str]
    ) -> bool:
        powers = []
        for name in weights:
            if not probes[name]:
                continue
            value, probe = probes[name][0]
            before, after = cast(float, first.objective()), probe.objective()
            start, end = numbers(self._default)[name], float(cast(float, value))
            if after is None or min(before, after, start, end) <= 0:
                continue
            powers.append(math.log(after / before) / math.log(end / start))
        return max([*powers, sum(powers)], default=0.0) <= GROWS_WITH_WEIGHT

    def _judge(self, found: Preflight, first: Probe) -> None:
        dead = [name for name, acts in found.acts.items() if not acts]
        if not found.weight_free:
            found.refusals.append(
                "the objective moves with the loss weights while nothing is learned, so the smallest weight would win; "
                "divide each weighted tag by its weight in report"
                if found.weight_free_by == "frozen"
                else "the objective grows with a loss weight, so the smallest weight would win; divide each weighted "
                "tag by its weight in report"
            )
        if dead and len(dead) == len(found.acts):
            found.refusals.append(f"no searched parameter does anything: {', '.join(dead)}")
        elif dead:
            found.warnings.append(f"{', '.join(dead)}: does nothing in this trainer; leave it out of the search")
        if not found.deterministic:
            found.warnings.append(
                f"not deterministic: two starts with one seed differ by {found.difference:.2g}; seeds pair runs less"
                + ("" if self._spec.file.seed_first else ", and seed_first: true may help")
            )
        if not found.seed_acts:
            found.warnings.append("another seed gives the same values: a confirmation over seeds would prove nothing")
        lost = [str(epoch) for epoch, value in enumerate(found.objectives, 1) if value is None]
        if lost:
            found.warnings.append(f"the default config's objective is not finite in epoch {', '.join(lost)}")
        missing = [name for name in self._spec.expressions if name not in first.reports[0]]
        if missing:
            found.warnings.append(f"report: no values for {', '.join(missing)} in epoch 1")
        found.warnings += self._warnings


def _epoch_seconds(probe: Probe) -> float:
    """The time of the last epoch; of all, where they were logged faster than they were read."""
    last, total = probe.seconds[-1], sum(probe.seconds)
    return round(max(last if last > SHORTEST_EPOCH else total / len(probe.seconds), 0.001), 3)


def _raw_moves(first: Mapping[str, Sequence[float]], other: Mapping[str, Sequence[float]], noisy: set[str]) -> bool:
    """Whether a tag that begins with the same value goes another way: it holds no weight, so training does differ."""
    for tag, values in other.items():
        known = first.get(tag, ())
        if tag in noisy or is_rate(tag.rpartition("/")[2]) or not known or not values:
            continue
        if _relative(known[0], values[0]) <= SAME and _moved(known, values):
            return True
    return False


def _moved(known: Sequence[float], values: Sequence[float]) -> bool:
    return any(_relative(a, b) > SAME for a, b in zip(known, values, strict=False))


def _resolution(values: Sequence[float]) -> float:
    """Half a unit of the last digit that any of the values has, relative to the smallest; 0 for full precision."""
    texts = [repr(value) for value in values if math.isfinite(value) and value]
    if not texts or any("e" in text for text in texts):
        return 0.0
    decimals = max(len(text.partition(".")[2]) for text in texts)
    return 0.0 if decimals > PRINTED_DECIMALS else 0.5 * 10.0**-decimals / min(abs(float(text)) for text in texts)


def _same(known: Sequence[float], values: Sequence[float]) -> bool:
    """Whether one run logged what the other did, as far as both went."""
    return not _moved(known, values)


def _proportional(known: Sequence[float], values: Sequence[float]) -> bool:
    """Whether the values are the known ones times one factor."""
    pairs = [(a, b) for a, b in zip(known, values, strict=False) if a]
    return not pairs or all(_relative(b / a, pairs[0][1] / pairs[0][0]) <= SAME for a, b in pairs)


def _relative(a: float, b: float) -> float:
    if math.isnan(a) and math.isnan(b):
        return 0.0
    if not (math.isfinite(a) and math.isfinite(b)):
        return 0.0 if a == b else math.inf
    return abs(a - b) / max(abs(a), abs(b), 1e-12)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _yes(good: bool, otherwise: str) -> str:
    return "yes" if good else f"NO: {otherwise}"


def _key(spec: TrainerSpec, data: str, fixed: Mapping[str, object]) -> str:
    """All that a preflight depends on: spec, template, data, the interpreter and the packages in its environment."""
    listing = (
        "import sys, importlib.metadata as m; "
        "print(sys.version, sorted({(d.metadata['Name'], d.version) for d in m.distributions()}, key=str))"
    )
    versions = ""
    with suppress(OSError, subprocess.SubprocessError):
        versions = subprocess.run(
            [spec.interpreter, "-c", listing], capture_output=True, text=True, timeout=60, check=True
        ).stdout
    content = "\n".join([spec.pinned, json.dumps(dict(fixed)), data, spec.interpreter, versions])
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
