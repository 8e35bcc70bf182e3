"""Run folders for the report: as a sweep would leave them, from a formula instead of training."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sweeps.common.budget import Budget
from sweeps.confirm.comparison import Comparison
from sweeps.confirm.verdict import Verdict
from sweeps.report import (
    Coordinate,
    ExtraTable,
    FindingNote,
    HealthNote,
    LossBand,
    ReportExtras,
    Sample,
    SampleText,
)
from sweeps.run.config import sweep_yaml
from sweeps.run.folder import RunFolder, write_sweep_yaml
from sweeps.run.resources import Machine, plan_resources
from sweeps.run.run import Run, read_run
from sweeps.search.sampler import Sampler
from sweeps.trials.event import Event
from sweeps.trials.record import default_record
from tests.sweeps.builders import toy_request

MEAN_ERROR = 0.8
RATIOS = (
    Coordinate("mel/kl", "mel_loss_weight", "kl_loss_weight"),
    Coordinate("clip/mel", "gradient_clip_norm", "mel_loss_weight"),
)


def write_run(
    output: Path,
    *,
    trials: int = 12,
    epochs: int = 9,
    space: str = "safe_weights",
    ended: str | None = "finished",
    gpus: int = 0,
    name: str = "toy",
    more_events: Sequence[Event] = (),
    **changes: Any,
) -> RunFolder:
    """A run of `trials` trials, of which two in three stop at the first rung; `ended` None: it still runs."""
    request = toy_request(output, space, name=name, budget=Budget(trials, epochs), **changes)
    plan = plan_resources(Machine(4, 1 << 34, gpus), trials, concurrent=2)
    folder = RunFolder(output / name)
    folder.path.mkdir(parents=True)
    write_sweep_yaml(folder, sweep_yaml(request, plan))
    events: list[Event] = [{"event": "sweep_started", "trial_id": None, "time": 1000.0}]
    sampler = Sampler(request.space, request.acting_limits, seed=1, cohort=trials)
    rng = np.random.default_rng(0)
    for number in range(1, trials + 1):
        proposal = sampler.propose(number, [])
        assert proposal is not None
        running = ended is None and number > trials - 2
        role = "control" if request.space.controls else "trial"
        started: dict[str, Any] = {"event": "trial_started", "trial_id": f"t{number:04d}", "time": 1000.0 + 60 * number}
        started |= {"role": role, "seed": 1, "params": dict(proposal.config.params), "origin": proposal.origin}
        started |= {"coordinates": dict(proposal.config.coordinates), "label": proposal.config.label}
        events.append({key: value for key, value in started.items() if value is not None})
        events += _training(number, dict(proposal.config.params), epochs, running, role == "control", rng)
    events += more_events
    if ended is not None:
        detail = "interrupted by SIGINT" if ended == "interrupted" else f"all {trials} trials are done"
        end = {"event": "sweep_ended", "trial_id": None, "time": 1000.0 + 60 * trials + 700}
        events.append({**end, "reason": ended, "detail": detail})
    folder.trials_jsonl.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    return folder


def judged(folder: RunFolder, verdict: Verdict) -> Run:
    """The run with this verdict on its best trial."""
    run = read_run(folder.path)
    default = default_record(run.records)
    assert run.best is not None
    assert default is not None
    run.__dict__["comparison"] = Comparison(verdict, run.best, default, ())
    return run


def _training(
    number: int, params: dict[str, Any], epochs: int, running: bool, control: bool, rng: np.random.Generator
) -> list[Event]:
    mel = float(params["mel_loss_weight"])
    kl = float(params.get("kl_loss_weight") or 1.0)
    clip = float(params.get("gradient_clip_norm") or 10.0)
    floor = 0.5 + 0.03 * math.log(mel / kl / 2.2) ** 2 + 0.012 * math.log(clip / mel / 0.18) ** 2 + 0.002 * rng.normal()
    first_rung = -(-epochs // 3)
    unlucky = number > 5 and number % 17 == 0
    full = control or number == 1 or floor < 0.512
    last = 2 if unlucky else epochs if full else first_rung
    last = min(last, 2) if running else last
    trial_id = f"t{number:04d}"
    events: list[Event] = []
    for epoch in range(1, last + 1):

        def at(share: float) -> float:
            return floor + (MEAN_ERROR - floor) * math.exp(-share / 2.5) + 0.001 * rng.normal()

        moments = [0.25, 0.5, 1.0] if epoch == 1 else [float(epoch)]
        evaluations = [
            {"epoch": m, "updates": round(58 * m), "audio_seconds": 600 * m, "seconds": 20 * m, "objective": at(m)}
            for m in moments
        ]
        objective: float | None = evaluations[-1]["objective"]
        report: dict[str, Any] = {"event": "report", "trial_id": trial_id, "time": 1000.0 + 60 * number + 20 * epoch}
        report |= {"epoch": epoch, "objective": objective, "evaluations": evaluations, "seconds": 20.0 * epoch}
        report |= {"loss": mel * 0.9 * at(epoch) + kl * 0.2, "loss_first": mel * 0.9 + kl * 0.3, "updates": 58 * epoch}
        report |= {"mean_frame_error": MEAN_ERROR, "train/clip_fraction": 0.2}
        if unlucky and epoch == last:
            report |= {"objective": None, "loss": None, "evaluations": evaluations[:-1]}
            report |= {"diverged": {"step": 7, "term": "mel", "value": "nan"}}
        events.append(report)
    status = "diverged" if unlucky else "finished" if full else "stopped"
    if not running:
        end = {"event": "trial_ended", "trial_id": trial_id, "time": 1000.0 + 60 * number + 20 * last}
        reason = "mel is nan at step 7" if unlucky else "stopped at a rung" if status == "stopped" else ""
        events.append({**end, "status": status, "stop_reason": reason, "epoch": last, "rung": None})
    return events


def confirmation_events(finalist: dict[int, float], default: dict[int, float], trial_id: str = "t0002") -> list[Event]:
    """One selection run, the pairs of a confirmation that end at these objectives by seed, and two rivals of which one
    was judged."""
    runs: list[tuple[str, str, str, str, int, float]] = [
        ("c0001", "confirm", "selection", f"candidate {trial_id}", 1002, 0.51)
    ]
    for number, seed in enumerate(finalist):
        runs.append((f"c{2 * number + 2:04d}", "confirm", "confirmation", "default", seed, default[seed]))
        runs.append((f"c{2 * number + 3:04d}", "confirm", "confirmation", f"finalist {trial_id}", seed, finalist[seed]))
        runs.append((f"r{number + 3:04d}", "rival", "confirmation", "GradNorm", seed, default[seed] + 0.001))
    runs += [("r0001", "rival", "rival", "GradNorm", 1, 0.53), ("r0002", "rival", "rival", "AutoClip", 1, 0.52)]
    events: list[Event] = []
    for run_id, role, origin, label, seed, end in runs:
        params = {"mel_loss_weight": 2.5, "kl_loss_weight": 1.0, "gradient_clip_norm": 0.5}
        started = {"event": "trial_started", "trial_id": run_id, "time": 5000.0, "role": role, "seed": seed}
        events.append({**started, "params": params, "origin": origin, "label": label, "slot": 0})
        for epoch, objective in enumerate((0.6, end, end, end), 1):
            report = {"event": "report", "trial_id": run_id, "time": 5001.0, "epoch": epoch, "objective": objective}
            events.append({**report, "updates": 58 * epoch, "audio_seconds": 600.0 * epoch, "seconds": 20.0 * epoch})
        ended = {"event": "trial_ended", "trial_id": run_id, "time": 5002.0, "status": "finished"}
        events.append({**ended, "stop_reason": "", "epoch": 4, "rung": None})
    return events


def tone(seconds: float = 1.5, pitch: float = 220.0) -> bytes:
    """A wav file of a tone."""
    import io
    import wave

    rate = 22_050
    moments = np.arange(int(seconds * rate)) / rate
    samples = (8000 * np.sin(2 * np.pi * pitch * moments) * np.exp(-moments)).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(rate)
        written.writeframes(samples.tobytes())
    return file.getvalue()


def extras(persian: bool = False) -> ReportExtras:
    """Something in every part of the page."""
    rng = np.random.default_rng(0)
    time = np.linspace(0, 12, 130)[:, None]
    bands = np.arange(80)[None]
    picture = (np.sin(time + bands / 9) - bands / 30 + 0.2 * rng.normal(size=(130, 80))).astype(np.float32)
    texts = ("سلام دنیا، امروز هوا خوب است.",) if persian else ("Please hold while I connect you.", "Goodbye.")
    samples = tuple(
        SampleText(
            text,
            tuple(
                Sample(who, tone(1.2, 220 + 60 * place), picture)
                for place, who in enumerate(("real", "default", "best"))
            ),
        )
        for text in texts
    )
    return ReportExtras(
        objective="The objective is the validation error on the model's own predictions; it holds no searched weight.",
        coordinates=RATIOS,
        findings=(
            FindingNote("note", "The gradient clip 0.5 acted on all of the steps.", "Search `clip/mel`.", ("t0001",)),
            FindingNote("problem", "Training diverged in epoch 2.", "Lower the learning rate.", ("t0017", "t0034")),
            FindingNote("warning", "The loss jumped to 12.", "Run `run_sweep.py check DIR`."),
        ),
        health={"clips": "520", "hours": "0.28", "speakers": "1"},
        health_notes=(HealthNote("with long silence before the speech", tuple(f"clip-{n}" for n in range(9))),),
        samples=samples,
        loss_bands=(LossBand("early", 15, 30, 0, 0.25), LossBand("late", 2, 8, 0.5, 0.75)),
        tables=(ExtraTable("Before and after", ("config", "first loss"), (("old", "239"), ("new", "2.4")), "Units."),),
    )
