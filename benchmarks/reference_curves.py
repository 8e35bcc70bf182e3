"""Healthy and broken trainings on several voices: reference curves, and how well `diagnose` tells them apart.

    python benchmarks/reference_curves.py --out FOLDER                    # trains what FOLDER does not hold yet
    python benchmarks/reference_curves.py --out FOLDER --voices mina      # one voice, in a few minutes
    python benchmarks/reference_curves.py --out FOLDER --table FILE       # writes the reference curves as YAML

Each speaker of the demo speech (in two languages) is a data set of its own. Model tiny, 9 epochs, CPU. A run
counts as called broken when its state is watch or stop. Where a rule uses the reference curves, a voice is judged by
curves of the other voices only (leave one voice out).
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from xtts.diagnostics.curve_rules import trial_findings  # noqa: E402
from xtts.diagnostics.finding import Finding  # noqa: E402
from xtts.diagnostics.logged_curve import CurveBuilder  # noqa: E402
from xtts.diagnostics.logged_run import LoggedRun  # noqa: E402
from xtts.diagnostics.logged_tags import CLIP_KEYS, map_tags, number_under, weights_in  # noqa: E402
from xtts.diagnostics.reference import REFERENCE_CODES, Reference  # noqa: E402
from xtts.diagnostics.run_rules import run_findings, run_state  # noqa: E402
from xtts.prepare.demo_speech import demo_speech  # noqa: E402
from xtts.trainer import XttsTrainer  # noqa: E402

EPOCHS = 9
HEALTHY_SEEDS = (1, 2, 3)
VOICES = ("mina", "daniel")
FAULTS: Mapping[str, Mapping[str, object]] = {
    "mel weight x14": {"mel_loss_weight": 35.0},
    "un-normalised mel": {"mel_normalisation": "none"},
    "seed's story": {"mel_loss_weight": 35.0, "mel_normalisation": "none", "loss_value_clip": 2.0},
    "clip 1e-3": {"gradient_clip_norm": 1e-3},
    "learning rate x10": {"learning_rate": 1e-2},
    "learning rate /30": {"learning_rate": 1e-3 / 30},
    "wrong transcripts": {},
    "one clip repeated": {},
    "NaN at a step": {},
}
LOOKS = (3, 5, 9)
"""Epochs at which a run is judged"""
Epochs = Sequence[Mapping[str, object]]


def main() -> None:
    """Train what is missing, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the recorded runs")
    parser.add_argument("--voices", nargs="*", default=list(VOICES), choices=VOICES)
    parser.add_argument("--only", nargs="*", help="names of runs to train, such as 'healthy 1' or 'NaN at a step'")
    parser.add_argument("--table", type=Path, help="write the reference curves to this file")
    options = parser.parse_args()
    for voice in options.voices:
        train_voice(voice, options.out / voice, options.only)
    runs = {voice: recorded(options.out / voice) for voice in VOICES if (options.out / voice).is_dir()}
    print_tables(runs)
    if options.table:
        table = Reference.of_runs(healthy(runs.values())).as_dict()
        options.table.write_text(yaml.safe_dump(table, sort_keys=False, default_flow_style=None), "utf-8")


def train_voice(voice: str, folder: Path, only: Sequence[str] | None) -> None:
    """Record each run of a voice as FOLDER/RUN.json."""
    folder.mkdir(parents=True, exist_ok=True)
    plans = [(f"healthy {seed}", {}, seed) for seed in HEALTHY_SEEDS] + [
        (name, dict(p), 1) for name, p in FAULTS.items()
    ]
    handles: dict[str, str] = {}
    for name, changed, seed in plans:
        file = folder / f"{name.replace('/', 'by ')}.json"
        if file.exists() or (only is not None and name not in only):
            continue
        kind = name if name in ("wrong transcripts", "one clip repeated") else "plain"
        if kind not in handles:
            speech = voice_folder(voice, kind, folder / f"speech {kind}")
            prepared = XttsTrainer.prepare(str(speech), None, accept_unusable=True, progress=lambda *_: None)
            handles[kind] = prepared.data
        begun = time.perf_counter()
        params = {**XttsTrainer.default_params(), **changed}
        trainer = XttsTrainer(params, handles[kind], seed)
        epochs = []
        for epoch in range(1, EPOCHS + 1):
            if name == "NaN at a step" and epoch == 2:
                trainer.training.parameters.flat.data[0] = math.nan
            metrics = dict(trainer.train_epoch())
            metrics.pop("evaluations", None)
            epochs.append(metrics)
            if "diverged" in metrics:
                break
        file.write_text(json.dumps({"params": params, "epochs": epochs}), "utf-8")
        print(
            f"{voice} {name}: {epochs[-1].get('skill', math.nan):.3f} in {time.perf_counter() - begun:.0f} s",
            flush=True,
        )


