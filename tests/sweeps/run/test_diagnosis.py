"""Findings in the journal: each once, the newest counts, and none of them in anybody's way."""

from __future__ import annotations

from pathlib import Path

from sweeps.run.diagnosis import Found, note_findings
from sweeps.trials.journal import Journal, read_events
from sweeps.trials.record import records_from_events
from tests.sweeps.builders import trial_events

SPIKES = Found("t0001", "spikes", "warning", "The loss spikes.", "Lower the clip.", "جهش")
EDGE = Found(None, "edge", "note", "The best is on the edge.", "Widen the space.")


def recorded(path: Path) -> list[tuple[object, list[str]]]:
    events = [event for event in read_events(path) if event["event"] == "findings"]
    return [(event["trial_id"], [one["code"] for one in event["findings"]]) for event in events]  # type: ignore[attr-defined]


def note(path: Path, *found: Found) -> None:
    with Journal(path) as journal:
        note_findings(journal, read_events(path), found)


def test_findings_stand_under_their_trial_and_are_written_again_only_when_they_change(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    note(path, SPIKES, EDGE)
    assert recorded(path) == [("t0001", ["spikes"]), (None, ["edge"])]
    note(path, SPIKES, EDGE)
    assert len(recorded(path)) == 2
    note(path, EDGE)
    assert recorded(path)[2:] == [("t0001", [])]
    note(path, EDGE)
    assert len(recorded(path)) == 3
    assert read_events(path)[0]["findings"][0] == {  # type: ignore[index]
        "code": "spikes",
        "severity": "warning",
        "text": "The loss spikes.",
        "todo": "Lower the clip.",
        "sentence_fa": "جهش",
    }


def test_a_trial_s_record_is_the_same_with_findings_as_without(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    with Journal(path) as journal:
        for event in trial_events(1, [0.9, 0.8]):
            journal.append(
                str(event["event"]),
                str(event["trial_id"]),
                **{key: value for key, value in event.items() if key not in ("event", "trial_id", "time")},
            )
        before = journal.records
        note_findings(journal, [], [SPIKES])
        assert journal.records == before
    assert [record.trial_id for record in records_from_events(read_events(path))] == ["t0001"]
