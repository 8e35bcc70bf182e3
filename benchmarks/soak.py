"""A thousand trials through the whole stack: is the driver's memory flat, and is each report as cheap as the first?

    python benchmarks/soak.py                    # 1,000 trials of 9 epochs of a toy trainer
    python benchmarks/soak.py --trials 200
    python benchmarks/soak.py --profile          # and where the driver's time goes

The toy learns nothing in no time, so all that is seen is what the sweep itself costs: Ray, the journal, the rungs, the
files and the page, with the terminal's lines thrown away. By hundreds of trials it prints the driver's memory (RSS),
its processor time for each report (all threads), wall time a trial, and the same processor time without what is only
done while there is time for it (files that are made again from the records, at most a twentieth of the time).
`--model N` proposes by the model after N trials instead of Sobol's points all along; its own cost is search's, not the
stack's. Exit code 1 where memory grows by 50 MB or more after the first hundred, or a report costs 30 ms or more.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.profiling import profiled  # noqa: E402
from sweeps.common.budget import Budget  # noqa: E402
from sweeps.run.config import SweepConfig  # noqa: E402
from sweeps.run.progress import Display, LineDisplay, Progress  # noqa: E402
from sweeps.run.run import Run  # noqa: E402
from sweeps.search.options import SearchOptions  # noqa: E402
from sweeps.space.space_file import load_space  # noqa: E402
from sweeps.tuner.api import run  # noqa: E402
from xtts_sweep.integration import write_page  # noqa: E402

GROWTH_BYTES = 50e6
REPORT_SECONDS = 0.030
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Sample:
    """What the driver had used when so many trials had started."""

    trials: int
    reports: int
    wall: float
    processor: float
    files: float
    resident: int


class Samples(Display):
    """A display that shows lines to nobody, and looks at the driver every `step` trials."""

    def __init__(self, step: int) -> None:
        self.taken: list[Sample] = []
        self.files = 0.0
        self._step = step
        self._lines = LineDisplay()

    def update(self, progress: Progress) -> None:
        """Show the lines that a log would get, and take a sample where one is due."""
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
            self._lines.update(progress)
        if len(progress.records) >= (len(self.taken) + 1) * self._step:
            self.take(progress)

    def take(self, progress: Progress) -> None:
        """Look at the driver now."""
        reports = sum(len(record.reports) for record in progress.records)
        self.taken.append(
            Sample(len(progress.records), reports, time.monotonic(), time.process_time(), self.files, resident())
        )

    def log(self, line: str) -> None:
        """Say it: it is unexpected."""
        print(line, flush=True)

    def close(self) -> None:
        """Nothing."""

    def page(self, run: Run) -> None:
        """Write report.html, and remember what it cost."""
        before = time.thread_time()
        write_page(run)
        self.files += time.thread_time() - before


def main() -> int:
    """Print the figures by hundreds, and what they come to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000, help="trials (default %(default)s)")
    parser.add_argument("--epochs", type=int, default=9, help="epochs of each (default %(default)s)")
    parser.add_argument("--concurrent", type=int, default=2, help="trials side by side (default %(default)s)")
    parser.add_argument("--model", type=int, metavar="N", help="propose by the model after N trials")
    parser.add_argument("--profile", action="store_true", help="print the driver's costliest functions")
    options = parser.parse_args()
    step = max(options.trials // 10, 1)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {options.trials} trials of {options.epochs} epochs")
    with profiled(options.profile, "cumulative"):
        taken = soak(options.trials, options.epochs, options.concurrent, step, options.model)
    print("\n".join(table(taken)))
    growth = taken[-1].resident - taken[0].resident
    slowest = max(seconds_a_report(before, after) for before, after in pairs(taken))
    print(f"memory grew by {growth / 1e6:.1f} MB from trial {taken[0].trials} to {taken[-1].trials} (under 50 wanted)")
    print(f"a report cost the driver {1e3 * slowest:.1f} ms at most (under 30 wanted)")
    return int(growth >= GROWTH_BYTES or slowest >= REPORT_SECONDS)


def soak(trials: int, epochs: int, concurrent: int, step: int, model_after: int | None = None) -> Sequence[Sample]:
    """Run the sweep in this process; a sample every `step` trials."""
    samples = Samples(step)
    with tempfile.TemporaryDirectory(prefix="soak-") as scratch:
        request = SweepConfig(
            search=SearchOptions(),
            name="soak",
            output=Path(scratch),
            space=load_space("safe_weights"),
            trainer="tests.toy_trainer:ToyTrainer",
            data=scratch,
            budget=Budget(trials, epochs),
            concurrent=concurrent,
            cohort=trials if model_after is None else model_after,
        )
        result = run(request, display=samples, report=samples.page)
    if len(result.records) != trials or any(record.status is None for record in result.records):
        raise SystemExit(f"not all trials ended: {result.reason}")
    return samples.taken


def pairs(taken: Sequence[Sample]) -> Iterator[tuple[Sample, Sample]]:
    """Each sample with the next."""
    return itertools.pairwise(taken)


def seconds_a_report(before: Sample, after: Sample) -> float:
    """The driver's processor time for each report between two samples."""
    return (after.processor - before.processor) / max(after.reports - before.reports, 1)


def table(taken: Sequence[Sample]) -> list[str]:
    """A line for each stretch between two samples."""
    lines = ["trials      RSS     reports   driver a report   without the page   wall a trial"]
    first = taken[0]
    lines.append(f"{first.trials:>6} {first.resident / 1e6:>7.1f} MB {first.reports:>9}")
    for before, after in pairs(taken):
        reports, trials = max(after.reports - before.reports, 1), after.trials - before.trials
        page = (after.files - before.files) / reports
        each = seconds_a_report(before, after)
        lines.append(
            f"{after.trials:>6} {after.resident / 1e6:>7.1f} MB {after.reports:>9} {1e3 * each:>14.2f} ms "
            f"{1e3 * (each - page):>14.2f} ms {(after.wall - before.wall) / trials:>12.3f} s"
        )
    return lines


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


if __name__ == "__main__":
    sys.exit(main())
