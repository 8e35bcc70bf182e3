"""From a folder of speech to what every trial opens: features, splits and alignment, made once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from xtts.alignment.aligned import AlignedDataset, align_dataset
from xtts.data.build_dataset import Progress, build_dataset
from xtts.errors import SpeechError
from xtts.prepare.demo_speech import demo_speech
from xtts.prepare.health import HealthReport, check

_SEPARATOR = "#"


@dataclass(frozen=True)
class PreparedData:
    """Speech that trials can learn from, and what to tell about it."""

    data: str
    """The handle that trainers are given."""
    summary: dict[str, object]
    """For sweep.yaml and the report."""
    health: HealthReport
    aligned: AlignedDataset

    def lines(self) -> list[str]:
        """For the terminal, before a sweep starts."""
        health = self.health
        left_out = sum(health.excluded.values())
        lines = [
            f"speech       {health.clips:,} clips, {60.0 * health.hours:.1f} minutes, {len(health.speakers)} voices"
            f" ({self.summary['source']}); {_counted(health.splits)}",
            f"alignment    mean confidence {self.aligned.confidence.mean():.2f}; "
            f"{len(self.aligned.misaligned())} clips to look at (check names them)",
        ]
        if left_out:
            lines.append(f"left out     {left_out} clips: {_counted(health.excluded)}")
        return lines


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def prepare_data(
    data: str | None,
    val_data: str | None = None,
    *,
    accept_unusable: bool = False,
    deep: bool = False,
    progress: Progress,
) -> PreparedData:
    """Prepare a folder of speech (None: the demo speech); SpeechError names what is wrong with it."""
    folder = demo_speech(progress) if data is None else Path(data)
    held_out = None if val_data is None else Path(val_data)
    speech = build_dataset(folder, held_out, accept_unusable=accept_unusable, deep=deep, progress=progress)
    aligned = align_dataset(speech, progress)
    health = check(speech, aligned.summary())
    summary: dict[str, object] = {
        "source": "demo speech" if data is None else str(folder.absolute()),
        "fingerprint": speech.fingerprint,
        "clips": health.clips,
        "hours": round(health.hours, 4),
        "speakers": health.speakers,
        "splits": health.splits,
        "excluded": health.excluded,
        "mel_mean": speech.mel_mean,
        "mel_sd": speech.mel_sd,
        "alignment": aligned.summary(),
    }
    if held_out is not None:
        summary["validation_source"] = str(held_out.absolute())
    return PreparedData(f"{speech.folder}{_SEPARATOR}{speech.fingerprint[:16]}", summary, health, aligned)


def data_folder(handle: str) -> Path:
    """The folder that a handle stands for: features, splits and alignment, nothing outside it."""
    return Path(handle.rpartition(_SEPARATOR)[0])


def data_in(handle: str, folder: Path) -> str:
    """The same handle for a copy of its folder."""
    return f"{folder}{_SEPARATOR}{handle.rpartition(_SEPARATOR)[2]}"


def open_data(handle: str) -> AlignedDataset:
    """The speech that a handle stands for; SpeechError if it has changed or gone since the handle was made."""
    folder, _, fingerprint = handle.rpartition(_SEPARATOR)
    aligned = AlignedDataset.open(Path(folder))
    if not aligned.speech.fingerprint.startswith(fingerprint) or not fingerprint:
        raise SpeechError(
            f"the speech behind {folder} has changed since the run began: run on it as it was, or start anew"
        )
    return aligned
