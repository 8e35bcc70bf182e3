"""The journal: what survives a crash, a full disk and strange values."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest

from sweeps.common.errors import RequestError, SweepFailed
from sweeps.trials.journal import Journal, read, read_events


def started(journal: Journal, number: int = 1) -> None:
    journal.append("trial_started", f"t{number:04d}", role="trial", seed=1, params={"a": 1.5}, origin="default", slot=0)


def test_every_line_has_event_trial_id_and_time(tmp_path: Path) -> None:
    with Journal(tmp_path / "trials.jsonl") as journal:
        journal.append("sweep_started", None, trials=3)
        started(journal)
        journal.append("report", "t0001", epoch=1, objective=0.5, event="mine", time="mine", trial_id="mine")
    lines = [json.loads(line) for line in (tmp_path / "trials.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["sweep_started", "trial_started", "report"]
    assert [line["trial_id"] for line in lines] == [None, "t0001", "t0001"]
    assert all(isinstance(line["time"], float) for line in lines)


def test_what_is_read_back_is_what_the_open_journal_knew(tmp_path: Path) -> None:
    with Journal(tmp_path / "trials.jsonl") as journal:
        started(journal)
        journal.append("report", "t0001", epoch=1, objective=0.123456789012345, loss=3)
        journal.append("trial_ended", "t0001", status="finished", stop_reason="all epochs", epoch=1, rung=None)
        known = journal.records
    assert read(tmp_path / "trials.jsonl") == known
    with Journal(tmp_path / "trials.jsonl") as again:
        assert again.records == known


def test_values_that_json_has_no_word_for_are_written_as_plain_ones(tmp_path: Path) -> None:
    with Journal(tmp_path / "trials.jsonl") as journal:
        started(journal)
        values = {"objective": float("nan"), "loss": np.float32(0.5), "n": np.int64(3), "many": [float("inf"), (1, 2)]}
        journal.append("report", "t0001", epoch=1, **values, path=Path("a"))
    report = read_events(tmp_path / "trials.jsonl")[1]
    assert (report["objective"], report["loss"], report["n"]) == (None, 0.5, 3)
    assert (report["many"], report["path"]) == ([None, [1, 2]], "a")


@pytest.mark.parametrize("torn", [b'{"event": "report", "trial', b"{", b'{"event": "report", "trial_id": "t0001"}'])
def test_a_torn_last_line_is_left_out_and_removed(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "trials.jsonl"
    with Journal(path) as journal:
        started(journal)
        journal.append("report", "t0001", epoch=1, objective=0.5)
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    assert read(path)[0].epochs == 1
    with Journal(path) as journal:
        assert journal.torn
        journal.append("report", "t0001", epoch=2, objective=0.4)
    assert path.read_bytes().startswith(whole)
    assert [event.get("epoch") for event in read_events(path)] == [None, 1, 2]


def test_every_prefix_of_a_journal_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    with Journal(path) as journal:
        started(journal)
        for epoch in range(1, 4):
            journal.append("report", "t0001", epoch=epoch, objective=1 / epoch)
    whole = path.read_bytes()
    for cut in range(0, len(whole), 7):
        path.write_bytes(whole[:cut])
        assert len(read_events(path)) == whole[:cut].count(b"\n")


def test_damage_in_the_middle_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    path.write_text('{"event": "a", "trial_id": null, "time": 1}\nrubbish\n{"event": "b"}\n')
    with pytest.raises(RequestError, match="line 2"):
        read(path)
    with pytest.raises(RequestError, match="line 2"):
        Journal(path)


def test_a_full_disk_ends_clearly_and_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trials.jsonl"
    real = os.pwrite

    def full(file: int, data: bytes, offset: int) -> int:
        if offset < 300:
            return real(file, data[: max(300 - offset, 1)], offset)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with Journal(path) as journal:
        started(journal)
        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(SweepFailed, match="No space left on device"):
            journal.append("report", "t0001", epoch=1, objective=0.5, filler="x" * 400)
        monkeypatch.setattr(os, "pwrite", real)
        assert journal.records[0].epochs == 0
        journal.append("report", "t0001", epoch=1, objective=0.5)
    assert path.read_bytes().endswith(b"\n")
    assert [event["event"] for event in read_events(path)] == ["trial_started", "report"]
