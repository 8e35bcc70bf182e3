"""What a Coqui model says: the sentences of a split synthesised from text alone, against their recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trainers.coqui_validation import VALIDATION_SEED, own_seed

MOST_CLIPS = 40
LONGEST = 4  # times the recording: durations of an untrained model know no end


def speech_figures(model: Any, samples: Sequence[Mapping[str, Any]]) -> Mapping[str, Mapping[str, object]]:
    """Mean errors over at most 40 clips, each with its 95 % interval, as `judged_figures` of a trainer returns them.

    Clips whose recording cannot be used are left out; without a usable one, or of a model that has diverged, nothing
    is returned.
    """
    import numpy as np
    import soxr

    from xtts.audio.mel import SAMPLE_RATE, log_mel
    from xtts.audio.waveform import Recording, decode
    from xtts.evaluation.evaluation import evenly_spread
    from xtts.evaluation.speech_metrics import Likeness, MeanInterval, likeness
    from xtts.inference.speech_figures import METRICS, judged_figures

    rate, found = int(model.config.audio.sample_rate), list[Likeness]()
    usual, was_training = model.max_inference_len, model.training
    model.eval()
    for number in evenly_spread(np.arange(len(samples)), MOST_CLIPS).tolist():
        sample = samples[number]
        recording = decode(Path(sample["audio_file"]).read_bytes())
        if not isinstance(recording, Recording):
            continue
        model.max_inference_len = round(LONGEST * len(recording.samples) / SAMPLE_RATE * rate / _hop(model))
        with own_seed(VALIDATION_SEED + number):
            spoken = np.atleast_1d(model.synthesize(sample["text"], **_voice(model, sample))["wav"])
        if not np.isfinite(spoken).all():
            return {}
        at_our_rate = soxr.resample(spoken.astype(np.float32), rate, SAMPLE_RATE, quality="HQ")
        found.append(likeness(log_mel(at_our_rate), log_mel(recording.samples)))
    model.max_inference_len = usual
    model.train(was_training)
    if not found:
        return {}
    figures = judged_figures({name: asdict(MeanInterval.of([getattr(one, name) for one in found])) for name in METRICS})
    return {name: dict(figure) for name, figure in figures.items() if isinstance(figure, Mapping)}


def _hop(model: Any) -> int:
    return int(model.config.audio.hop_length)


def _voice(model: Any, sample: Mapping[str, Any]) -> dict[str, str]:
    """Whose voice and which language, where the model has several."""
    voice = {}
    if getattr(model, "num_speakers", 0) > 1:
        voice["speaker"] = str(sample["speaker_name"])
    if model.language_manager is not None and model.language_manager.num_languages > 1:
        voice["language"] = str(sample["language"])
    return voice
