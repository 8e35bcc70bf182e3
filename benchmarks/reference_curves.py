"""Healthy and broken trainings on several voices: reference curves, and how well `diagnose` tells them apart.

    python benchmarks/reference_curves.py --out FOLDER                    # trains what FOLDER does not hold yet
    python benchmarks/reference_curves.py --out FOLDER --voices mina      # one voice, in a few minutes
    python benchmarks/reference_curves.py --out FOLDER --table FILE       # writes the reference curves as YAML
    python benchmarks/reference_curves.py --out OTHER --trainer coqui_vits --trainer-python PATH    # Coqui's logs
    python benchmarks/reference_curves.py --out THIRD --trainer piper --trainer-python PATH         # Piper's

Each speaker of the demo speech (in two languages) is a data set of its own. Model tiny, 9 epochs, CPU. A run
counts as called broken when its state is watch or stop. Where a rule uses the reference curves, a voice is judged by
curves of the other voices only (leave one voice out).
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import reference_logs  # noqa: E402
from benchmarks.reference_runs import (  # noqa: E402
    EPOCHS,
    FAULTS,
    FAULTS_OF_DATA,
    HEALTHY,
    LANGUAGES,
    SPEAKERS,
    STEP_COLUMNS,
    Recorded,
    clips_of,
    healthy,
    runs_in,
    spoiled,
    texts_of,
    train_voice,
)
from sweeps.run.run import read_run  # noqa: E402
from sweeps.tuner.train import CONFIG, RECORD  # noqa: E402
from xtts.diagnostics import curve_rules, setting_rules  # noqa: E402
from xtts.diagnostics import reference as reference_module  # noqa: E402
from xtts.diagnostics.curve_rules import PLANNED_EPOCHS  # noqa: E402
from xtts.diagnostics.finding import Finding  # noqa: E402
from xtts.diagnostics.logged_curve import Curve, CurveBuilder  # noqa: E402
from xtts.diagnostics.logged_run import LoggedRun  # noqa: E402
from xtts.diagnostics.logged_tags import CLIP_KEYS, number_under, weights_in  # noqa: E402
from xtts.diagnostics.reference import Reference  # noqa: E402
from xtts.diagnostics.reference import reference as shipped_reference  # noqa: E402
from xtts.diagnostics.run_rules import run_findings, run_state  # noqa: E402
from xtts.prepare.text_fit import TextFit  # noqa: E402
from xtts.trainer import XttsTrainer  # noqa: E402
from xtts_sweep.diagnosis import own_run  # noqa: E402
from xtts_sweep.diagnosis.diagnose import diagnose  # noqa: E402
from xtts_sweep.diagnosis.own_run import judged  # noqa: E402
from xtts_sweep.integration.findings import all_params  # noqa: E402

LOOKS = (3, 5, 9)
"""Epochs at which a run is judged; faulty runs end at the second look"""
NAMED_BY: Mapping[str, frozenset[str]] = {
    "mel weight x14": frozenset({"mel_weight_too_large", "mel_weight_far_above"}),
    "un-normalised mel": frozenset({"unnormalised_mel", "raw_mel", "three_digits_raw_mel"}),
    "weight x14 on raw mel, loss clip": frozenset(
        {"loss_clip_saturated", "three_digits_raw_mel", "raw_mel", "not_learning"}
    ),
    "clip 1e-3": frozenset({"clip_far_below", "setting_without_effect"}),
    "learning rate x10": frozenset({"rate_far_above", "rate_above_trainers"}),
    "learning rate /30": frozenset({"behind_reference", "plateau_at_mean_frame", "rate_below_trainers"}),
    "text shuffled": frozenset({"letters_in_no_order", "texts_do_not_fit"}),
    "wrong transcripts": frozenset({"texts_do_not_fit", "texts_longer_than_clips", "lengths_do_not_fit"}),
    "one clip repeated": frozenset(
        {"texts_do_not_fit", "texts_longer_than_clips", "batches_alike", "recordings_repeated"}
    ),
    "NaN at a step": frozenset({"diverged", "not_finite"}),
}
"""The findings that are about the fault itself, and not only a sign that something is wrong"""
ANY_FAULT = frozenset().union(*NAMED_BY.values())
VIEWS = ("own run", "folder of train", "log", "log, defaults", "log, defaults, --data")
NOTHING: Mapping[str, float] = {}


def main() -> None:
    """Train what is missing, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the recorded runs")
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="a further voice (LJSpeech); NAME ends with its language",
    )
    parser.add_argument("--no-training", action="store_true", help="only judge what is recorded")
    parser.add_argument("--sweeps", type=Path, nargs="*", default=[], help="run folders of healthy sweeps to judge")
    parser.add_argument("--trainer", choices=("xtts", *reference_logs.TRAINERS), default="xtts", help="default: ours")
    parser.add_argument("--trainer-python", type=Path, help="the Python of that trainer's environment")
    parser.add_argument("--voices", nargs="*", help="only these")
    parser.add_argument("--table", type=Path, help="write the reference curves to this file")
    options = parser.parse_args()
    given = dict(one.partition("=")[::2] for one in options.data)
    demo = [f"{speaker} {language}" for language in LANGUAGES for speaker in SPEAKERS]
    voices = [voice for voice in [*given, *demo] if not options.voices or voice in options.voices]
    unknown = set(options.voices or ()) - {*voices}
    if unknown:
        parser.error(f"--voices {', '.join(sorted(unknown))}: name their folders with --data NAME=DIR")
    if options.trainer != "xtts":
        if not options.no_training:
            clips = {voice: clips_of(voice, given.get(voice)) for voice in voices}
            reference_logs.record(
                options.trainer, options.trainer_python, options.out, clips, spoiled, {*FAULTS_OF_DATA}
            )
        results = reference_logs.judged(options.trainer, options.out, voices, LOOKS, NAMED_BY)
        for view in reference_logs.VIEWS:
            print_view(view, *results)
        reference_logs.print_placement(options.trainer, options.out, voices, LOOKS[0])
        return
    if not options.no_training:
        for voice in voices:
            train_voice(voice, clips_of(voice, given.get(voice)), options.out / voice)
    runs = {folder.name: runs_in(folder) for folder in sorted(options.out.iterdir()) if folder.is_dir()}
    print_tables(runs, {voice: texts_of(clips_of(voice, given.get(voice))) for voice in runs})
    print_sweeps(options.sweeps)
    if options.table:
        table = Reference.of_runs(one.epochs for one in healthy(runs.values())).as_dict()
        options.table.write_text(yaml.safe_dump(table, sort_keys=False, default_flow_style=None), "utf-8")


