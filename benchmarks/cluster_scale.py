"""The sweep's driver at a cluster's size, on a simulated clock: how long it takes to decide, and what slots wait for.

    python benchmarks/cluster_scale.py                               # 10,000 trials of 27 epochs on 512 slots
    python benchmarks/cluster_scale.py --trials 1000 --slots 64
    python benchmarks/cluster_scale.py --profile                     # and where the driver's time goes

The searcher, the scheduler, the recorder and the journal are the sweep's own, put together as sweeps/session.py does
it, with the journal on a real disk and a log's progress lines thrown away. What they decide on is simulated: a
published test function's learning curves (search_functions.py) on a cluster whose nodes differ and fail
(cluster_model.py). The driver's processor time, and its wait for the disk, pass on the simulated clock too: a slot
whose report waits for an answer stands still. Files (trials.csv, the page) are written as often as a session does;
they are really written once in a tenth of the trials, and charged with the last cost in between. Ray's own part of a
report is a constant (--ray-ms; what benchmarks/soak.py leaves beside ours). The page of more than 1,000 trials is made
in a thread of its own: its seconds stand in their own column. Not simulated: the network, Ray's own
memory, checkpoints.

The table is by tenths of the trials that have ended: processor time from a report to go or stop, and from a free slot
to the next config. Efficiency is the kept epochs' time over that of always-busy slots.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from benchmarks.cluster_model import Cluster, ModelConfig  # noqa: E402
from benchmarks.profiling import profiled  # noqa: E402
from benchmarks.search_functions import EPOCHS  # noqa: E402
from benchmarks.simulated_driver import PARTS, SweepDriver, Tenth, row, simulate, spread_of  # noqa: E402
from sweeps.common.budget import duration  # noqa: E402

MEMORY = 16e9  # of the machine that the bound on trials is named for


def main() -> None:
    """Simulate once and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000, help="default: %(default)s")
    parser.add_argument("--slots", type=int, default=512, help="in nodes of 8 (default %(default)s)")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of a whole trial (default %(default)s)")
    parser.add_argument("--epoch-seconds", type=float, default=60.0, help="median (default %(default)s)")
    parser.add_argument("--failures", type=float, default=0.02, help="per node and hour (default %(default)s)")
    parser.add_argument("--ray-ms", type=float, default=8.0, help="Ray's own part of a report (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of search and cluster (default %(default)s)")
    parser.add_argument("--folder", type=Path, help="where the journal is written (default: for temporary files)")
    parser.add_argument("--profile", action="store_true", help="print the driver's costliest functions")
    options = parser.parse_args()
    if options.trials < 10:
        parser.error(f"--trials {options.trials}: the table needs 10 at least")
    shape = ModelConfig(
        options.slots,
        options.epochs,
        epoch_seconds=options.epoch_seconds,
        failures_per_node_hour=options.failures,
    )
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; seed {options.seed}")
    print(f"{options.trials} trials of {shape.epochs} epochs of {shape.epoch_seconds:g} s on {shape.slots} slots;")
    print(
        f"{shape.nodes} nodes, each failing {options.failures:g} times an hour; {options.ray_ms:g} ms a report for Ray"
    )
    with tempfile.TemporaryDirectory(prefix="cluster-scale-", dir=options.folder) as scratch:
        with profiled(options.profile, "tottime"):
            driver, cluster = simulate(shape, options.trials, options.seed, options.ray_ms / 1e3, Path(scratch))
        print("\n".join([*table(driver.tenths), *summary(driver, cluster)]))


def table(tenths: Sequence[Tenth]) -> list[str]:
    """A line for each tenth of the trials."""
    lines = [
        "",
        "| trials ended | report to go or stop: median, p99, most | free slot to config | files | page | RSS |",
        "|---|---|---|---|---|---|",
    ]
    return [*lines, *(row(number, tenth) for number, tenth in enumerate(tenths, 1))]


def summary(driver: SweepDriver, cluster: Cluster) -> list[str]:
    """What it comes to."""
    records, tenths, shape, spent = driver.journal.records, driver.tenths, cluster.shape, cluster.until_now()
    statuses = Counter(str(record.status) for record in records).most_common()
    retries = sum(record.retries for record in records)
    whole = cluster.now * shape.slots
    reports = [seconds for tenth in tenths for seconds in tenth.reports]
    configs = [seconds for tenth in tenths for seconds in tenth.configs]
    growth = (tenths[-1].resident - tenths[0].resident) / max(0.9 * len(records), 1)
    disk = 1e3 * float(np.median(driver.watch.disk))
    idle = {
        "workers' start": spent.starting,
        "epochs lost with their node": spent.lost,
        "nodes that are down": spent.down,
        "waiting for the driver, and the last trials' end": spent.waiting,
    }
    return [
        "",
        f"ended: {', '.join(f'{count} {status}' for status, count in statuses)}; {cluster.node_failures} nodes failed, "
        f"{retries} times a trial went on elsewhere",
        f"all reports: {spread_of(reports)}; all configs: {spread_of(configs)}",
        f"longest wait for an answer: {cluster.longest_queue:.1f} s; a journal's line waits {disk:.2f} ms for the disk",
        f"the journal has {driver.journal_bytes / 1e6:.0f} MB; memory grows by {growth / 1e3:.0f} kB a trial, "
        f"so 16 GB hold about {(MEMORY - tenths[0].resident) / max(growth, 1.0):,.0f} such trials",
        f"{duration(cluster.now)} simulated; the last trial began after {duration(cluster.last_start)}",
        f"efficiency against always-busy slots: {spent.kept / whole:.1%}; "
        + ", ".join(f"{what} {seconds / whole:.1%}" for what, seconds in idle.items()),
        *bottleneck(driver, cluster, len(reports) + len(configs)),
    ]


def bottleneck(driver: SweepDriver, cluster: Cluster, asked: int) -> list[str]:
    """What the driver does with its time, and where it has none left; files are made in a twentieth of it at most."""
    parts = {part: driver.watch.seconds[part] for part in PARTS if part != "files"}
    parts |= {"disk": sum(driver.watch.disk), "Ray": driver.ray_seconds * asked}
    busy, files = sum(parts.values()), sum(seconds for tenth in driver.tenths for seconds in tenth.files)
    shares = sorted(parts.items(), key=lambda entry: -entry[1])
    full, shape = 0.95 * cluster.now / busy, cluster.shape
    return [
        f"the driver decides in {busy / cluster.now:.1%} of the time ("
        + ", ".join(f"{part} {seconds / busy:.0%}" for part, seconds in shares)
        + f") and makes files in {files / cluster.now:.1%}",
        f"first bottleneck: {shares[0][0]}, which is {1e3 * shares[0][1] / asked:.1f} of {1e3 * busy / asked:.1f} ms a "
        f"decision; the driver is full at {shape.slots * full:,.0f} slots with epochs of {shape.epoch_seconds:g} s, "
        f"or with epochs of {shape.epoch_seconds / full:.1f} s on {shape.slots} slots",
    ]


if __name__ == "__main__":
    main()
