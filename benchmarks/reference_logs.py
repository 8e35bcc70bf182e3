"""Trains a published trainer, healthy and with faults, on several voices; and judges its logs as `diagnose` does.

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
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from tensorboardX.proto.event_pb2 import Event

from benchmarks.published import piper
from benchmarks.published.coqui import VITS_TEMPLATE
from benchmarks.published.coqui_runs import FINISHED
from benchmarks.published.environment import ROOT, run_there, torchcodec_shim
from sweeps.external.readers.tensorboard import FOOTER, HEADER
from xtts.data.build_dataset import no_progress
from xtts.diagnostics.reference import MARGIN
from xtts_sweep.diagnosis.diagnose import data_scale, diagnose
from xtts_sweep.diagnosis.run_logs import CONFIG_NAMES

HEALTHY: dict[str, Mapping[str, float]] = {
    "healthy": {},
    "healthy, seed 2": {"seed": 2},
    "healthy, learning rate x2": {"rate": 2},
    "healthy, mel weight /3": {"mel": 1 / 3},
}
FAULTS: dict[str, Mapping[str, float]] = {
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
VIEWS = ("log and config", "and the data set there", "and --data")
"""On another machine than the data set; on the one that the config names it on; with the data set given as well"""
Look = tuple[str, str, int]
"""View, fault and epoch"""
Clips = Sequence[tuple[Path, str]]


def _coqui_template(python: Path, work: Path, environment: Mapping[str, str]) -> Path:
    run_there(python, VITS_TEMPLATE, [work, work / "vits.json"], environment)
    return work / "vits.json"


def _piper_template(python: Path, work: Path, environment: Mapping[str, str]) -> Path:
    (work / "piper.yaml").write_text(yaml.safe_dump(piper.config(work, work, work)), "utf-8")
    return work / "piper.yaml"


@dataclass(frozen=True)
class Published:
    """A published trainer whose runs are recorded: the program that trains them, its config, and its log."""

    worker: str
    """In benchmarks/published; takes jobs"""
    template: Callable[[Path, Path, Mapping[str, str]], Path]
    """Writes the config that jobs change: the trainer's Python, the folder, the environment"""
    epoch_tag: str
    """Logged once an epoch, at its end"""


TRAINERS = {
    "coqui_vits": Published("coqui_runs.py", _coqui_template, "EvalStats/avg_loss_mel"),
    "piper": Published("piper_runs.py", _piper_template, "val_mel"),
}


def record(
    trainer: str,
    python: Path,
    out: Path,
    voices: Mapping[str, Clips],
    spoiled: Callable[[Clips, str, Path], Path],
    of_data: set[str],
) -> None:
    """Train what `out` does not hold yet, as VOICE/RUN; `of_data`: the faults that lie in the data."""
    out, published = out.resolve(), TRAINERS[trainer]
    work = out / "work"
    paths = [torchcodec_shim(work), ROOT, ROOT / "trainers"]
    environment = {"PYTHONPATH": os.pathsep.join(map(str, paths)), "OMP_NUM_THREADS": "1"}
    template = str(published.template(python, work, environment))
    jobs: list[dict[str, object]] = []
    for voice, clips in voices.items():
        for kind in ("plain", *sorted(of_data)):
            if not (work / voice / kind).exists():
                spoiled(clips[:CLIPS], kind, work / voice / kind)
    first = {name: changed for name, changed in HEALTHY.items() if name in FIRST}
    for voice in voices:
        for name, changed in (first | FAULTS | HEALTHY).items():
            jobs.append(
                {
                    "folder": str(_folder(out, voice, name)),
                    "data": str(_data(out, voice, name)),
                    "language": voice.split()[-1],
                    "template": template,
                    "changed": dict(changed),
                    "epochs": EPOCHS if name in HEALTHY else FAULTY_EPOCHS,
                }
            )
    (work / "jobs.json").write_text(json.dumps(jobs), "utf-8")
    worker = Path(__file__).with_name("published") / published.worker
    with (work / "output.txt").open("ab") as output:
        asked = [str(python), str(worker), str(work / "jobs.json")]
        subprocess.run(asked, env={**os.environ, **environment}, stdout=output, stderr=output, check=True)


