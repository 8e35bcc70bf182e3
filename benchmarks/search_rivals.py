"""Rivals of other packages as methods of search_efficiency.py, each search in a process of another Python.

python -m venv rivals && rivals/bin/pip install smac syne-tune huggingface_hub
python benchmarks/search_efficiency.py --rival-python rivals/bin/python --methods "sweep,SMAC multi-fidelity"
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.search_functions import SearchFunction
from benchmarks.search_methods import Config, Job
from benchmarks.search_rival_worker import RIVALS

WORKER = Path(__file__).with_name("search_rival_worker.py")

__all__ = ["RIVALS", "Rival"]


class Rival:
    """A method of search_rival_worker.py, asked over pipes."""

    def __init__(self, python: Path, name: str, function: SearchFunction, seed: int) -> None:
        command = [str(python), str(WORKER), name, str(seed), str(function.epochs), json.dumps(dict(function.bounds))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def _ask(self, **question: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"the rival's process ended with exit code {self._process.wait()}")
        return json.loads(answer)

    def next_job(self) -> Job | None:
        found: Mapping[str, Any] = self._ask(do="next")
        return Job(found["name"], found["config"], found["first"], found["last"])

    def report(self, job: Job, epoch: int, value: float) -> bool:
        return bool(self._ask(do="report", name=job.name, epoch=epoch, value=value))

    def incumbent(self) -> Config | None:
        found: Config | None = self._ask(do="incumbent")
        return found

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
