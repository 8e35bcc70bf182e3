"""A journal of numbered segments: whole after any process's death, and its own successor's alone."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from sweeps.common.errors import RequestError, SweepFailed
from sweeps.run.folder import RunFolder
from sweeps.storage.object_store import Storage, storage_uri
from sweeps.storage.remote_journal import RemoteJournal, read_chain
from sweeps.storage.remote_run import RemoteRun, fetched


def storage_in(path: Path) -> Storage:
    return Storage(storage_uri(str(path)), patience=1.0)


def events(*numbers: int) -> bytes:
    return b"".join(json.dumps({"event": "x", "trial_id": None, "time": n}).encode() + b"\n" for n in numbers)


def test_sessions_make_one_journal_in_their_order_and_no_segment_is_written_twice(tmp_path: Path) -> None:
    storage = storage_in(tmp_path)
    written: list[str] = []
    put = storage.put
    storage.put = lambda name, content: (written.append(name), put(name, content))[1]  # type: ignore[method-assign]
    for session in range(3):
        journal = RemoteJournal(storage, "run/journal", read_chain(storage, "run/journal"))
        for number in range(4):
            journal.add(events(10 * session + number))
            if number % 2:
                journal.flush()
        journal.close()
    assert read_chain(storage, "run/journal").content == events(0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23)
    assert len(written) == len(set(written))


def test_what_a_process_writes_after_it_was_succeeded_counts_for_nothing_and_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeps.storage.remote_journal.WATCH_SECONDS", 0.0)
    storage = storage_in(tmp_path)
    old = RemoteJournal(storage, "run/journal", read_chain(storage, "run/journal"))
    old.add(events(1))
    old.flush()
    new = RemoteJournal(storage, "run/journal", read_chain(storage, "run/journal"))
    new.add(events(2))
    new.flush()

    def write_on() -> None:
        for late in range(50):
            old.add(events(100 + late))
            old.flush()

    with pytest.raises(SweepFailed, match="has resumed this run at"):
        write_on()
    assert read_chain(storage, "run/journal").content == events(1, 2)
    new.close()


def test_of_two_that_continue_at_the_same_moment_one_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.storage.remote_journal.WATCH_SECONDS", 0.0)
    storage = storage_in(tmp_path)
    chain = read_chain(storage, "run/journal")
    both = threading.Barrier(2)
    ended: list[str] = []

    def begin(number: int) -> None:
        both.wait()
        try:
            journal = RemoteJournal(storage, "run/journal", chain)
            both.wait(5.0)
            journal.add(events(number))
            journal.flush()
            journal.add(events(number))
            journal.flush()
            ended.append("won")
        except (SweepFailed, threading.BrokenBarrierError):
            both.abort()
            ended.append("lost")

    threads = [threading.Thread(target=begin, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended.count("won") <= 1
    content = read_chain(storage, "run/journal").content
    assert content in (b"", events(1, 1), events(2, 2), events(1), events(2))


def test_a_missing_segment_is_named_and_not_passed_over(tmp_path: Path) -> None:
    storage = storage_in(tmp_path)
    journal = RemoteJournal(storage, "run/journal", read_chain(storage, "run/journal"))
    for number in range(3):
        journal.add(events(number))
        journal.flush()
    journal.close()
    storage.delete(f"run/journal/{journal.name}-000002.jsonl")
    with pytest.raises(RequestError, match=r"segments of .* are missing"):
        read_chain(storage, "run/journal")


def test_lines_that_cannot_be_written_are_an_error_that_says_that_nothing_is_lost(tmp_path: Path) -> None:
    storage = storage_in(tmp_path / "shared")
    journal = RemoteJournal(storage, "run/journal", read_chain(storage, "run/journal"))
    folder = tmp_path / "shared" / "run" / "journal"
    next(folder.glob("*.json")).unlink()
    folder.rmdir()
    folder.touch()
    journal.add(events(1))
    with pytest.raises(SweepFailed, match="nothing is lost"):
        journal.flush()
    journal.close()


def made_run(path: Path, *numbers: int) -> RunFolder:
    folder = RunFolder(path / "run")
    folder.path.mkdir(parents=True)
    folder.sweep_yaml.write_text("name: run\ncreated: 2026-11-23T10:00:00\n")
    folder.trials_jsonl.write_bytes(events(*numbers))
    return folder


def stored(storage: Storage, folder: RunFolder) -> None:
    run = RemoteRun(storage, "run")
    run.put_settings(folder)
    journal = run.begin(folder)
    journal.flush()
    journal.close()
    run.put_files(folder)


def test_a_run_is_fetched_whole_and_brought_up_to_date_where_it_is_behind(tmp_path: Path) -> None:
    storage, folder = storage_in(tmp_path / "shared"), made_run(tmp_path / "one", 1, 2)
    (folder.best / "samples").mkdir(parents=True)
    (folder.best / "samples" / "a.wav").write_bytes(b"sound")
    stored(storage, folder)
    other = fetched(str(tmp_path / "shared"), None, tmp_path / "two")
    assert other.trials_jsonl.read_bytes() == events(1, 2)
    assert (other.best / "samples" / "a.wav").read_bytes() == b"sound"
    other.trials_jsonl.write_bytes(events(1, 2, 3))
    stored(storage, other)
    assert fetched(str(tmp_path / "shared"), "run", tmp_path / "one").trials_jsonl.read_bytes() == events(1, 2, 3)
    with folder.trials_jsonl.open("ab") as file:
        file.write(b'{"event": "torn')
    assert (
        fetched(str(tmp_path / "shared"), "run", tmp_path / "one").trials_jsonl.read_bytes().startswith(events(1, 2, 3))
    )


def test_runs_that_were_resumed_apart_or_are_not_the_same_are_not_mixed(tmp_path: Path) -> None:
    storage, folder = storage_in(tmp_path / "shared"), made_run(tmp_path / "one", 1, 2)
    stored(storage, folder)
    made_run(tmp_path / "two", 1, 3)
    with pytest.raises(RequestError, match="differs from"):
        fetched(str(tmp_path / "shared"), "run", tmp_path / "two")
    with pytest.raises(RequestError, match="differs from"):
        RemoteRun(storage, "run").begin(RunFolder(tmp_path / "two" / "run"))
    made_run(tmp_path / "three", 1).sweep_yaml.write_text("name: run\ncreated: 2026-11-24T10:00:00\n")
    with pytest.raises(RequestError, match="is another run than"):
        fetched(str(tmp_path / "shared"), "run", tmp_path / "three")
    with pytest.raises(RequestError, match="did you mean 'run'"):
        fetched(str(tmp_path / "shared"), "runn", tmp_path / "four")
    with pytest.raises(RequestError, match="there is no run here yet"):
        fetched(str(tmp_path / "empty"), None, tmp_path / "four")
