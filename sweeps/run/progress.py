"""One quiet table while a sweep runs: plain data whose text is the table, and two ways to show it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeps.common.budget import Budget, duration
from sweeps.run.config import SweepConfig
from sweeps.trials.record import TrialRecord, best_record

if TYPE_CHECKING:
    from rich.live import Live

ROWS = 20
REFRESH_SECONDS = 0.5
NOT_SEARCHED = ("confirm", "rival")  # roles of runs that are not trials of the search


@dataclass(frozen=True)
class Progress:
    """Where a sweep stands: its trials, the searched names that head the columns, its budget and its time so far.

    `confirm_runs` of full length, baselines among them, follow the search's trials, of which there are `trials` in the
    end: fewer than the budget has where the search ended early.
    """

    records: tuple[TrialRecord, ...]
    columns: tuple[str, ...]
    budget: Budget
    seconds: float
    confirm_runs: int
    trials: int

    @property
    def ended(self) -> int:
        """How many trials and confirmation runs have ended."""
        return sum(record.status is not None for record in self.records)

    @property
    def total(self) -> int:
        """How many there will be."""
        return self.trials + self.confirm_runs

    @property
    def seconds_left(self) -> float | None:
        """Expected seconds to the end, from the epochs that ended trials took; None before the first has ended."""
        ended = [record.epochs for record in self.records if record.status is not None]
        running = [record.epochs for record in self.records if record.status is None]
        epochs_done = sum(ended) + sum(running)
        if not ended or not epochs_done:
            return None
        epochs_each = sum(ended) / len(ended)
        still = sum(max(epochs_each - epochs, 0) for epochs in running)
        confirming = sum(record.role in NOT_SEARCHED for record in self.records)
        to_come = max(self.trials - len(self.records) + confirming, 0) * epochs_each + still
        to_come += max(self.confirm_runs - confirming, 0) * self.budget.epochs
        left = self.seconds * to_come / epochs_done
        return left if self.budget.seconds is None else min(left, max(self.budget.seconds - self.seconds, 0.0))

    @property
    def heading(self) -> str:
        """The line above the table: how far, the best so far, how long still."""
        best = best_record(self.records)
        confirmed = sum(record.status is not None for record in self.records if record.role in NOT_SEARCHED)
        planned = f" ({self.budget.trials} planned)" if self.trials < self.budget.trials else ""
        parts = [f"{self.ended - confirmed} of {self.trials} trials{planned}"]
        if self.confirm_runs:
            kind = "confirmation and baseline" if any(one.role == "rival" for one in self.records) else "confirmation"
            parts.append(f"{confirmed} of {self.confirm_runs} {kind} runs")
        if best is not None:
            parts.append(f"best {best.objective:.4f} ({best.trial_id}, epoch {best.best_epoch})")
        left = self.seconds_left
        parts.append(duration(self.seconds) + (f", about {duration(left)} left" if left else ""))
        return " · ".join(parts)

    def rows(self, most: int | None = None) -> list[list[str]]:
        """A row per trial, under its heading; only the best and the newest where there are more than `most`."""
        head = ["trial", *self.columns, "epoch", "objective", "status"]
        return [head, *(self.row(record) for record in _shown(self.records, most))]

    def row(self, record: TrialRecord) -> list[str]:
        """The cells of one trial."""
        values = {**record.coordinates, **record.params}
        objective = "" if record.objective is None else f"{record.objective:.4f}"
        at_best = "" if record.best_epoch in (None, record.epochs) else f" @{record.best_epoch}"
        return [
            _name(record),
            *(_cell(values.get(column)) for column in self.columns),
            f"{record.epochs}/{self.budget.epochs}",
            objective + at_best,
            record.status or "running",
        ]

    def __str__(self) -> str:
        rows = self.rows()
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([*lines, self.heading])


def progress_of(
    config: SweepConfig, records: Sequence[TrialRecord], seconds: float, *, confirm_runs: int, trials: int
) -> Progress:
    """Where a run stands; `confirm_runs` are to be expected after the `trials` of the search."""
    budget = Budget(config.trials, config.budget.epochs, config.budget.seconds)
    return Progress(tuple(records), tuple(config.columns), budget, seconds, confirm_runs, trials)


class Display:
    """Shows progress somewhere; this one nowhere."""

    def update(self, progress: Progress) -> None:
        """Called where something may have changed."""

    def log(self, line: str) -> None:
        """Show one line outside the table."""

    def close(self) -> None:
        """Leave the terminal as it was."""


class LineDisplay(Display):
    """One line for each trial that ends, for logs and pipes."""

    def __init__(self, log: Callable[[str], None] | None = None) -> None:
        """`log` is called with each line; None prints it."""
        self._log = log
        self._shown: set[str] = set()

    def update(self, progress: Progress) -> None:
        """Print the trials that have ended since the last call."""
        for record in progress.records:
            if record.status is not None and record.trial_id not in self._shown:
                self._shown.add(record.trial_id)
                values = {**record.coordinates, **record.params}
                shown = ", ".join(f"{name} {_cell(values[name])}" for name in progress.columns if name in values)
                objective = "no objective" if record.objective is None else f"objective {record.objective:.4f}"
                why = f" ({record.stop_reason})" if record.status not in ("finished", "stopped") else ""
                self.log(
                    f"{_name(record)}  {shown}  epoch {record.epochs}/{progress.budget.epochs}  {objective}  "
                    f"{record.status}{why}  [{progress.heading}]"
                )

    def log(self, line: str) -> None:
        """Print one line."""
        if self._log is None:
            print(line, flush=True)
        else:
            self._log(line)


class LiveDisplay(Display):
    """A table that is drawn over itself."""

    def __init__(self) -> None:
        self._live: Live | None = None
        self._drawn = 0.0

    def update(self, progress: Progress) -> None:
        """Draw the table, at most twice a second."""
        from rich.live import Live
        from rich.table import Table

        if time.monotonic() - self._drawn < REFRESH_SECONDS and progress.ended < progress.total:
            return
        self._drawn = time.monotonic()
        head, *rows = progress.rows(most=ROWS)
        table = Table(caption=progress.heading, caption_justify="left", box=None, pad_edge=False)
        best = best_record(progress.records)
        for name in head:
            table.add_column(name, no_wrap=True)
        for row in rows:
            is_best = best is not None and row[0] == _name(best)
            table.add_row(*row, style="bold" if is_best else "" if row[-1] == "running" else "dim")
        if self._live is None:
            self._live = Live(auto_refresh=False, transient=False)
            self._live.start()
        self._live.update(table, refresh=True)

    def log(self, line: str) -> None:
        """Print one line above the table."""
        if self._live is None:
            print(line, flush=True)
        else:
            self._live.console.print(line, markup=False, highlight=False)

    def close(self) -> None:
        """Leave the last table standing."""
        if self._live is not None:
            self._live.stop()


def display_for_terminal() -> Display:
    """A live table on a terminal, plain lines elsewhere."""
    return LiveDisplay() if sys.stdout.isatty() else LineDisplay()


def _shown(records: Sequence[TrialRecord], most: int | None) -> Sequence[TrialRecord]:
    if most is None or len(records) <= most:
        return records
    best = best_record(records)
    newest = records[-most:]
    return newest if best is None or best in newest else [best, *newest[1:]]


def _name(record: TrialRecord) -> str:
    """The trial's id, and for a rival its method: its weights are the default's."""
    return f"{record.trial_id} {record.label}" if record.role == "rival" else record.trial_id


def _cell(value: object) -> str:
    if value is None:
        return "off"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
