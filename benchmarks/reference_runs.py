"""What reference_curves.py trains of the built-in trainer: voices, healthy settings and faults; and what it records."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
import time
import wave
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xtts.prepare.demo_speech import demo_speech
from xtts.prepare.text_fit import TextFit, text_fit
from xtts.trainer import XttsTrainer
from xtts.training.settings import DEMO_SETTINGS

EPOCHS, FAULTY_EPOCHS = 9, 5
SPEAKERS, LANGUAGES = ("mina", "daniel"), ("en", "fa")
SECONDS = 80.0
"""Speech of a voice at most, so that a run takes half a minute"""
HEALTHY: dict[str, Mapping[str, object]] = {
    "healthy": {},
    "healthy, seed 2": {},
    "healthy, learning rate x2": {"learning_rate": 2e-3},
    "healthy, learning rate /2": {"learning_rate": 5e-4},
    "healthy, small batches": {"batch_frames": 300},
    "healthy, weights 5 and 1": {"mel_loss_weight": 5.0},
    "healthy, demo settings": DEMO_SETTINGS,
}
FAULTS: dict[str, Mapping[str, object]] = {
    "mel weight x14": {"mel_loss_weight": 35.0},
    "un-normalised mel": {"mel_normalisation": "none"},
    "weight x14 on raw mel, loss clip": {"mel_loss_weight": 35.0, "mel_normalisation": "none", "loss_value_clip": 2.0},
    "clip 1e-3": {"gradient_clip_norm": 1e-3},
    "learning rate x10": {"learning_rate": 1e-2},
    "learning rate /30": {"learning_rate": 1e-3 / 30},
    "text shuffled": {},
    "wrong transcripts": {},
    "one clip repeated": {},
    "NaN at a step": {},
}
FAULTS_OF_DATA = ("text shuffled", "wrong transcripts", "one clip repeated")
"""Letters in random order within each text; texts permuted over the clips; one recording for all clips"""
STEP_COLUMNS = ("loss", "mel", "kl", "grad_norm")
Epochs = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Recorded:
    """A run as it was recorded: parameters, what is known of the texts, epochs, [steps, STEP_COLUMNS]."""

    params: Mapping[str, object]
    confidence: float
    letter_order: float | None
    epochs: Epochs
    steps: Sequence[Sequence[float]]
    """Of all epochs, with the number of each epoch's last step in its metrics (`updates`)"""


def clips_of(voice: str, folder: str | None) -> list[tuple[Path, str]]:
    """Recordings with their texts: of an LJSpeech folder, else of one speaker of the demo speech in one language."""
    if folder:
        lines = (Path(folder) / "metadata.csv").read_text("utf-8").splitlines()
        rows = [line.split("|") for line in lines]
        clips = [(Path(folder) / "wavs" / f"{row[0]}.wav", row[-1]) for row in rows]
        np.random.default_rng(0).shuffle(clips)
    else:
        speaker, language = voice.split()
        source = demo_speech()
        rows = [line.split("|") for line in (source / "metadata.csv").read_text("utf-8").splitlines()[1:]]
        clips = [(source / r[0], r[1]) for r in rows if r[2] == speaker and Path(r[0]).name.startswith(language)]
    kept, seconds = [], 0.0
    for file, text in clips:
        with wave.open(str(file)) as recording:
            length = recording.getnframes() / recording.getframerate()
        if length > 1.0 and seconds < SECONDS:
            kept.append((file, text))
            seconds += length
    return kept


def train_voice(voice: str, clips: Sequence[tuple[Path, str]], folder: Path) -> None:
    """Record each run of a voice as FOLDER/RUN.json."""
    folder.mkdir(parents=True, exist_ok=True)
    prepared = {}
    for name, changed in (HEALTHY | FAULTS).items():
        file = folder / f"{name.replace('/', 'by ')}.json"
        if file.exists():
            continue
        kind = name if name in FAULTS_OF_DATA else "plain"
        if kind not in prepared:
            speech = spoiled(clips, kind, folder / "speech" / kind)
            prepared[kind] = XttsTrainer.prepare(str(speech), None, accept_unusable=True, progress=lambda *_: None)
        begun = time.process_time()
        params = {**XttsTrainer.default_params(), **changed}
        trainer = XttsTrainer(params, prepared[kind].data, 2 if name.endswith("seed 2") else 1)
        epochs, steps = trained(trainer, EPOCHS if name in HEALTHY else FAULTY_EPOCHS, spoil=name == "NaN at a step")
        data = prepared[kind]
        recorded = Recorded(params, data.aligned.mean_confidence, data.health.letter_order, epochs, steps)
        file.write_text(json.dumps(asdict(recorded)), "utf-8")
        skill = epochs[-1].get("skill", math.nan)
        print(f"{voice}, {name}: skill {skill:.3f}, {time.process_time() - begun:.0f} s on a core", flush=True)
    shutil.rmtree(folder / "speech", ignore_errors=True)


def trained(trainer: XttsTrainer, count: int, *, spoil: bool) -> tuple[list[dict[str, object]], list[list[float]]]:
    """Metrics of the epochs and the rows of all steps; `spoil`: a parameter turns NaN before the second epoch."""
    training, epochs, rows = trainer.training, [], []
    training.plan(count)  # the cooldown goes by it
    training.on_train_batch_end = lambda row: rows.append([float(f"{value:.5g}") for value in row.tolist()])
    for epoch in range(1, count + 1):
        if spoil and epoch == 2:
            training.parameters.flat.data[0] = math.nan
        metrics = dict(trainer.train_epoch())
        metrics.pop("evaluations", None)
        epochs.append(metrics)
        if "diverged" in metrics:
            break
    return epochs, rows


def spoiled(clips: Sequence[tuple[Path, str]], kind: str, folder: Path) -> Path:
    """A voice in LJSpeech's layout, with the fault of that name in its data; plain: with none."""
    rng = np.random.default_rng(0)
    texts = [text for _, text in clips]
    if kind == "wrong transcripts":
        texts = [texts[at] for at in rng.permutation(len(texts))]
    elif kind == "text shuffled":
        texts = ["".join(rng.permutation(list(text))) for text in texts]
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "wavs").mkdir(parents=True)
    for file, _ in clips:
        shutil.copy(clips[0][0] if kind == "one clip repeated" else file, folder / "wavs" / file.name)
    rows = [f"{file.stem}|{text}|{text}" for (file, _), text in zip(clips, texts, strict=True)]
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n", "utf-8")
    return folder


def texts_of(clips: Sequence[tuple[Path, str]]) -> dict[str, TextFit]:
    """What the texts look like that a voice's runs were trained on, by the fault in the data; plain: the others."""
    with tempfile.TemporaryDirectory() as folder:
        return {kind: text_fit(spoiled(clips, kind, Path(folder) / kind)) for kind in ("plain", *FAULTS_OF_DATA)}


def runs_in(folder: Path) -> dict[str, Recorded]:
    """A voice's runs, by name."""
    return {
        file.stem.replace("by ", "/"): Recorded(**json.loads(file.read_text("utf-8")))
        for file in sorted(folder.glob("*.json"))
    }


def healthy(voices: Iterable[Mapping[str, Recorded]]) -> list[Recorded]:
    """All healthy runs."""
    return [run for runs in voices for name, run in runs.items() if name in HEALTHY]
