"""A toy with a test split and seeds on which it diverges, for what confirms a sweep."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tests.toy_trainer import DEFAULTS, ToyTrainer

MORE: dict[str, object] = {"evaluate_on": "validation", "diverges_from_seed": 0}
DEFAULT_MEL = 2.5


class SplitToyTrainer(ToyTrainer):
    """Is worse on its test split; `diverges_from_seed`: any weight but the default's does, with such a seed."""

    def __init__(self, params: Mapping[str, object], data: str, seed: int) -> None:
        super().__init__({**MORE, **params}, data, seed)
        self.seed = seed

    @classmethod
    def default_params(cls) -> Mapping[str, object]:
        """All the parameters it knows."""
        return {**DEFAULTS, **MORE}

    @classmethod
    def confirmation_params(cls) -> Mapping[str, object]:
        """What is judged is judged on the test split."""
        return {"evaluate_on": "test"}

    @classmethod
    def rivals(cls) -> Mapping[str, Mapping[str, object]]:
        """One method that needs no sweep and knows where the minimum is."""
        return {"clairvoyant": {"mel_loss_weight": 1.0}}

    def judged_figures(self) -> Mapping[str, object]:
        """A measure that is the worse the lower the weight is."""
        value = 10.0 / self._number("mel_loss_weight") + 0.01 * self.seed
        return {"crackle": {"mean": value, "low": value - 1, "high": value + 1, "label": "crackle (dB)"}}

    def train_epoch(self) -> Mapping[str, object]:
        """One epoch, evaluated on the split that was asked for."""
        report = dict(super().train_epoch())
        first = int(self._number("diverges_from_seed"))
        if first and self.seed >= first and self.params["mel_loss_weight"] != DEFAULT_MEL and self.epoch == 2:
            return {"objective": math.nan, "diverged": {"step": 9, "term": "kl", "value": "inf"}}
        if self.params["evaluate_on"] == "test":
            report["objective"] = float(str(report["objective"])) + 0.25
            report["mean_frame_error"] = 1.25
        return report