def fitted(voices: Sequence[Mapping[str, Recorded]]) -> tuple[Reference, dict[str, float]]:
    """Reference curves and the rules' constants from some voices: between the worst healthy and the best faulty run."""
    well = healthy(voices)
    late = [epoch for run in well for epoch in run.epochs[LOOKS[0] - 1 :]]

    def faulty(name: str) -> list[Mapping[str, Any]]:
        return [runs[name].epochs[LOOKS[0] - 1] for runs in voices if name in runs]

    def balance(run: Recorded, epoch: Mapping[str, Any]) -> float:
        weights = [float(str(run.params[name])) for name in ("mel_loss_weight", "kl_loss_weight")]
        return float(weights[0] / weights[1] * epoch["train/mel"])

    def error(epoch: Mapping[str, Any]) -> float:
        return float(epoch["val/mel"] / epoch["mean_frame_error"])

    def between(low: float, high: float) -> float:
        return math.sqrt(low * high)

    heavy = [balance(runs["mel weight x14"], runs["mel weight x14"].epochs[LOOKS[0] - 1]) for runs in voices]
    unheard = [
        epoch["updates"]
        for run in well
        for epoch in run.epochs
        if epoch["skill"] < curve_rules.LITTLE_SKILL or epoch["text_use_low"] <= 0
    ]
    reference = Reference.of_runs(run.epochs for run in well)
    slowest = min(error(epoch) for epoch in faulty("learning rate /30"))
    worst = max(error(epoch) for epoch in late)
    wrong = [runs[name].confidence for runs in voices for name in ("wrong transcripts", "one clip repeated")]
    clips = [float(epoch["train/grad_norm_p50"] / 0.5) for epoch in late]
    return reference, {
        "reference.MARGIN": between(worst, slowest) / worst,
        "curve_rules.EARLY_UPDATES": 1.1 * max(unheard),
        "curve_rules.NO_RECONSTRUCTION": between(worst, slowest),
        "setting_rules.BALANCE": between(max(balance(run, e) for run in well for e in run.epochs[1:]), min(heavy)),
        "setting_rules.LEAST_CONFIDENCE": (min(run.confidence for run in well) + max(wrong)) / 2,
        "setting_rules.CLIP_FAR_BELOW": between(
            max(clips), min(epoch["train/grad_norm_p50"] for epoch in faulty("clip 1e-3")) / 1e-3
        ),
    }


