"""Metrics of a trained model's speech: test sentences synthesised from text alone, against the recordings' mels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from messages import text
from xtts.alignment.aligned import AlignedDataset
from xtts.data.dataset import Dataset
from xtts.data.splits import TEST
from xtts.errors import SpeechError
from xtts.evaluation.evaluation import evenly_spread
from xtts.evaluation.speech_metrics import Likeness, MeanInterval, likeness
from xtts.inference.synthesis import Speaker

_MOST_CLIPS = 40


def speech_figures(speaker: Speaker, aligned: AlignedDataset) -> Mapping[str, object]:
    """Mean errors over at most 40 test clips with 95 % intervals over clips, and every clip's own.

    `mcd_db`, `f0_cents`, `voicing_error` and `duration_error` each hold mean, low, high and clips (how many had a
    value); `per_clip` holds a list of each by clip (None where a clip has no value), with `id` and `speaker`: the same
    clips in the same order for every model, so that two models can be compared in pairs. Durations are predicted by a
    network that all trials of a data set share: `duration_error` describes the data set, not a trial. SpeechError
    where the synthesised mel is not finite.
    """
    speech = aligned.speech
    spoken: list[tuple[int, Likeness]] = []
    unspeakable: list[str] = []
    for clip in spoken_clips(speech).tolist():
        try:
            mel = speaker.mel(speech.texts[clip], _voice(speech, clip))
        except SpeechError:  # too long a text, or without a letter that is known: the same clips for every model
            unspeakable.append(speech.ids[clip])
            continue
        if not np.isfinite(mel).all():
            raise SpeechError(f"clip {speech.ids[clip]}: the synthesised mel is not finite: the model has diverged")
        spoken.append((clip, likeness(mel, np.asarray(speech.clip_mel(clip)))))
    by_clip: dict[str, list[float | None]] = {
        field.name: [getattr(one, field.name) for _, one in spoken] for field in fields(Likeness)
    }
    return {
        "split": "test",
        "clips": len(spoken),
        "unspeakable": unspeakable,
        **{name: asdict(MeanInterval.of(values)) for name, values in by_clip.items()},
        "per_clip": {
            "id": [speech.ids[clip] for clip, _ in spoken],
            "speaker": [_voice(speech, clip) for clip, _ in spoken],
            **by_clip,
        },
    }


METRICS = ("mcd_db", "f0_cents", "voicing_error", "duration_error")
"""The errors that a confirmation compares; lower is better for all of them."""


def judged_figures(figures: Mapping[str, Any]) -> dict[str, object]:
    """Of `speech_figures`, each error's mean with its interval over clips and what it is called."""
    return {
        name: {
            **figures[name],
            "label": text(f"speech.metric.{name}"),
            "label_fa": text(f"speech.metric.{name}", "fa"),
        }
        for name in METRICS
    }


def spoken_clips(speech: Dataset) -> NDArray[np.int64]:
    """At most 40 test clips, as many of each voice as can be, evenly spread over the voice's."""
    test = speech.indices(TEST)
    speakers = speech.speaker_index[test]
    voices = evenly_spread(np.unique(speakers).astype(np.int64), _MOST_CLIPS)
    return np.concatenate([evenly_spread(test[speakers == voice], _MOST_CLIPS // len(voices)) for voice in voices])


def _voice(speech: Dataset, clip: int) -> str:
    return speech.speakers[int(speech.speaker_index[clip])]
