"""A card that fills up in the middle of a sweep: the trial halves its batches once and says so, and then it fails."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from sweeps.space.space_file import space_from_mapping
from sweeps.tuner.api import run
from tests.sweeps.builders import toy_request
from tests.xtts.conftest import MINI, Learnable
from xtts.diagnostics.curve_rules import memory_ran_out
from xtts.evaluation import evaluation
from xtts.model.model_config import PRESETS
from xtts.trainer import XttsTrainer

FULL = "CUDA out of memory. Tried to allocate 2.00 GiB."


class FullCard(XttsTrainer):
    """Finds a full card at its fourth step, in its third evaluation, or at every step from the fourth on.

    Which of them is decided by the mel weight: 1, 2 or 3. Trials of weight 4 find room.
    """

    def __init__(self, params: Mapping[str, object], data: str, seed: int) -> None:
        PRESETS.setdefault("mini", MINI)  # in the worker's process, too
        super().__init__({"model": "mini", "batch_frames": 500, **params}, data, seed)
        kind = int(str(params["mel_loss_weight"]))
        if kind in (1, 3):
            self._fill(self.training.model, "losses", {3} if kind == 1 else set(range(3, 1000)))
        elif kind == 2:
            self._fill(evaluation, "run_freely", {1})

    @staticmethod
    def _fill(owner: object, name: str, at: set[int]) -> None:
        real, calls = getattr(owner, name), iter(range(10_000))

        def full(*given: object) -> object:
            if next(calls) in at:
                raise torch.OutOfMemoryError(FULL)
            return real(*given)

        setattr(owner, name, full)


@pytest.mark.slow
def test_a_card_that_fills_up_halves_a_trial_once_and_then_fails_it(learnable: Learnable, tmp_path: Path) -> None:
    space = space_from_mapping({"parameters": {"mel_loss_weight": {"values": [4, 1, 2, 3], "default": 4}}}, "full")
    request = toy_request(
        tmp_path, space, trainer=f"{__name__}:FullCard", data=learnable.prepared.data, trials=4, epochs=1, concurrent=1
    )
    found = {int(str(record.params["mel_loss_weight"])): record for record in run(request).records}
    assert {kind: record.status for kind, record in found.items()} == {
        4: "finished", 1: "finished", 2: "finished", 3: "failed",
    }  # fmt: skip
    assert found[1].last_report["out_of_memory"] == {"step": 4, "batch_frames": 250}
    assert found[2].last_report["out_of_memory"] == {"evaluation": True}
    assert "out_of_memory" not in found[4].last_report
    finding = memory_ran_out(found[1].reports)
    assert finding is not None
    assert "at step 4 in epoch 1" in finding.text
    assert found[3].retries == 1, "once more in a new process, from the start"
    assert found[3].stop_reason.startswith("SpeechError: out of GPU memory at step 4 with 250 frames a batch")
    assert found[3].failed_by_environment, "a resume on an emptier card tries it again"
