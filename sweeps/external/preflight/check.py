"""The preflight: what is deterministic, weight-free and alive, found with a few short runs."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from sweeps.common.errors import RequestError
from sweeps.external.command import FROZEN_RATE, frozen_settings, is_rate
from sweeps.external.epochs import numbers
from sweeps.external.preflight.comparison import (
    SAME,
    moved,
    proportional,
    raw_moves,
    relative,
    resolution,
    same,
)
from sweeps.external.preflight.probe import Probe, Prober
from sweeps.external.preflight.result import Preflight
from sweeps.external.program import ProgramError
from sweeps.external.trainer import ExternalTrainer
from sweeps.trials.objective import number

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
WEIGHT = re.compile(r"weight|alpha|lambda|loss|coef|(^|_)w($|_)|^c_", re.IGNORECASE)
NO_WEIGHT = re.compile(
    r"(^|_)lr($|_)|learning_rate|clip|batch|decay|dropout|beta|momentum|epoch|step|warm|seed|layer|size|dim|channel",
    re.IGNORECASE,
)


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
        noisy = {tag for tag, values in first.series.items() if not same(values, again.series.get(tag, ()))}
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
        if not deterministic:  # where two equal runs differ, a small effect looks like none
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
            objectives=[number(first.objective(n + 1)) for n in range(len(first.reports))],
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
        return max((relative(a, b) for a, b in pairs), default=0.0)

    def _seed_acts(self, first: Probe) -> bool:
        tag = self._spec.file.epoch.tag

        def differs(series: Mapping[str, Sequence[float]]) -> bool:
            return any(moved(first.series.get(name, ()), values[:1]) for name, values in series.items() if name != tag)

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
        if relative(before, cast(float, first.objective())) <= SAME:  # the settings do not turn learning off
            return True, "size"
        rounding = self._rounding(still) + self._rounding(other)
        noise = min(max(NOISE_FACTOR * difference, LEAST_NOISE), GROWS_WITH_WEIGHT) if difference > SAME else 0.0
        return relative(before, after) <= max(SAME, rounding, noise), "frozen"

    def _rounding(self, probe: Probe) -> float:
        """How much of the objective's tags their printed digits leave open, relatively: 101.03 may be 101.034."""
        expression = self._spec.expressions["objective"]
        needed = expression.needs(set(probe.series) | set(self._default))
        return max((resolution(probe.series[tag]) for tag in needed if probe.series.get(tag)), default=0.0)

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
            return not whole and raw_moves(first.series, series, noisy)

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
            if shows(probe.series) or (here is not None and relative(here, cast(float, there)) > SAME):
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
            if raw_moves(first.series, probe.series, noisy):
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
                not proportional(first.series.get(t, ()), v) for t, v in probe.series.items() if t not in noisy
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
