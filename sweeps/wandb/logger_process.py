"""The process that writes a run's W&B runs: it follows the journal until the sweep sends its last message."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sweeps.common.errors import named_reason
from sweeps.run.folder import RunFolder, read_sweep_yaml
from sweeps.trials.event import Event
from sweeps.wandb.child_process import answer, claim_output, remove_scratch
from sweeps.wandb.content import Ratio
from sweeps.wandb.destination import Destination, read_destination
from sweeps.wandb.media import Sample, media_of
from sweeps.wandb.run_opener import RunOpener, why_unreachable
from sweeps.wandb.sweep_run import log_sweep_run
from sweeps.wandb.trial_runs import GivenUpError, TrialRuns

POLL_SECONDS = 0.25
ORPHAN_SECONDS = 30.0


class JournalFollower:
    """Reads trials.jsonl while another process writes it, whole lines only; events before byte `start` are the past."""

    def __init__(self, path: Path, start: int = 0) -> None:
        self._path = path
        self._at = start

    def past(self) -> list[Event]:
        """The events before the place where following begins."""
        return list(_whole_events(self._read(0)[: self._at]))

    def new(self) -> list[Event]:
        """The events that were written since the last call."""
        content = self._read(self._at)
        whole = content.rfind(b"\n") + 1
        self._at += whole
        return list(_whole_events(content[:whole]))

    def _read(self, start: int) -> bytes:
        try:
            with self._path.open("rb") as file:
                file.seek(start)
                return file.read()
        except FileNotFoundError:
            return b""


def _whole_events(content: bytes) -> Iterator[Event]:
    for line in content.splitlines():
        try:
            event = json.loads(line)
        except ValueError:  # the sweep reports a damaged journal itself
            continue
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            yield event


class LastWord:
    """Waits on standard input for the end of the session: a line of JSON, or nothing where the sweep was killed."""

    def __init__(self) -> None:
        self._heard = threading.Event()
        self.message: dict[str, Any] | None = None
        threading.Thread(target=self._listen, daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Whether the session is over."""
        return self._heard.wait(seconds)

    def _listen(self) -> None:
        line = sys.stdin.readline()
        if line:
            self.message = json.loads(line)
            if self.message is not None and "seconds" in self.message:  # the sweep does not wait
                _end_after(float(self.message["seconds"]))
        else:
            _end_after(ORPHAN_SECONDS)
        self._heard.set()


def main() -> None:
    """Record until the last message, and answer with what was written."""
    claim_output()
    task = json.loads(sys.stdin.readline())
    last_word = LastWord()
    _preload()
    folder = RunFolder(Path(task["folder"]))
    destination = read_destination(folder.path / "wandb")
    assert destination is not None
    offline = why_unreachable() if task["online"] else None
    opener = RunOpener(folder.path, destination, folder.name, online=task["online"] and offline is None)
    found = _record(task, folder, destination, opener, last_word)
    if last_word.message is not None:
        answer(found | {"unreachable": offline})
    if last_word.message is None or "seconds" in last_word.message:  # the sweep has ended, or does not wait
        remove_scratch()


def _record(
    task: dict[str, Any], folder: RunFolder, destination: Destination, opener: RunOpener, last_word: LastWord
) -> dict[str, object]:
    import wandb

    request = read_sweep_yaml(folder)
    past, events = _events(folder, task)
    ratios: list[Ratio] = [(name, top, bottom) for name, top, bottom in task["ratios"]]
    runs = TrialRuns(opener, destination, _space_name(request), _mapping(request.get("params")), ratios, past)
    problem = None
    try:
        over = False
        while not over:
            over = last_word.wait(POLL_SECONDS)
            for event in events():
                runs.on_event(event)
        _log_samples(runs, last_word.message)
        runs.finish_all()
        if last_word.message is not None:
            log_sweep_run(opener, destination, folder, request, runs.records)
    except GivenUpError as error:
        problem = f"W&B failed for {runs.failures} trials and was given up ({error})"
    except Exception as error:
        problem = f"the run of the sweep itself was not written ({named_reason(error)})"
    wandb.teardown()
    if problem is None and runs.failures:
        problem = f"W&B failed for {runs.failures} of {len(runs.records)} trials ({runs.failure})"
    return {"runs": len(opener.run_ids), "url": opener.url, "problem": problem}


def _events(folder: RunFolder, task: dict[str, Any]) -> tuple[list[Event], Callable[[], list[Event]]]:
    """The events that are not recorded again, and a function that returns the events to record."""
    if "again" not in task:
        follower = JournalFollower(folder.trials_jsonl, int(task["start"]))
        return follower.past(), follower.new
    known: list[Event] = []
    missing: list[Event] = []
    for event in JournalFollower(folder.trials_jsonl).new():
        (missing if event.get("trial_id") in task["again"] else known).append(event)
    return known, lambda: [missing.pop(0) for _ in range(len(missing))]


def _log_samples(runs: TrialRuns, message: dict[str, Any] | None) -> None:
    samples = [Sample.from_dict(given) for given in (message or {}).get("samples", [])]
    for trial_id in dict.fromkeys(sample.trial_id for sample in samples):
        media = media_of([sample for sample in samples if sample.trial_id == trial_id])
        if media:
            runs.log_media(trial_id, media)


def _preload() -> None:
    """Import now, while the sweep starts, what would otherwise be waited for at its end."""
    for module in ("wandb.sdk.launch", "pandas"):  # the latter is not needed, but a wandb.Table looks for it
        with contextlib.suppress(ImportError):
            importlib.import_module(module)


def _space_name(request: dict[str, object]) -> str:
    return str(_mapping(request.get("space")).get("name", ""))


def _mapping(value: object) -> dict[str, object]:
    return {str(key): entry for key, entry in value.items()} if isinstance(value, dict) else {}


def _end_after(seconds: float) -> None:
    timer = threading.Timer(seconds, os._exit, (1,))
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    main()