@contextmanager
def constants(values: Mapping[str, float]) -> Iterator[None]:
    """The rules with these constants ("module.NAME") in place of their own."""
    modules = {"reference": reference_module, "curve_rules": curve_rules, "setting_rules": setting_rules}
    with ExitStack() as stack:
        for name, value in values.items():
            module, _, constant = name.partition(".")
            stack.enter_context(patch.object(modules[module], constant, value))
        yield


def as_own_run(run: Recorded, look: int, reference: Reference) -> tuple[str, Sequence[Finding]]:
    """State and findings as `diagnose` gives them for a run of this program."""
    known = {setting_rules.ALIGNMENT_CONFIDENCE: run.confidence, setting_rules.LETTER_ORDER: run.letter_order}
    logged, _, findings = judged(run.epochs[:look], {**run.params, **known}, "min", reference)
    return run_state(logged, findings), findings


def print_sweeps(folders: Sequence[Path]) -> None:
    """Trials of finished sweeps over the safe limits, which no constant was chosen on, as `diagnose` judges them."""
    for folder in folders:
        run = read_run(folder)
        bad: list[list[str]] = []
        for record in run.records:
            for look in LOOKS:
                if record.role != "control" and len(record.reports) >= look:
                    params = all_params(run, record)
                    _, _, findings = judged(record.reports[:look], params, record.mode, shipped_reference())
                    bad.append([f"{one.code} at {look}" for one in findings if one.severity != "note"])
        reasons = Counter(code for one in bad for code in one)
        print(f"{folder.name}: {sum(map(bool, bad))} of {len(bad)} looks called broken; {dict(reasons)}")


def as_folder(run: Recorded, look: int, reference: Reference) -> tuple[str, Sequence[Finding]]:
    """State and findings of the folder that `train` leaves: epochs.jsonl and config.yaml."""
    about = {
        PLANNED_EPOCHS: EPOCHS,
        setting_rules.ALIGNMENT_CONFIDENCE: run.confidence,
        setting_rules.LETTER_ORDER: run.letter_order,
    }
    with tempfile.TemporaryDirectory() as place, patch.object(own_run, "reference", lambda: reference):
        lines = [json.dumps({**epoch, "epoch": at}) for at, epoch in enumerate(run.epochs[:look], 1)]
        (Path(place) / RECORD).write_text("\n".join(lines) + "\n", "utf-8")
        (Path(place) / CONFIG).write_text(yaml.safe_dump({**run.params, **about}), "utf-8")
        found = diagnose(place)
    return found.state, found.findings


def as_log(
    run: Recorded, look: int, usual: Mapping[str, float] = NOTHING, texts: TextFit | None = None
) -> tuple[str, list[Finding]]:
    """State and findings where a log holds what most trainers write: losses and norm of each step, validation terms.

    `usual`: the trainer's defaults, as a spec states them; `texts`: of the data, as with --data.
    """
    epochs = run.epochs[:look]
    ends = [int(epoch["updates"]) for epoch in epochs]
    steps = np.array(run.steps[: ends[-1]])
    at = np.arange(1.0, len(steps) + 1)
    rate = float(run.params["learning_rate"]) * np.minimum(1, at / 30)  # type: ignore[arg-type]
    given = {f"train/{name}": steps[:, column] for column, name in enumerate(STEP_COLUMNS[:3])}
    given |= {"grad_norm": steps[:, 3], "learning_rate": rate, "epoch": np.searchsorted(ends, at) + 1.0}
    curves = {name: curve_of(at, values) for name, values in given.items()}
    for name in ("val/mel", "val/kl"):
        kept = [(end, epoch[name]) for end, epoch in zip(ends, epochs, strict=True) if name in epoch]
        curves[name] = curve_of(*np.array(kept, float).T)
    weights, clip = weights_in(run.params), number_under(run.params, CLIP_KEYS)
    logged = LoggedRun(curves, weights, weighted=False, clip=clip, usual=usual, texts=texts)
    findings = list(run_findings(logged))
    return run_state(logged, findings), findings


