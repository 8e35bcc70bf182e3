"""How many trials side by side get most done on this machine: measured with the trainer's own updates, once.

More trials at a time do more in all where a trial leaves cores idle, and less where they wait for the same memory; and
the more run at once, the less the search has learned when it proposes the next. So of all layouts within a few percent
of the quickest, the one with the fewest trials is taken. A trainer is asked that has `updates_per_second(seconds)`.
What was measured is kept in a file: a sweep's first seconds are for training.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO

from sweeps.backend.session import python_path
from sweeps.common.errors import RequestError, SweepFailed
from sweeps.run.config import SweepConfig
from sweeps.run.resources import Resources
from sweeps.trainer import Trainer, load_trainer, use_threads

SECONDS = 1.0
WARM_UP_SECONDS = 0.3
PATIENCE_SECONDS = 90.0
NEAR = 0.97
MOST_LAYOUTS = 3
READY, RATE = "ready", "rate "


def measured_resources(
    resources: Resources, config: SweepConfig, trainer: type[Trainer], store: Path, *, start: bool
) -> Resources:
    """The plan with the layout that is quickest here, or as it is where the user set it, there is nothing to choose
    or it cannot be measured. `store` keeps what was measured; nothing is started unless `start`."""
    asked = config.concurrent is not None or config.cpus_per_trial is not None or config.address is not None
    layouts = layouts_of(resources)
    if (
        asked
        or resources.gpus_per_trial
        or len(layouts) < 2
        or trainer.updates_per_second is Trainer.updates_per_second
    ):
        return resources
    key = _key(config, layouts)
    rates = _known(store, key)
    if rates is None and start:
        rates = measure(config.loadable_trainer, config.shared_params, config.data, layouts)
        if rates is not None:
            _keep(store, key, rates)
    return resources if rates is None else with_layout(resources, rates)


def layouts_of(resources: Resources) -> list[tuple[int, int]]:
    """(trials at a time, threads of each): as planned, and with half and a quarter as many trials."""
    counts = [resources.concurrent >> halvings for halvings in range(MOST_LAYOUTS)]
    return [(count, resources.cores // count) for count in counts if count]


def with_layout(resources: Resources, rates: Mapping[str, float]) -> Resources:
    """The plan with the fewest trials at a time that come near the largest of the rates, by 'trials x threads'."""
    near = [name for name, rate in rates.items() if rate >= NEAR * max(rates.values())]
    concurrent, threads = min(tuple(int(part) for part in name.split("x")) for name in near)
    return replace(
        resources,
        concurrent=concurrent,
        threads=threads,
        cpus_per_trial=min(float(threads), resources.cores / concurrent),
        updates_per_second=dict(rates),
    )


def measure(
    trainer: str, params: Mapping[str, object], data: str, layouts: Sequence[tuple[int, int]], seconds: float = SECONDS
) -> dict[str, float] | None:
    """Updates a second of all trials together, by 'trials x threads'; None where the trainer does not get that far."""
    task = json.dumps({"trainer": trainer, "params": dict(params), "data": data})
    with _processes(max(count for count, _ in layouts)) as processes:
        try:
            _send(processes, task)
            for process in processes:
                _read(process, READY)
            rates = {}
            for count, threads in layouts:
                _send(processes[:count], f"{threads} {seconds}")
                rates[f"{count}x{threads}"] = round(sum(float(_read(one, RATE)) for one in processes[:count]), 3)
        except (EOFError, OSError, ValueError):
            return None
    return rates


@contextmanager
def _processes(count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that measure, gone again in the end, and after PATIENCE_SECONDS in any case."""
    started: list[subprocess.Popen[str]] = []
    late = threading.Timer(PATIENCE_SECONDS, _kill, [started])
    late.daemon = True
    late.start()
    try:
        for _ in range(count):
            started.append(
                subprocess.Popen(
                    [sys.executable, "-m", "sweeps.backend.throughput"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    env={**os.environ, "PYTHONPATH": python_path()},
                )
            )
        yield started
    finally:
        late.cancel()
        _kill(started)
        for process in started:
            with suppress(OSError):  # what was not read by a process that died
                process.communicate()


def _kill(processes: Sequence[subprocess.Popen[str]]) -> None:
    for process in processes:
        process.kill()


def _send(processes: Sequence[subprocess.Popen[str]], line: str) -> None:
    for process in processes:
        _pipe(process.stdin).write(f"{line}\n")
        _pipe(process.stdin).flush()


def _read(process: subprocess.Popen[str], beginning: str) -> str:
    """What follows `beginning` in the next line that has it; trainers and their libraries may print, too."""
    for line in _pipe(process.stdout):
        if line.startswith(beginning):
            return line.removeprefix(beginning).strip()
    raise EOFError


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


def _key(config: SweepConfig, layouts: Sequence[tuple[int, int]]) -> str:
    """All that the rates depend on, as far as it is known without measuring."""
    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = ""
    params = json.dumps(config.shared_params, sort_keys=True, default=str)
    parts = [config.trainer, params, config.data, repr(layouts), _processor(), torch]
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return " ".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))


def _known(store: Path, key: str) -> dict[str, float] | None:
    try:
        rates = json.loads((store / f"{key}.json").read_text(encoding="utf-8"))
        return {str(name): float(rate) for name, rate in rates.items()} or None
    except (OSError, ValueError, AttributeError):
        return None


def _keep(store: Path, key: str, rates: Mapping[str, float]) -> None:
    """What cannot be kept is measured again."""
    from sweeps.common.atomic_file import write_atomically

    with suppress(OSError, SweepFailed):
        store.mkdir(parents=True, exist_ok=True)
        write_atomically(store / f"{key}.json", json.dumps(rates))


def main() -> None:
    """In a process of its own: build the trainer, then say its rate whenever threads and seconds are asked for."""
    task = json.loads(sys.stdin.readline())
    try:
        trainer = load_trainer(task["trainer"])(task["params"], task["data"], 0)
    except RequestError:
        return
    print(READY, flush=True)
    for line in sys.stdin:
        threads, seconds = line.split()
        use_threads(int(threads), trainer)
        trainer.updates_per_second(WARM_UP_SECONDS)
        print(f"{RATE}{trainer.updates_per_second(float(seconds))}", flush=True)


if __name__ == "__main__":
    main()
