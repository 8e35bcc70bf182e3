"""Can the figures of a finalist's speech be trusted? The pitch of a mel against known tones and, if it is installed,
against Praat on the recordings; then what an untrained and a trained model are given, and how long that takes.

    python benchmarks/speech_figures.py --data DIR              # trains the default for 6 epochs
    python benchmarks/speech_figures.py --demo --epochs 3
    pip install praat-parselmouth                               # GPL-3; only this comparison uses it

Exit code 1 where the pitch is further than 20 cents from Praat's, a clip is not nearest to itself, the trained model is
not nearer to the recordings than the untrained one, or 40 clips take more than 8 s of one core.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch

from xtts.audio.mel import HOP, SAMPLE_RATE, log_mel
from xtts.audio.pitch import HIGHEST_HZ, LOWEST_HZ, pitch_of_mel
from xtts.data.dataset import Dataset
from xtts.evaluation.evaluation import evenly_spread
from xtts.evaluation.speech_metrics import likeness
from xtts.inference.speech_figures import spoken_clips
from xtts.trainer import XttsTrainer

TONES = (78, 100, 120, 150, 200, 300, 400, 580)
CLIPS = 60
ERRORS = ("mcd_db", "f0_cents", "voicing_error", "duration_error")


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if (options.data is None) != options.demo:
        parser.error("give --data DIR or --demo")
    torch.set_num_threads(options.threads)
    prepared = XttsTrainer.prepare(options.data, None, progress=lambda done, total, what: None)
    print("\n".join(prepared.lines()), "\n")
    speech = prepared.aligned.speech
    _tones()
    failed = _praat(speech) > 20.0
    failed |= not _itself_is_nearest(speech)
    trainer = XttsTrainer({}, prepared.data, 1)
    untrained, _ = _figures("untrained", trainer)
    for _ in range(options.epochs):
        trainer.train_epoch()
    trained, seconds = _figures(f"{options.epochs} epochs", trainer)
    pairs = zip(trained["per_clip"]["mcd_db"], untrained["per_clip"]["mcd_db"], strict=True)
    nearer = sum(near < far for near, far in pairs)
    print(f"nearer than the untrained model on {nearer} of {trained['clips']} clips")
    failed |= nearer < trained["clips"] or seconds * 40 / trained["clips"] > 8.0
    print("a target is missed" if failed else "all targets are met")
    return int(failed)


def _tones() -> None:
    time_axis = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    errors = []
    for hz in TONES:
        harmonics = range(1, int(8000 / hz) + 1)
        samples = sum(np.sin(2 * np.pi * hz * number * time_axis + number**2) / number for number in harmonics)
        found = pitch_of_mel(log_mel(np.asarray(0.1 * samples, dtype=np.float32)))[3:-3]
        errors.append(np.abs(1200 * np.log2(found / hz)).max() if found.all() else np.inf)
    print(
        "tones        " + ", ".join(f"{hz} Hz {error:.0f}" for hz, error in zip(TONES, errors, strict=True)) + " cents"
    )


def _praat(speech: Dataset) -> float:
    """Mean absolute cents between a mel's pitch and Praat's on the recording; 0 where Praat is not installed."""
    if importlib.util.find_spec("parselmouth") is None:
        print("praat        not installed")
        return 0.0
    import parselmouth

    cents, voicing = [], []
    for clip in evenly_spread(np.arange(len(speech)), CLIPS).tolist():
        sound = parselmouth.Sound(str(speech.audio_path(clip))).convert_to_mono()
        if sound.duration < 3.0 / LOWEST_HZ + HOP / SAMPLE_RATE:
            continue
        praat = sound.to_pitch_ac(time_step=HOP / SAMPLE_RATE, pitch_floor=LOWEST_HZ, pitch_ceiling=HIGHEST_HZ)
        found = pitch_of_mel(speech.clip_mel(clip))
        times = np.arange(len(found)) * HOP / SAMPLE_RATE
        true = np.nan_to_num([praat.get_value_at_time(at) for at in times])
        both = (found > 0) & (true > 0)
        cents.append(1200 * np.abs(np.log2(found[both] / true[both])))
        voicing.append((found > 0) != (true > 0))
    error = np.concatenate(cents)
    print(
        f"praat        {len(cents)} recordings: mean {error.mean():.1f} cents, median {np.median(error):.1f}; "
        f"more than half an octave {100 * np.mean(error > 600):.2f} %; "
        f"voicing differs in {100 * np.mean(np.concatenate(voicing)):.1f} % of the frames"
    )
    return float(error.mean())


def _itself_is_nearest(speech: Dataset) -> bool:
    clips = spoken_clips(speech)[:10].tolist()
    own = [likeness(speech.clip_mel(clip), speech.clip_mel(clip)).mcd_db for clip in clips]
    other = [
        likeness(speech.clip_mel(one), speech.clip_mel(two)).mcd_db
        for one in clips
        for two in clips
        if speech.texts[one] != speech.texts[two]
    ]
    print(f"mcd          itself {max(own):.2f} dB, another text {min(other):.2f} to {max(other):.2f} dB")
    return max(own) == 0.0 < min(other)


def _figures(name: str, trainer: XttsTrainer) -> tuple[dict[str, Any], float]:
    trainer.speaker().mel(trainer.training.aligned.speech.texts[0])
    begun = time.process_time()
    found: dict[str, Any] = dict(trainer.speech_figures())
    seconds = time.process_time() - begun
    cells = []
    for error in ERRORS:
        mean, low, high = (found[error][key] for key in ("mean", "low", "high"))
        cells.append(f"{error} none" if mean is None else f"{error} {mean:.3g} ({low:.3g} to {high:.3g})")
    print(f"{name:12} {', '.join(cells)}; {found['clips']} clips in {seconds:.1f} s of one core", flush=True)
    return found, seconds


if __name__ == "__main__":
    raise SystemExit(main())
