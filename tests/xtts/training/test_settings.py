"""A trial's parameters are checked before anything starts, and all that is wrong is named at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from xtts.errors import SpeechError
from xtts.trainer import XttsTrainer
from xtts.training.settings import Settings, bounds


def test_every_problem_is_named_in_one_line() -> None:
    wrong = {"mel_loss_weight": True, "learning_rat": 1, "history_dropout": 1.5, "batch_frames": 1.5, "device": "gpu\n"}
    with pytest.raises(SpeechError) as refused:
        XttsTrainer.check_params(wrong)
    assert str(refused.value).startswith(
        "mel_loss_weight True: expected a number above 0; batch_frames 1.5: expected a whole number, 0 or above; "
        "history_dropout 1.5: expected a number from 0 to 1; device 'gpu\\n': expected auto, cpu, cuda or cuda:N; "
        "unknown parameter learning_rat; did you mean learning_rate?"
    )


@pytest.mark.parametrize("value", [None, 0, 0.0, 3])
def test_a_clip_may_be_off_or_a_whole_number(value: object) -> None:
    assert Settings.of({"gradient_clip_norm": value}).gradient_clip_norm == value


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "0.5", False])
def test_a_clip_that_makes_no_sense_is_refused(value: object) -> None:
    with pytest.raises(SpeechError, match=r"gradient_clip_norm .*: expected a number, 0 or above"):
        Settings.of({"gradient_clip_norm": value})


def test_the_bounds_of_every_parameter_can_be_asked_for() -> None:
    known = bounds()
    assert set(known) == set(XttsTrainer.default_params())
    rate, dropout, clip = known["learning_rate"], known["history_dropout"], known["gradient_clip_norm"]
    assert (rate.kind, rate.low, rate.low_is_open, rate.high, rate.optional) == ("number", 0, True, None, False)
    assert (dropout.low, dropout.high) == (0, 1)
    assert clip.optional
    assert known["weighting"].choices == ("fixed", "sigma_vae", "balancer")
    assert "tiny" in known["model"].choices


def test_checking_needs_no_torch() -> None:
    code = (
        "import sys; from xtts.trainer import XttsTrainer; XttsTrainer.check_params({}); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
