"""Trains a published VITS, healthy and with faults, on several voices; and judges its logs as `diagnose` does.

Used by reference_curves.py --trainer. The trainer writes its own TensorBoard log and config, and nothing else is looked
at: for a look after epoch 3 the log is cut behind that epoch. Tiny widths, the generator's as in benchmarks/published.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from published.coqui import VITS_TEMPLATE
from published.coqui_runs import FINISHED
from published.environment import ROOT, run_there, torchcodec_shim
from tensorboardX.proto.event_pb2 import Event

sys.path.insert(0, str(ROOT))

from sweeps.external.readers.tensorboard import FOOTER, HEADER
from xtts.diagnostics.reference import MARGIN
from xtts_sweep.diagnosis.diagnose import diagnose

HEALTHY: Mapping[str, Mapping[str, float]] = {
    "healthy": {},
    "healthy, seed 2": {"seed": 2},
    "healthy, learning rate x2": {"rate": 2},
    "healthy, mel weight /3": {"mel": 1 / 3},
}
FAULTS: Mapping[str, Mapping[str, float]] = {
    "mel weight x14": {"mel": 14},
    "clip 1e-3": {"clip": 1e-3},
    "learning rate x10": {"rate": 10},
    "learning rate /30": {"rate": 1 / 30},
    "text shuffled": {},
    "wrong transcripts": {},
    "one clip repeated": {},
    "NaN at a step": {"spoil": 2},
}
"""Un-normalised mel is left out: VITS is made for it. `spoil`: the epoch before which a weight turns NaN"""
FIRST = ("healthy", "healthy, seed 2")
"""Trained before the faults, so that a recording that is stopped early can be judged"""
EPOCHS, FAULTY_EPOCHS = 9, 3
CLIPS = 24
"""A quarter of them is the validation split: 18 clips, five updates an epoch"""
MEL_WEIGHT, RATE = 45.0, 2e-4
EPOCH_TAG = "EvalStats/avg_loss_mel"
VIEW = "log"
Look = tuple[str, str, int]
"""View, fault and epoch"""
Clips = Sequence[tuple[Path, str]]


def record(
    python: Path, out: Path, voices: Mapping[str, Clips], spoiled: Callable[[Clips, str, Path], Path], of_data: set[str]
) -> None:
    """Train what `out` does not hold yet, as VOICE/RUN; `of_data`: the faults that lie in the data."""
    work = out / "work"
    shims, template = torchcodec_shim(work), work / "vits.json"
    environment = {"PYTHONPATH": f"{shims}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}
    jobs = []
    for voice, clips in voices.items():
        for kind in ("plain", *sorted(of_data)):
            if not (work / voice / kind).exists():
                spoiled(clips[:CLIPS], kind, work / voice / kind)
    first = {name: changed for name, changed in HEALTHY.items() if name in FIRST}
    for voice in voices:
        for name, changed in (first | FAULTS | HEALTHY).items():
            data = work / voice / (name if name in of_data else "plain")
            folder = out / voice / name.replace("/", "by ")
            jobs.append(_job(folder, data, template, changed, EPOCHS if name in HEALTHY else FAULTY_EPOCHS))
    run_there(python, VITS_TEMPLATE, [work, template], environment)
    (work / "jobs.json").write_text(json.dumps(jobs), "utf-8")
    worker = Path(__file__).with_name("published") / "coqui_runs.py"
    with (work / "output.txt").open("ab") as output:
        subprocess.run(
            [str(python), str(worker), str(work / "jobs.json")],
            env={**os.environ, **environment},
            stdout=output,
            stderr=output,
            check=True,
        )


def _job(folder: Path, data: Path, config: Path, changed: Mapping[str, float], epochs: int) -> dict[str, object]:
    changes: dict[str, object] = {"batch_size": 4, "eval_batch_size": 2, "eval_split_size": 0.25}
    changes |= {"lr_gen": RATE * changed.get("rate", 1), "lr_disc": RATE * changed.get("rate", 1)}
    params = {"mel_loss_alpha": MEL_WEIGHT * changed.get("mel", 1), "grad_clip_gen": changed.get("clip", 1000.0)}
    return {
        "folder": str(folder),
        "data": str(data),
        "config": str(config),
        "changes": {**changes, "grad_clip": [changed.get("clip", 1000.0)] * 2},
        "params": params,
        "seed": int(changed.get("seed", 1)),
        "epochs": epochs,
        "spoil": int(changed.get("spoil", 0)),
    }


def judged(
    out: Path, voices: Sequence[str], looks: Sequence[int], named_by: Mapping[str, frozenset[str]]
) -> tuple[dict[Look, list[str]], dict[Look, list[bool]]]:
    """For each fault and look what `diagnose` calls the runs watch or stop by, and whether it names the fault."""
    called: dict[Look, list[str]] = {}
    named: dict[Look, list[bool]] = {}
    for voice in voices:
        for name in HEALTHY | FAULTS:
            folder = out / voice / name.replace("/", "by ")
            for look in looks if (folder / FINISHED).exists() else ():
                if look > (EPOCHS if name in HEALTHY else FAULTY_EPOCHS):
                    continue
                with tempfile.TemporaryDirectory() as place:
                    found = diagnose(cut(folder, look, Path(place)))
                fault = "healthy" if name in HEALTHY else name
                codes = {one.code for one in found.findings}
                bad = sorted(one.code for one in found.findings if one.severity != "note")
                called.setdefault((VIEW, fault, look), []).append(", ".join(bad))
                named.setdefault((VIEW, fault, look), []).append(bool(codes & named_by.get(fault, frozenset())))
    return called, named


def print_placement(out: Path, voices: Sequence[str], look: int) -> None:
    """How far each term has fallen after a look, and which runs are behind the healthy ones of the other voices.

    A term is the validation's over the first step's of training; behind: above MARGIN times the highest healthy one.
    """
    fallen = {
        (voice, name): falls(out / voice / name.replace("/", "by "), look)
        for voice in voices
        for name in HEALTHY | FAULTS
        if (out / voice / name.replace("/", "by ") / FINISHED).exists()
    }
    print(f"\nterms after epoch {look} over their first step's, by voice; * behind the other voices' healthy runs")
    for name in HEALTHY | FAULTS:
        cells = []
        for voice in voices:
            others = [one for (other, kind), one in fallen.items() if other != voice and kind in HEALTHY]
            for term, value in fallen.get((voice, name), {}).items():
                behind = bool(others) and not value <= MARGIN * max(one[term] for one in others)
                cells.append(f"{term} {value:.2f}{'*' if behind else ' '}")
        print(f"{name:<28}{'  '.join(cells)}")


def falls(folder: Path, look: int) -> dict[str, float]:
    """Of each term that is not adversarial: the validation's value after an epoch over the first step's."""
    with tempfile.TemporaryDirectory() as place:
        run = diagnose(cut(folder, look, Path(place))).run
    found = {}
    for term in ("mel", "kl", "duration"):
        first, then = run.raw(f"train/{term}"), run.raw(f"val/{term}")
        found[term] = float(then.values[-1] / first.values[0]) if first is not None and then is not None else math.nan
    return found


def cut(folder: Path, epoch: int, place: Path) -> Path:
    """A copy of the run's config and of its log up to the end of an epoch; to the end, where it was shorter."""
    (log,) = folder.rglob("events*")
    content = log.read_bytes()
    records, at = [], 0
    while len(content) - at >= HEADER:
        end = at + HEADER + struct.unpack_from("<Q", content, at)[0] + FOOTER
        records.append((content[at:end], Event.FromString(content[at + HEADER : end - FOOTER])))
        at = end
    ends = [event.step for _, event in records for value in event.summary.value if value.tag == EPOCH_TAG]
    last = ends[epoch - 1] if len(ends) >= epoch else math.inf
    (place / log.name).write_bytes(b"".join(record for record, event in records if event.step <= last))
    shutil.copy(folder / "config.json", place)
    return place
