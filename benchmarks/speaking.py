"""Does `say` say what it is given? Whole utterances against their own recording and a length-matched wrong one.

    python benchmarks/speaking.py               # demo speech, default config, 9 epochs
    python benchmarks/speaking.py --data DIR --epochs 6

Distance: dynamic time warping over standardised mel frames (Euclidean, mean along the path). Sentences are those of
validation and test; durations are predicted, nothing of the recording is used but its speaker. Exit code 1 where the
95 % interval of (wrong - own), paired by sentence, does not lie above 0.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from numpy.typing import NDArray

from xtts.data.splits import TEST, VALIDATION
from xtts.trainer import XttsTrainer


def main() -> int:
    """Train, speak, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    prepared = XttsTrainer.prepare(options.data, None, progress=lambda done, total, what: None)
    trainer = XttsTrainer({}, prepared.data, options.seed)
    for _ in range(options.epochs):
        metrics = trainer.train_epoch()
    print("\n".join(prepared.lines()))
    print(f"epoch {options.epochs}: objective {metrics['objective']:.4f}, text_use {metrics['text_use']:.4f}")
    gains = utterance_gains(trainer)
    low, high = np.quantile(
        np.random.default_rng(0).choice(gains, (10_000, len(gains)), replace=True).mean(axis=1), [0.025, 0.975]
    )
    print(f"{len(gains)} utterances: nearer to their own recording in {int((gains > 0).sum())}")
    print(
        f"wrong minus own: {gains.mean():.3f} (Euclidean, standardised frames), 95 % interval {low:.3f} to {high:.3f}"
    )
    return int(low <= 0)


def utterance_gains(trainer: XttsTrainer) -> NDArray[np.float64]:
    """Distance to the wrong recording minus distance to the right one, of each validation and test sentence."""
    speech, speaker = trainer.training.aligned.speech, trainer.speaker()
    clips = np.concatenate([speech.indices(VALIDATION), speech.indices(TEST)]).tolist()

    def standard(mel: NDArray[np.float32]) -> NDArray[np.float32]:
        return (np.asarray(mel) - np.float32(speech.mel_mean)) / np.float32(speech.mel_sd)

    real = {clip: standard(speech.clip_mel(clip)) for clip in clips}
    gains = []
    for clip in clips:
        same_voice = [
            other
            for other in clips
            if speech.texts[other] != speech.texts[clip] and speech.speaker_index[other] == speech.speaker_index[clip]
        ]
        wrong = min(same_voice, key=lambda other: abs(len(real[other]) - len(real[clip])))
        said = standard(speaker.mel(speech.texts[clip], speech.speakers[int(speech.speaker_index[clip])]))
        gains.append(_distance(said, real[wrong]) - _distance(said, real[clip]))
    return np.array(gains)


def _distance(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    from librosa.sequence import dtw

    costs, path = dtw(first.T, second.T, metric="euclidean")
    return float(costs[-1, -1]) / len(path)


if __name__ == "__main__":
    raise SystemExit(main())
