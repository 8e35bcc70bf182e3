"""report.html while a real sweep runs, and after one whose page could not be made."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweeps.report import write_report
from sweeps.run.progress import Display
from sweeps.run.run import Run
from sweeps.tuner.api import run
from tests.sweeps.builders import toy_request

pytestmark = pytest.mark.slow


class Heard(Display):
    """Remembers what was said next to the table."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def log(self, line: str) -> None:
        """Keep it."""
        self.notes.append(line)


def test_the_page_is_rewritten_while_the_sweep_runs_and_its_failure_ends_nothing(tmp_path: Path) -> None:
    pages: list[str] = []

    def report(run: Run) -> None:
        write_report(run)
        pages.append(run.folder.report.read_text())
        if len(pages) == 2:
            raise ValueError("no such finding")

    heard = Heard()
    request = toy_request(tmp_path, trials=3, epochs=4, set_params={"slow": 0.5})
    result = run(request, display=heard, report=report)
    assert result.ended == "finished"
    assert len(pages) >= 3
    assert "Still running" in pages[0]
    assert "0 of 3 trials ended" in pages[0]
    assert "Still running" not in pages[-1]
    assert pages[-1] == result.folder.report.read_text()
    notes_on_it = [note for note in heard.notes if "report.html" in note]
    assert notes_on_it == ["report.html could not be written: ValueError: no such finding"]