def judged(
    trainer: str, out: Path, voices: Sequence[str], looks: Sequence[int], named_by: Mapping[str, frozenset[str]]
) -> tuple[dict[Look, list[str]], dict[Look, list[bool]]]:
    """For each view, fault and look: what `diagnose` calls the runs watch or stop by, and whether it names it."""
    called: dict[Look, list[str]] = {}
    named: dict[Look, list[bool]] = {}
    for voice, name in _finished(out, voices):
        folder, data = _folder(out, voice, name), _data(out, voice, name)
        known = data_scale(str(data), no_progress)
        for look in looks:
            if look > (EPOCHS if name in HEALTHY else FAULTY_EPOCHS):
                continue
            with tempfile.TemporaryDirectory() as place:
                log = cut(folder, TRAINERS[trainer].epoch_tag, look, Path(place))
                seen, given = diagnose(log), diagnose(log, data=known)
                for config in (one for one in map(log.joinpath, CONFIG_NAMES) if one.is_file()):
                    config.write_text(config.read_text("utf-8").replace(str(data), "/elsewhere"), "utf-8")
                found = dict(zip(VIEWS, (diagnose(log), seen, given), strict=True))
            fault = "healthy" if name in HEALTHY else name
            for view, one in found.items():
                codes = {finding.code for finding in one.findings}
                bad = sorted(finding.code for finding in one.findings if finding.severity != "note")
                called.setdefault((view, fault, look), []).append(", ".join(bad))
                named.setdefault((view, fault, look), []).append(bool(codes & named_by.get(fault, frozenset())))
    return called, named


def print_placement(trainer: str, out: Path, voices: Sequence[str], look: int) -> None:
    """How far each term has fallen after a look, and which runs are behind the healthy ones of the other voices.

    A term is the validation's over the first step's of training; behind: above MARGIN times the highest healthy one.
    """
    tag = TRAINERS[trainer].epoch_tag
    fallen = {(voice, name): falls(_folder(out, voice, name), tag, look) for voice, name in _finished(out, voices)}
    print(f"\nterms after epoch {look} over their first step's, by voice; * behind the other voices' healthy runs")
    for name in HEALTHY | FAULTS:
        cells = []
        for voice in voices:
            others = [one for (other, kind), one in fallen.items() if other != voice and kind in HEALTHY]
            for term, value in fallen.get((voice, name), {}).items():
                behind = bool(others) and not value <= MARGIN * max(one[term] for one in others)
                cells.append(f"{term} {value:.2f}{'*' if behind else ' '}")
        print(f"{name:<28}{'  '.join(cells)}")


def falls(folder: Path, epoch_tag: str, look: int) -> dict[str, float]:
    """Of each term that is not adversarial: the validation's value after an epoch over the first step's."""
    with tempfile.TemporaryDirectory() as place:
        run = diagnose(cut(folder, epoch_tag, look, Path(place))).run
    found = {}
    for term in ("mel", "kl", "duration"):
        first, then = run.raw(f"train/{term}"), run.raw(f"val/{term}")
        known = first is not None and then is not None and len(first) and len(then)
        found[term] = float(then.values[-1] / first.values[0]) if known else math.nan  # type: ignore[union-attr]
    return found


def cut(folder: Path, epoch_tag: str, epoch: int, place: Path) -> Path:
    """A copy of the configs next to a run's log, and of the log up to the end of an epoch; or to its own end."""
    (log,) = folder.rglob("events*")
    content = log.read_bytes()
    records, at = [], 0
    while len(content) - at >= HEADER:
        end = at + HEADER + struct.unpack_from("<Q", content, at)[0] + FOOTER
        records.append((content[at:end], Event.FromString(content[at + HEADER : end - FOOTER])))
        at = end
    ends = [event.step for _, event in records for value in event.summary.value if value.tag == epoch_tag]
    last = ends[epoch - 1] if len(ends) >= epoch else math.inf
    (place / log.name).write_bytes(b"".join(record for record, event in records if event.step <= last))
    for name in CONFIG_NAMES:
        if (log.parent / name).is_file():
            shutil.copy(log.parent / name, place)
    return place


def _folder(out: Path, voice: str, name: str) -> Path:
    return out / voice / name.replace("/", "by ")


def _data(out: Path, voice: str, name: str) -> Path:
    """What a run was trained on: the faults that lie in the data have a folder of their own."""
    speech = out / "work" / voice
    return speech / name if (speech / name).is_dir() else speech / "plain"


def _finished(out: Path, voices: Sequence[str]) -> list[tuple[str, str]]:
    return [
        (voice, name)
        for voice in voices
        for name in HEALTHY | FAULTS
        if (_folder(out, voice, name) / FINISHED).exists()
    ]
