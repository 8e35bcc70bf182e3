"""Findings on a run, made by code that knows the trainer and kept in the journal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

from sweeps.run.run import Run
from sweeps.trials.event import Event
from sweeps.trials.journal import Journal, plain


@dataclass(frozen=True)
class Found:
    """A finding on one trial (`trial_id`) or on the sweep (None): what it is and what to do, in English and Persian."""

    trial_id: str | None
    code: str
    severity: str
    text: str
    todo: str
    sentence_fa: str = ""


Diagnosis = Callable[[Run], Iterable[Found]]
"""Looks at a run that has come to an end."""


def no_diagnosis(run: Run) -> Iterable[Found]:
    """Nothing is known of the trainer."""
    del run
    return ()


def note_findings(journal: Journal, events: Sequence[Event], found: Iterable[Found]) -> None:
    """Append a `findings` event for each trial, and for the sweep, of which `events` do not say the same already.

    The newest of a trial counts. A trial that has none any more gets an empty list.
    """
    recorded: dict[str | None, object] = {}
    for event in events:
        if event["event"] == "findings":
            recorded[_trial_id(event)] = event.get("findings")
    new: dict[str | None, list[object]] = {}
    for one in found:
        entry = {name: value for name, value in asdict(one).items() if name != "trial_id"}
        new.setdefault(one.trial_id, []).append(plain(entry))
    for trial_id in dict.fromkeys([*recorded, *new]):
        findings = new.get(trial_id, [])
        if findings != recorded.get(trial_id, []):
            journal.append("findings", trial_id, findings=findings)


def _trial_id(event: Event) -> str | None:
    trial_id = event.get("trial_id")
    return trial_id if isinstance(trial_id, str) else None