def voice_folder(voice: str, kind: str, folder: Path) -> Path:
    """One voice's clips in Coqui's layout; of `wrong transcripts` each clip has another's text."""
    if (folder / "metadata.csv").exists():
        return folder
    source = demo_speech()
    lines = (source / "metadata.csv").read_text("utf-8").splitlines()
    rows = [line.split("|") for line in lines[1:]]
    rows = [row for row in rows if row[2] == voice]
    texts = [row[1] for row in rows]
    if kind == "wrong transcripts":
        texts = [texts[at] for at in np.random.default_rng(0).permutation(len(texts))]
    (folder / "wavs").mkdir(parents=True, exist_ok=True)
    for row in rows:
        shutil.copy(source / (rows[0][0] if kind == "one clip repeated" else row[0]), folder / row[0])
    table = [lines[0], *("|".join((row[0], text, row[2])) for row, text in zip(rows, texts, strict=True))]
    (folder / "metadata.csv").write_text("\n".join(table) + "\n", "utf-8")
    return folder


def recorded(folder: Path) -> dict[str, tuple[Mapping[str, object], Epochs]]:
    """Parameters and epochs of a voice's runs, by name."""
    found = {}
    for file in sorted(folder.glob("*.json")):
        run = json.loads(file.read_text("utf-8"))
        found[file.stem.replace("by ", "/")] = (run["params"], run["epochs"])
    return found


def healthy(voices: object) -> list[Epochs]:
    """The epochs of all healthy runs."""
    return [run[1] for runs in voices for name, run in runs.items() if name.startswith("healthy")]  # type: ignore[attr-defined]


def judged(params: Mapping[str, object], epochs: Epochs, reference: Reference) -> tuple[str, list[Finding]]:
    """State and findings, as `diagnose` gives them for a run of this program."""
    tags: dict[str, CurveBuilder] = {}
    for at, report in enumerate(epochs, 1):
        for tag, value in report.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                tags.setdefault(tag, CurveBuilder()).add(np.array([float(at)]), np.array([float(value)]))
    curves = {tag: builder.curve() for tag, builder in tags.items()}
    names = map_tags({tag: curve.count for tag, curve in curves.items()}).tags
    run = LoggedRun(
        {name: curves[tag] for name, tag in names.items()},
        weights_in(params),
        weighted=False,
        clip=number_under(params, CLIP_KEYS),
    )
    own = [one for one in trial_findings(epochs, params) if one.code not in REFERENCE_CODES]
    placed = reference.finding(epochs)
    findings = [*own, *([placed] if placed is not None else []), *run_findings(run)]
    return run_state(run, findings), findings


def print_tables(runs: Mapping[str, Mapping[str, tuple[Mapping[str, object], Epochs]]]) -> None:
    """Called broken, by fault and by the epoch of the look; a voice is placed in the curves of the other voices."""
    names = ["healthy", *FAULTS]
    called: dict[str, dict[int, list[bool]]] = {name: {look: [] for look in LOOKS} for name in names}
    reasons: dict[str, set[str]] = {name: set() for name in names}
    for voice, own in runs.items():
        others = healthy([one for name, one in runs.items() if name != voice])
        reference = Reference.of_runs(others or healthy(runs.values()))
        for name, (params, epochs) in own.items():
            fault = "healthy" if name.startswith("healthy") else name
            for look in LOOKS:
                state, findings = judged(params, epochs[:look], reference)
                called[fault][look].append(state in ("watch", "stop"))
                if look == LOOKS[0]:
                    reasons[fault] |= {one.code for one in findings if one.severity != "note"}
    print(f"\n{'run':<20}" + "".join(f"{f'epoch {look}':>10}" for look in LOOKS) + "   findings at epoch 3")
    for name in names:
        cells = [f"{sum(called[name][look])}/{len(called[name][look])}" for look in LOOKS]
        print(f"{name:<20}" + "".join(f"{cell:>10}" for cell in cells) + f"   {', '.join(sorted(reasons[name]))}")
    broken = [one for name in FAULTS for one in called[name][LOOKS[0]]]
    alarms = [one for look in LOOKS for one in called["healthy"][look]]
    print(f"broken runs called by epoch {LOOKS[0]}: {np.mean(broken):.0%} of {len(broken)}")
    print(f"healthy looks called broken: {np.mean(alarms):.0%} of {len(alarms)}")


if __name__ == "__main__":
    main()
