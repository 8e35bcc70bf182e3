"""The runs that explain an answer: the finalist without each of its changes, the default at other learning rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweeps.confirm.explain.learning_rate import LEARNING_RATE, PROBE, TUNED, ProbedRate, SharedRate, best_rate
from sweeps.confirm.plan import CONFIRMATION, RIVAL, Assignment
from sweeps.confirm.verdict import Verdict

WITHOUT = "without "
"""Labels of the finalist's runs with one parameter back at the default's value"""


@dataclass(frozen=True)
class Explanation:
    """Which of these runs are wanted.

    Attributes:
        default: The default's config.
        changes: Whether a better finalist is compared with itself without each of its changes, and the default is
            tried at other learning rates where the search did not vary the rate.
        rate: The learning rate that all trials share, and its limits; None where no rate is to be tried.
        seed: Of the runs that try a learning rate; they end on the validation split.
    """

    default: Mapping[str, object]
    changes: bool
    rate: SharedRate | None
    seed: int

    @property
    def searches_rate(self) -> bool:
        """Whether the search varied the learning rate: then a better finalist's gain is always divided."""
        return self.rate is not None and LEARNING_RATE in self.default

    def due(self, answer: Verdict, config: Mapping[str, object], probed: Sequence[ProbedRate]) -> list[Assignment]:
        """The runs for an answer about the finalist's `config`; `probed` are the rates that were tried before."""
        better = answer.word == "better"
        found = self._without_changes(answer, config) if better and self.changes else []
        if better if self.searches_rate else self.changes:
            for label, rate in self._rates(config).items():
                found.append(Assignment(PROBE, label, self.seed, {**self.default, LEARNING_RATE: rate}))
        if better and self.searches_rate and probed:
            best = best_rate(probed)
            params = {**self.default, LEARNING_RATE: best.rate}
            seeds = [] if best.is_own else [pair.seed for pair in answer.judged]
            found += [Assignment(CONFIRMATION, TUNED, seed, params, RIVAL) for seed in seeds]
        return found

    def most(self, config: Mapping[str, object], pairs: int) -> int:
        """How many runs there are at most, for a better finalist with `config` that `pairs` pairs have judged."""
        changed = len(changed_params(config, self.default))
        without = changed * pairs if self.changes and changed > 1 else 0
        probe = len(self._rates(config)) if self.changes or self.searches_rate else 0
        return without + probe + (pairs if self.searches_rate else 0)

    def _without_changes(self, answer: Verdict, config: Mapping[str, object]) -> list[Assignment]:
        changed = changed_params(config, self.default)
        return [
            Assignment(CONFIRMATION, WITHOUT + key, pair.seed, {**config, key: self.default[key]}, RIVAL)
            for key in changed
            for pair in answer.judged
            if len(changed) > 1
        ]

    def _rates(self, config: Mapping[str, object]) -> dict[str, float]:
        return {} if self.rate is None else self.rate.probe(self.default, config)


def changed_params(config: Mapping[str, object], default: Mapping[str, object]) -> list[str]:
    """The parameters whose value is not the default's."""
    return [name for name, value in config.items() if name in default and default[name] != value]
