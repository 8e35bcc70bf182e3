"""Secondary metrics of the confirmation runs: finalist against default, paired by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sweeps.confirm.paired_test import paired_interval
from sweeps.confirm.verdict_text import MeasuredDifference
from sweeps.trials.objective import number
from sweeps.trials.record import TrialRecord

ALPHA = 0.05


@dataclass(frozen=True)
class SecondaryMetric:
    """A measure (lower is better) over the seeds that both sides have it for.

    `percent`, `low` and `high` are the paired difference and its 95 % interval over seeds, in per cent of the default's
    mean; low and high are None for a single seed. `by_seed` holds both sides as their trainer gave them, with the
    intervals over clips or whatever it judges.
    """

    name: str
    label: str
    label_fa: str
    finalist: float
    default: float
    percent: float
    low: float | None
    high: float | None
    by_seed: Mapping[int, Mapping[str, Mapping[str, object]]]

    @property
    def difference(self) -> MeasuredDifference | None:
        """The difference as a verdict's notes take it; None without an interval."""
        if self.low is None or self.high is None:
            return None
        return MeasuredDifference(self.label, self.percent, self.low, self.high, self.label_fa)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {**asdict(self), "by_seed": {str(seed): sides for seed, sides in self.by_seed.items()}}


def judged_figures(
    finalist: Mapping[int, TrialRecord], default: Mapping[int, TrialRecord], seeds: Sequence[int]
) -> tuple[SecondaryMetric, ...]:
    """Each measure that both sides report, over those of `seeds` for which both have a number."""
    ours = {seed: _figures(finalist[seed]) for seed in seeds}
    theirs = {seed: _figures(default[seed]) for seed in seeds}
    names = dict.fromkeys(name for figures in ours.values() for name in figures)
    found = (_compared(name, ours, theirs) for name in names)
    return tuple(figure for figure in found if figure is not None)


_Figures = dict[str, Mapping[str, object]]


def _figures(record: TrialRecord) -> _Figures:
    stored = record.last_report.get("figures")
    if not isinstance(stored, Mapping):
        return {}
    return {
        str(name): one
        for name, one in stored.items()
        if isinstance(one, Mapping) and number(one.get("mean")) is not None
    }


def _compared(name: str, ours: Mapping[int, _Figures], theirs: Mapping[int, _Figures]) -> SecondaryMetric | None:
    seeds = [seed for seed in ours if name in ours[seed] and name in theirs[seed]]
    pairs = [(number(ours[seed][name]["mean"]) or 0.0, number(theirs[seed][name]["mean"]) or 0.0) for seed in seeds]
    default = sum(their for _, their in pairs) / max(len(pairs), 1)
    if not default:
        return None
    changes = [100 * (our - their) / abs(default) for our, their in pairs]
    interval = paired_interval(changes, ALPHA) if len(changes) > 1 else None
    first = ours[seeds[0]][name]
    label = str(first.get("label") or name)
    return SecondaryMetric(
        name,
        label,
        str(first.get("label_fa") or label),
        sum(our for our, _ in pairs) / len(pairs),
        default,
        sum(changes) / len(changes),
        None if interval is None else interval.low,
        None if interval is None else interval.high,
        {seed: {"finalist": ours[seed][name], "default": theirs[seed][name]} for seed in seeds},
    )
