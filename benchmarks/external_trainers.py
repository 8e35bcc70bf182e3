"""Published trainers, unmodified, under the sweep: preflight, a sweep that is killed and resumed, verdict, diagnosis.

Each trainer is installed from what is published into a virtual environment of its own, and driven by the spec that
ships, or in process. Its files are hashed before and after. Not part of `make test`: about an hour on a machine of its
own, and half an hour more to install; docs/results-external-trainers.md has the minutes of each section.

    make test-trainers DATA=/path/to/an/ljspeech/folder
    python benchmarks/external_trainers.py --data DIR [--work DIR] [--only coqui_vits piper vits_in_process]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.published import coqui, matcha, myxtts, piper  # noqa: E402
from benchmarks.published.environment import Published, run_there, subset  # noqa: E402

FAMILIES: dict[str, Callable[[Path, Path], list[Published]]] = {
    "coqui": coqui.prepared,
    "piper": piper.prepared,
    "matcha": matcha.prepared,
    "myxtts": myxtts.prepared,
}
MEMBERS = {
    "coqui_vits": "coqui",
    "vits_in_process": "coqui",
    "coqui_xtts_gpt": "coqui",
    "gpt_in_process": "coqui",
    "piper": "piper",
    "matcha": "matcha",
    "myxtts": "myxtts",
}
EXACT = """import sys
from pathlib import Path
import torch
import trainers.coqui
from sweeps.storage.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
torch.set_num_threads(1)
kind, config, path = getattr(trainers.coqui, sys.argv[1]), sys.argv[2], Path(sys.argv[3])
straight = kind({"config": config}, "", 7)
reports = [straight.train_epoch() for _ in range(2)]
first = kind({"config": config}, "", 7)
assert first.train_epoch() == reports[0]
save_checkpoint(path, Checkpoint(first.state_dict(), {}))
second = kind({"config": config}, "", 7)
second.load_state_dict(load_checkpoint(path).state)
resumed = second.train_epoch()
one, other = straight.state_dict()["model"], second.state_dict()["model"]
same = all(torch.equal(one[name], other[name]) for name in one)
print(f"EXACT objectives {[r['objective'] for r in reports]}, resumed equal {resumed == reports[1]}, "
      f"all {len(one)} tensors equal {same}")
"""


def main() -> int:
    """Run what was asked for; 1 where something was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="an LJSpeech folder with clips of 1 to 1.7 s")
    parser.add_argument("--work", type=Path, default=Path("/tmp/xtts-sweep-trainers"))
    parser.add_argument("--only", nargs="*", choices=list(MEMBERS), default=list(MEMBERS))
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--confirm-seeds", type=int, default=1)
    options = parser.parse_args()
    work: Path = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    data = subset(options.data, work / "data")
    failed = []
    for family in dict.fromkeys(MEMBERS[name] for name in options.only):
        for published in FAMILIES[family](work, data):
            if published.name in options.only and not passed(published, work, options):
                failed.append(published.name)
    print(f"failed: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


def passed(published: Published, work: Path, options: argparse.Namespace) -> bool:
    """All that is asked of one trainer."""
    print(f"\n== {published.name}", flush=True)
    before = published.hashes()
    if published.trainer.startswith("trainers."):
        exact_resume(published, work)
    else:
        preflight(published)
    good = sweep(published, work, options)
    unchanged = published.hashes() == before
    print(f"its {len(before)} files unchanged: {unchanged}", flush=True)
    return good and unchanged


def given(published: Published) -> list[str]:
    """The options that choose the trainer; one thread, because two that wait for each other are slower when busy."""
    settings = list(published.settings)
    if not published.trainer.startswith("trainers."):
        settings += ["env.OMP_NUM_THREADS=1", "env.TF_NUM_INTRAOP_THREADS=1"]
    return ["--trainer", published.trainer, *(part for text in settings for part in ("--set", text))]


def command(published: Published, *arguments: str) -> str:
    """What a command of this project prints."""
    done = subprocess.run(
        [str(published.driver), "run_sweep.py", *arguments],
        cwd=ROOT,
        env={**os.environ, **published.environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def preflight(published: Published) -> None:
    """The table, and how long it took."""
    began = time.monotonic()
    print(command(published, "check", *given(published)), end="")
    print(f"preflight took {time.monotonic() - began:.0f} s", flush=True)


def exact_resume(published: Published, work: Path) -> None:
    """Two epochs in one go, and with a checkpoint file between them."""
    kind = published.trainer.partition(":")[2]
    config = next(text.partition("=")[2] for text in published.settings if text.startswith("config="))
    checkpoint = work / "checkpoint.safetensors"
    output = run_there(published.driver, EXACT, [kind, config, checkpoint], published.environment, ROOT)
    checkpoint.unlink()
    print(next(line for line in output.splitlines() if line.startswith("EXACT")), flush=True)


def sweep(published: Published, work: Path, options: argparse.Namespace) -> bool:
    """A sweep whose driver is killed in its second trial, resumed to its verdict; and what its logs say to diagnose."""
    runs, name = work / "runs", published.name
    run = runs / name
    shutil.rmtree(run, ignore_errors=True)
    where = ["--output", str(runs), "--wandb", "off"]
    size = ["--trials", str(options.trials), "--epochs", str(options.epochs), "--concurrent", "1"]
    size += ["--cpus-per-trial", "1", "--confirm-seeds", str(options.confirm_seeds)]
    began = time.monotonic()
    driver = subprocess.Popen(
        [str(published.driver), "run_sweep.py", *given(published), "--name", name, *where, *size],
        cwd=ROOT,
        env={**os.environ, **published.environment},
    )
    journal = run / "trials.jsonl"
    while driver.poll() is None and not any(report["trial_id"] == "t0002" for report in reports(journal)):
        time.sleep(0.5)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    time.sleep(5)
    known, left = reports(journal), left_over(run)
    print(
        f"driver killed after {time.monotonic() - began:.0f} s, {len(known)} reports; processes left: {left}",
        flush=True,
    )
    print(command(published, "resume", name, *where))
    kept = reports(journal)[: len(known)] == known
    print(f"reports before the kill kept: {kept}; {time.monotonic() - began:.0f} s in all")
    print((run / "verdict.json").read_text(), flush=True)
    for report in reports(journal):
        values = {key: value for key, value in report.items() if isinstance(value, float) and key != "time"}
        print(report["trial_id"], report["epoch"], json.dumps(values))
    statuses = [json.loads(line).get("status") for line in journal.read_text().splitlines()]
    print("diagnose:", diagnosis(run / "trials" / "t0001"), flush=True)
    return kept and left == 0 and "failed" not in statuses and (run / "report.html").is_file()


def diagnosis(logs: Path) -> str:
    """What diagnose says of a trial's own logs."""
    asked = [sys.executable, "run_sweep.py", "diagnose", str(logs)]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def reports(journal: Path) -> list[dict[str, object]]:
    """The epoch reports in a journal, without a line that is being written."""
    lines = journal.read_text().splitlines(keepends=True) if journal.is_file() else []
    events = [json.loads(line) for line in lines if line.endswith("\n")]
    return [event for event in events if event["event"] == "report"]


def left_over(run: Path) -> int:
    """How many processes still name the run's trials on their command lines."""
    word, count = str(run / "trials").encode(), 0
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            count += word in entry.read_bytes()
        except OSError:
            continue
    return count


if __name__ == "__main__":
    sys.exit(main())