def curve_of(steps: Any, values: Any) -> Curve:
    """A curve from its points."""
    builder = CurveBuilder()
    builder.add(np.asarray(steps, float), np.asarray(values, float))
    return builder.curve()


def print_tables(runs: Mapping[str, Mapping[str, Recorded]], texts: Mapping[str, Mapping[str, TextFit]]) -> None:
    """Named and called broken, by fault and look; each voice is judged by constants and curves of the others."""
    default = XttsTrainer.default_params()
    usual = {"rate": float(default["learning_rate"]), "mel": float(default["mel_loss_weight"])}  # type: ignore[arg-type]
    whole = {voice: own for voice, own in runs.items() if (HEALTHY | FAULTS).keys() <= own.keys()}
    print(f"{len(whole)} voices: {', '.join(whole)}")
    print(
        "constants from all of them:", {name: round(value, 2) for name, value in fitted([*whole.values()])[1].items()}
    )
    called: dict[tuple[str, str, int], list[str]] = {}
    named: dict[tuple[str, str, int], list[bool]] = {}
    for voice, own in whole.items():
        reference, values = fitted([one for other, one in whole.items() if other != voice])
        print(f"without {voice}:", {name: round(value, 2) for name, value in values.items()})
        for name, run in own.items():
            fault = "healthy" if name in HEALTHY else name
            for look in LOOKS:
                if look > len(run.epochs) and "diverged" not in run.epochs[-1]:
                    continue
                with constants(values):
                    fit = texts[voice][name if name in FAULTS_OF_DATA else "plain"]
                    seen = replace(fit, confidence=run.confidence)
                    views = {
                        VIEWS[0]: as_own_run(run, look, reference),
                        VIEWS[1]: as_folder(run, look, reference),
                        VIEWS[2]: as_log(run, look),
                        VIEWS[3]: as_log(run, look, usual),
                        VIEWS[4]: as_log(run, look, usual, seen),
                    }
                for view, (state, findings) in views.items():
                    codes = {one.code for one in findings}
                    bad = sorted(one.code for one in findings if one.severity != "note")
                    called.setdefault((view, fault, look), []).append(", ".join(bad))
                    named.setdefault((view, fault, look), []).append(bool(codes & NAMED_BY.get(fault, ANY_FAULT)))
                    assert (state in ("watch", "stop")) == bool(bad) or state == "unknown"
    for view in VIEWS:
        print_view(view, called, named)


def print_view(
    view: str, called: Mapping[tuple[str, str, int], list[str]], named: Mapping[tuple[str, str, int], list[bool]]
) -> None:
    """One table: for each fault how often the state was watch or stop, and how often the fault itself was named."""
    print(f"\n{view:<34}" + "".join(f"{f'called {look}':>10}{f'named {look}':>10}" for look in LOOKS))
    for fault in ("healthy", *FAULTS):
        cells = ""
        for look in LOOKS:
            bad, right = called.get((view, fault, look), []), named.get((view, fault, look), [])
            cells += (
                f"{f'{sum(map(bool, bad))}/{len(bad)}':>10}{f'{sum(right)}/{len(right)}':>10}" if bad else f"{'':>20}"
            )
        reasons = Counter(
            code for one in called.get((view, fault, LOOKS[0]), []) for code in filter(None, one.split(", "))
        )
        print(f"{fault:<34}{cells}   {', '.join(f'{code} {count}' for code, count in reasons.most_common(4))}")
    first = [right for fault in FAULTS for right in named.get((view, fault, LOOKS[0]), [])]
    broken = [bool(bad) for fault in FAULTS for bad in called.get((view, fault, LOOKS[0]), [])]
    alarms = [bool(bad) for look in LOOKS for bad in called.get((view, "healthy", look), [])]
    print(f"faults named by epoch {LOOKS[0]}: {np.mean(first):.0%} of {len(first)}; called: {np.mean(broken):.0%}")
    print(f"healthy looks called broken: {np.mean(alarms):.1%} of {len(alarms)}")


if __name__ == "__main__":
    main()
