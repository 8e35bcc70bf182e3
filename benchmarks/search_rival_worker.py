"""One search of a rival that uses rung values, in the rival's own environment; search_rivals.py starts it.

    PYTHON benchmarks/search_rival_worker.py NAME SEED EPOCHS BOUNDS

NAME is a key of RIVALS, BOUNDS a JSON object (parameter: [low, high]). Questions and answers are JSON, one a line:
`{"do": "next"}`, `{"do": "report", "name": ..., "epoch": ..., "value": ...}` and `{"do": "incumbent"}`.
Imports nothing of this repository, so that the environment needs the rival alone.
"""

from __future__ import annotations

import datetime
import json
import logging
import os
import sys
import tempfile
import warnings
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
Bounds = dict[str, list[float]]


class Smac:
    """SMAC3's multi-fidelity facade (Hyperband, eta 3, budgets in epochs), as it comes, by ask and tell.

    A config that is asked for again with a larger budget continues from where it was, in its favour.
    """

    def __init__(self, bounds: Bounds, seed: int, epochs: int) -> None:
        from ConfigSpace import ConfigurationSpace, Float
        from smac import MultiFidelityFacade, Scenario

        space = ConfigurationSpace(seed=seed)
        space.add([Float(name, (low, high), default=(low + high) / 2) for name, (low, high) in bounds.items()])
        self._folder = tempfile.TemporaryDirectory()
        scenario = Scenario(
            space,
            n_trials=1_000_000,
            min_budget=1,
            max_budget=epochs,
            seed=seed,
            deterministic=True,
            output_directory=self._folder.name,
        )
        self._facade = MultiFidelityFacade(
            scenario, lambda config, seed=0, budget=0: 0.0, overwrite=True, logging_level=logging.ERROR
        )
        self._asked: dict[str, Any] = {}
        self._trained: dict[int, int] = {}
        self._count = 0

    def next(self) -> dict[str, Any]:
        """The next config with its epochs."""
        info = self._facade.ask()
        self._count += 1
        name, key = f"t{self._count}", info.config.config_id
        self._asked[name] = info
        first, last = self._trained.get(key, 0) + 1, round(info.budget)
        return {"name": name, "config": dict(info.config), "first": min(first, last), "last": last}

    def report(self, name: str, epoch: int, value: float) -> bool:
        """An epoch's value; the last one of a budget is reported."""
        from smac.runhistory.dataclasses import TrialValue

        info = self._asked[name]
        if epoch < round(info.budget):
            return False
        self._trained[info.config.config_id] = epoch
        self._facade.tell(self._asked.pop(name), TrialValue(cost=value, time=float(epoch)))
        return True

    def incumbent(self) -> dict[str, float] | None:
        """The facade's own incumbent."""
        found = self._facade.intensifier.get_incumbents()
        return {name: float(value) for name, value in dict(found[0]).items()} if found else None


class AshaCqr:
    """Syne Tune's ASHACQR: conformal quantile regression on the last values of all trials, with ASHA's stops."""

    def __init__(self, bounds: Bounds, seed: int, epochs: int) -> None:
        import numpy as np
        from syne_tune.config_space import uniform
        from syne_tune.optimizer.baselines import ASHACQR

        np.random.seed(seed)
        space = {name: uniform(low, high) for name, (low, high) in bounds.items()}
        middle = {name: (low + high) / 2 for name, (low, high) in bounds.items()}
        self._scheduler = ASHACQR(
            space,
            metric="objective",
            time_attr="epoch",
            max_t=epochs,
            random_seed=seed,
            points_to_evaluate=[middle],
        )
        self._trials: dict[str, Any] = {}
        self._best: dict[str, tuple[int, float]] = {}
        self._epochs = epochs

    def next(self) -> dict[str, Any]:
        """The next config, to its full length unless it is stopped."""
        from syne_tune.backend.trial_status import Trial

        config = self._scheduler.suggest().config
        name = str(len(self._trials))
        self._trials[name] = Trial(len(self._trials), config, datetime.datetime.now())
        self._scheduler.on_trial_add(self._trials[name])
        return {"name": name, "config": config, "first": 1, "last": self._epochs}

    def report(self, name: str, epoch: int, value: float) -> bool:
        """An epoch's value; whether the trial stops."""
        trial, result = self._trials[name], {"objective": value, "epoch": epoch}
        self._best[name] = epoch, value
        if epoch >= self._epochs:
            self._scheduler.on_trial_complete(trial, result)
            return True
        return bool(self._scheduler.on_trial_result(trial, result) == "STOP")

    def incumbent(self) -> dict[str, float] | None:
        """The best value of those that went furthest."""
        if not self._best:
            return None
        name = min(self._best, key=lambda each: (-self._best[each][0], self._best[each][1]))
        return {key: float(value) for key, value in self._trials[name].config.items()}


RIVALS = {"SMAC multi-fidelity": Smac, "Syne Tune ASHACQR": AshaCqr}


def main() -> None:
    """Answer questions until standard input ends."""
    warnings.simplefilter("ignore")
    logging.disable(logging.ERROR)
    answers, sys.stdout = sys.stdout, sys.stderr  # what a rival prints is no answer
    name, seed, epochs, bounds = sys.argv[1:]
    rival = RIVALS[name](json.loads(bounds), int(seed), int(epochs))
    for line in sys.stdin:
        asked = json.loads(line)
        do = asked.pop("do")
        print(json.dumps(getattr(rival, do)(**asked)), file=answers, flush=True)


if __name__ == "__main__":
    main()
