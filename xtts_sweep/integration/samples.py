"""The sentences that a run's best model, its default and the recordings say: for the report, and for W&B."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from sweeps.report import Sample, SampleText, png
from sweeps.run.run import Run
from sweeps.trials.record import default_record
from sweeps.wandb import Sample as Sound

Who = Literal["real", "default", "best"]
BEST_TAKEN: tuple[tuple[Who, str], ...] = (("real", "real"), ("default", "default"), ("best", "said"))
DEFAULT_KEPT: tuple[tuple[Who, str], ...] = (("real", "real"), ("default", "said"), ("best", "best"))
"""Who speaks in N.WORD.wav of best/samples: the model in best/ is the default where nothing was shown to beat it."""


def sample_texts(run: Run) -> tuple[SampleText, ...]:
    """Each sentence with those who say it, as sound and mel."""
    found = []
    for sentence, wavs in _sentences(run):
        if len(wavs) >= 2:
            found.append(SampleText(sentence, tuple(_sample(who, wav) for who, wav in wavs)))
    return tuple(found)


def sounds(run: Run, pictures: Path) -> list[Sound]:
    """The same for W&B: what the best says and the recordings on the best's run, the default's on its own.

    Pictures of their mels are written to `pictures`. Sounds of one sentence have one name, so that W&B shows the runs'
    next to each other.
    """
    default = default_record(run.records)
    best = run.best if _keeps_default(run) else run.recommended
    owners = {"real": run.recommended, "default": default, "best": best}
    found = []
    for number, (sentence, wavs) in enumerate(_sentences(run), 1):
        for who, wav in wavs:
            owner = owners[who]
            if owner is not None:
                picture = _picture(wav, pictures / f"{wav.stem}.png")
                name = f"sentence {number}/{'recording' if who == 'real' else 'said'}"
                found.append(Sound(owner.trial_id, name, wav, picture, f"{who}: {sentence}"))
    return found


def _sentences(run: Run) -> Iterator[tuple[str, list[tuple[Who, Path]]]]:
    """Each sentence of best/ with who says it in which file."""
    files = DEFAULT_KEPT if _keeps_default(run) else BEST_TAKEN
    for text in sorted((run.folder.best / "samples").glob("*.txt")):
        sentence = text.read_text("utf-8").partition("|")[2].strip()
        wavs = [(who, text.with_suffix(f".{word}.wav")) for who, word in files]
        yield sentence, [(who, wav) for who, wav in wavs if wav.is_file()]


def _keeps_default(run: Run) -> bool:
    best, default = run.recommended, default_record(run.records)
    return best is not None and default is not None and best.identity == default.identity


def _sample(who: Who, wav: Path) -> Sample:
    from xtts.audio.mel import log_mel
    from xtts.audio.waveform import decode

    content = wav.read_bytes()
    recording = decode(content)
    samples = getattr(recording, "samples", None)
    return Sample(who, content, None if samples is None else log_mel(samples))


def _picture(wav: Path, path: Path) -> Path | None:
    mel = _sample("real", wav).picture
    if mel is None or not mel.size:
        return None
    path.write_bytes(png(mel))
    return path
