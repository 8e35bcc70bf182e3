"""Failures of disk, memory, data and node are told from a trial's own by the type of the error, not by its words."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
import torch

from sweeps.backend.callback import failure_in
from sweeps.trials.failure import EnvironmentFailureError, environment_failures, is_environment_failure
from sweeps.trials.record import records_from_events
from tests.sweeps.builders import trial_events


class LostDataError(Exception):
    """What a trainer's own code may raise."""


def chained() -> Exception:
    try:
        try:
            Path("/no/such/file").read_bytes()
        except OSError as error:
            raise LostDataError("the speech cannot be read") from error
    except LostDataError as error:
        return error


def hidden() -> Exception:
    try:
        try:
            Path("/no/such/file").read_bytes()
        except OSError:
            raise LostDataError("batch_size 3: expected a power of two") from None
    except LostDataError as error:
        return error


def too_large() -> Exception:
    try:
        torch.empty(1 << 50)
    except RuntimeError as error:
        return error
    raise AssertionError("a petabyte was allocated")


@pytest.mark.parametrize(
    ("error", "environment"),
    [
        (OSError(errno.ENOSPC, "Auf dem Gerät ist kein Platz mehr verfügbar"), True),
        (OSError(errno.EDQUOT, "x"), True),
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA"), True),
        (too_large(), True),
        (np._core._exceptions._ArrayMemoryError((1 << 60,), np.dtype(float)), True),
        (ConnectionResetError("peer"), True),
        (chained(), True),
        (RuntimeError("the program ended (exit code 1) after 2 epochs; it printed last: CUDA out of memory"), True),
        (hidden(), False),
        (PermissionError(errno.EACCES, "x"), False),
        (ValueError("mel_loss_weight must be positive"), False),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
    ],
)
def test_the_type_of_an_error_decides_and_words_only_where_it_has_none(error: Exception, environment: bool) -> None:
    assert is_environment_failure(error) is environment
    with pytest.raises(EnvironmentFailureError if environment else type(error)), environment_failures():
        raise error


def test_the_mark_travels_in_the_account_of_the_failure_and_is_not_shown() -> None:
    name = f"{EnvironmentFailureError.__module__}.{EnvironmentFailureError.__name__}"
    found = failure_in(f"Failure # 1 (occurred at 1)\nTraceback\n{name}: OSError: [Errno 122] quota\n")
    assert found == ("OSError: [Errno 122] quota", True)
    assert failure_in("Failure # 1 (occurred at 1)\nTraceback\nValueError: no\n") == ("ValueError: no", False)


@pytest.mark.parametrize(
    ("recorded", "reason", "again"),
    [
        ({"environment": True}, "OSError: [Errno 122] quota", True),
        ({"environment": False}, "ValueError: 'out of memory' is no word for loss_kind", False),
        ({}, "OSError: [Errno 28] No space left on device", True),  # version 0.1.0
        ({}, "ValueError: no", False),
    ],
)
def test_a_record_keeps_what_was_decided_when_it_failed(recorded: dict[str, bool], reason: str, again: bool) -> None:
    events = trial_events(1, [0.9], "failed", reason=reason)
    (record,) = records_from_events([*events[:-1], {**events[-1], **recorded}])
    assert record.failed_by_environment is again
