"""Sweeps on a Ray cluster of separate raylets with an S3 server as storage: nodes die, join, and the head dies too."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sweeps.trials.journal import read, read_events
from sweeps.trials.record import TrialRecord
from tests import ROOT
from tests.sweeps.object_store import KEYS, ObjectStore, object_store
from tests.sweeps.raylets import Raylets, raylets
from tests.toy_trainer import ToyTrainer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


TOY = ("--trainer", "tests.toy_trainer:ToyTrainer", "--confirm-seeds", "0", "--wandb", "off")


@dataclass(frozen=True)
class Machines:
    """A cluster and its storage."""

    store: ObjectStore
    nodes: Raylets


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    with ExitStack() as stack:
        store = stack.enter_context(object_store())
        yield Machines(store, stack.enter_context(raylets(KEYS)))


def started(*arguments: str) -> subprocess.Popen[str]:
    """run_sweep.py next to the cluster."""
    environment = {**os.environ, **KEYS, "COLUMNS": "200"}
    return subprocess.Popen(
        [sys.executable, str(ROOT / "run_sweep.py"), *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str], code: int = 0) -> tuple[str, str]:
    """What it printed and complained of, once it has ended with that code."""
    out, err = process.communicate(timeout=180)
    assert process.returncode == code, out + err
    return out, err


def wait_for(true: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 90.0) -> None:
    """Until something holds, while the sweep runs."""
    until = time.monotonic() + seconds
    while not true():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, "it never came to that"
        time.sleep(0.05)


def reports(run: Path) -> list[dict[str, Any]]:
    """All reports so far."""
    journal = run / "trials.jsonl"
    if not journal.exists():
        return []
    return [dict(event) for event in read_events(journal) if event["event"] == "report"]


def in_the_middle(run: Path) -> list[str]:
    """The nodes of trials that have some epochs behind them and some before them."""
    open_trials = [record for record in read(run / "trials.jsonl") if record.status is None and record.reports]
    return [str(record.last_report["node"]) for record in open_trials if record.epochs in (2, 4, 5, 6)]


def check_curve(record: TrialRecord, **toy: object) -> None:
    """Every epoch once, in order, with the values of a trainer that was never moved."""
    trainer = ToyTrainer({**ToyTrainer.default_params(), **record.params, **toy}, "", record.seed)
    assert [report["epoch"] for report in record.reports] == list(range(1, record.epochs + 1))
    for report in record.reports:
        assert report["objective"] == pytest.approx(trainer.train_epoch()["objective"], abs=1e-6)


def test_several_nodes_without_a_storage_are_refused_with_the_reason(machines: Machines, tmp_path: Path) -> None:
    _, err = ended(started("--output", str(tmp_path), "--address", machines.nodes.address, *TOY), 2)
    assert "the cluster has 3 nodes" in err
    assert "give --storage" in err
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_sweep_outlives_a_node_uses_a_new_one_and_a_storage_that_is_slow_and_fails_loses_nothing(
    machines: Machines, tmp_path: Path
) -> None:
    store, nodes = machines.store, machines.nodes
    data = tmp_path / "data" / "deep"
    data.mkdir(parents=True)
    (data / "speech.bin").write_bytes(os.urandom(100_000))
    (data.parent / "empty.txt").touch()
    store.delay, refusals = 0.02, iter(range(10**9))
    store.fails = lambda method, path: next(refusals) % 9 == 8
    try:
        process = started(
            *("--output", str(tmp_path), "--name", "moved", "--data", str(data.parent), "--trials", "9"),
            *("--address", nodes.address, "--storage", store.uri("moves"), "--set", "slow=0.5", *TOY),
        )
        run = tmp_path / "moved"
        wait_for(lambda: len({report["trial_id"] for report in reports(run)}) >= 3, process)
        joined = nodes.nodes[nodes.add()].node_ip_address
        wait_for(lambda: reports(run)[-1]["node"] == joined, process)
        names = {node.node_ip_address: name for name, node in nodes.nodes.items()}
        wait_for(lambda: bool(set(in_the_middle(run)) - {joined}), process)
        address = next(iter(set(in_the_middle(run)) - {joined}))
        nodes.kill(names[address])
        out, _ = ended(process)
    finally:
        store.delay, store.fails = 0.0, lambda method, path: False
    assert store.refused > 20
    assert "all 9 trials are done" in out
    records = read(run / "trials.jsonl")
    assert len(records) == 9
    for record in records:
        assert record.status in ("finished", "stopped")
        check_curve(record, slow=0.0)
    events = read_events(run / "trials.jsonl")
    retried = [number for number, event in enumerate(events) if event["event"] == "trial_retried"]
    assert [events[number]["reason"] for number in retried] == ["its node died or cannot be reached"]
    assert int(str(events[retried[0]]["epoch"])) >= 2
    # Reports may be on their way when a node dies; none comes once its trial is known to be lost.
    later = {event["node"] for event in events[retried[0] :] if event["event"] == "report"}
    assert later
    assert address not in later
    fetched = store.gets(r"_data/.*/files/")
    assert [path.rpartition("/")[2] for path in fetched] == ["speech.bin"]  # an empty file needs no request
    assert max(fetched.values()) <= 4 * 2, "each of four nodes once, and again where that was refused; not each trial"
    copies = [list(nodes.temporary(name).glob("xtts-sweep-*/data/*/deep/speech.bin")) for name in nodes.nodes]
    assert [len(found) for found in copies[1:]] == [1, 1, 1]


def test_a_run_of_one_machine_moves_into_a_storage_when_it_goes_on(machines: Machines, tmp_path: Path) -> None:
    here = ("--output", str(tmp_path / "here"))
    storage = ("--storage", machines.store.uri("later"))
    ended(started("--name", "moves", "--trials", "2", "--epochs", "3", *here, *TOY))
    before = (tmp_path / "here" / "moves" / "trials.jsonl").read_bytes()
    _, err = ended(started("report", "moves", "--output", str(tmp_path / "there"), *storage), 2)
    assert "there is no such run" in err
    ended(started("resume", "moves", "--trials", "3", *here, *storage))
    ended(started("report", "moves", "--output", str(tmp_path / "there"), *storage))
    after = (tmp_path / "there" / "moves" / "trials.jsonl").read_bytes()
    assert after.startswith(before)
    assert after == (tmp_path / "here" / "moves" / "trials.jsonl").read_bytes()
    records = read(tmp_path / "there" / "moves" / "trials.jsonl")
    assert [record.status for record in records] == ["finished"] * 3
    ended(started("resume", "moves", "--trials", "4", *here))  # it remembers where it keeps what it needs
    ended(started("report", "moves", "--output", str(tmp_path / "there"), *storage))
    assert len(read(tmp_path / "there" / "moves" / "trials.jsonl")) == 4
    ended(started("resume", "moves", "--trials", "5", *here, "--storage", str(tmp_path / "another")))
    ended(started("report", "moves", "--output", str(tmp_path / "elsewhere"), "--storage", str(tmp_path / "another")))
    assert len(read(tmp_path / "elsewhere" / "moves" / "trials.jsonl")) == 5
    shutil.rmtree(tmp_path / "another")
    _, err = ended(started("resume", "moves", "--trials", "6", *here), 2)
    assert "moves has its records and can be resumed with another --storage" in err


def test_one_trial_at_a_time_on_a_cluster_makes_the_records_of_one_machine(machines: Machines, tmp_path: Path) -> None:
    small = ("--trials", "5", "--epochs", "3", "--concurrent", "1", "--output", str(tmp_path), *TOY)
    storage = ("--storage", machines.store.uri())
    ended(started("--name", "joined", "--address", machines.nodes.address, *storage, *small))
    ended(started("--name", "client", "--address", machines.nodes.client_address, *storage, *small))
    ended(started("--name", "here", *small))
    here = read(tmp_path / "here" / "trials.jsonl")
    assert len(here) == 5
    for name in ("joined", "client"):
        for one, other in zip(read(tmp_path / name / "trials.jsonl"), here, strict=True):
            assert (one.trial_id, one.params, one.status, one.epochs) == (
                *(other.trial_id, other.params, other.status, other.epochs),
            )
            expected = pytest.approx([r["objective"] for r in other.reports], abs=1e-6)
            assert [r["objective"] for r in one.reports] == expected
            assert {report["node"] for report in one.reports} <= {f"127.0.0.{number}" for number in range(3, 7)}


def test_a_sweep_whose_head_and_driver_died_goes_on_from_the_storage_on_a_new_cluster(tmp_path: Path) -> None:
    with object_store() as store:
        first, second = tmp_path / "first", tmp_path / "second"
        with raylets(KEYS, (1, 1)) as nodes:
            process = started(
                *("--output", str(first), "--name", "moved", "--trials", "5", "--set", "slow=0.3", *TOY),
                *("--address", nodes.address, "--storage", store.uri()),
            )
            wait_for(lambda: len(reports(first / "moved")) >= 8, process)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            nodes.kill("n1")
        known = reports(first / "moved")
        shutil.rmtree(first)  # the machine that the driver ran on is gone
        with raylets(KEYS, (1, 1)) as nodes:
            there = ("--address", "auto", "--storage", store.uri(), "--wandb", "off")
            ended(started("resume", "moved", "--output", str(second), *there))
        records = read(second / "moved" / "trials.jsonl")
        assert len(records) == 5
        for record in records:
            assert record.status in ("finished", "stopped")
            check_curve(record, slow=0.0)
        kept = {(r["trial_id"], r["epoch"]): r["time"] for r in reports(second / "moved")}
        again = [report for report in known if kept[report["trial_id"], report["epoch"]] != report["time"]]
        assert len(again) <= 6, "what a second's events were is read from the checkpoints; the rest is the same record"
        third = tmp_path / "third"
        out, _ = ended(started("report", "--output", str(third), "--storage", store.uri()))
        assert out.strip() == str(third / "moved" / "report.html")
        assert (third / "moved" / "trials.jsonl").read_bytes() == (second / "moved" / "trials.jsonl").read_bytes()
        assert (third / "moved" / "best" / "toy.txt").exists()
        for path in second.glob("moved/*.*"):
            if path.is_file():
                assert not re.search(rb"AWS_SECRET|testing", path.read_bytes()), path
        chain = [name for name in store.asked if name[0] == "PUT" and "/journal/" in name[1]]
        assert all(store.asked[name] == 1 for name in chain), "a segment is never written again"
        sessions = {Path(path).name[:4] for _, path in chain}
        assert sessions == {"0001", "0002"}
