"""Prepared speech with its alignment: learned once per data set, cached with the features, opened by every trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xtts.data.dataset import Dataset
from xtts.data.features.cache import Progress
from xtts.data.features.sealed_file import DamagedFileError, read_sealed, write_sealed
from xtts.errors import SpeechError

if TYPE_CHECKING:
    from xtts.alignment.durations import DurationPredictor
    from xtts.alignment.training import Aligned

_VERSION = 1
_DURATIONS = "durations."
_DOUBTFUL_CONFIDENCE = 0.5
_MANY_CLIPS = 200
_DOUBTFUL_ADVANTAGE = 0.2  # of the data set's median


@dataclass(frozen=True)
class AlignedDataset:
    """Clips, and the token at each half-patch step of each."""

    speech: Dataset
    step_tokens: NDArray[np.int32]
    """Of all clips, one after the other [total steps]; 2 * patches a clip."""
    step_start: NDArray[np.int64]
    confidence: NDArray[np.float32]
    """Mean posterior probability of the tokens on a clip's path [clips]."""
    advantage: NDArray[np.float32]
    """Score of a clip with its own text over other texts of that length, nats a step [clips]."""
    duration_weights: Mapping[str, NDArray[np.float32]]
    """Of the duration predictor, by parameter."""

    @cached_property
    def durations(self) -> DurationPredictor:
        """Predicts how long each token of a new text takes."""
        import torch  # here, because a command only looks at the alignment

        from xtts.alignment.durations import DurationPredictor

        # A network is built only to be filled: its first weights need no random numbers.
        with torch.random.fork_rng(devices=[]):
            durations = DurationPredictor(len(self.speech.vocabulary), len(self.speech.speakers))
        durations.load_state_dict({name: torch.from_numpy(array) for name, array in self.duration_weights.items()})
        return durations.eval()

    def clip_steps(self, clip: int) -> NDArray[np.int32]:
        """The token at each step of one clip [2 * patches]."""
        return self.step_tokens[self.step_start[clip] : self.step_start[clip + 1]]

    @property
    def mean_confidence(self) -> float:
        """How surely texts and recordings belong together, 0 to 1: the paths' confidence times the texts' own.

        A path through a wrong text can be as clear as one through the right text, the clearer the shorter the text is.
        So it counts only as far as the texts prove to be the clips' own: a network not trained on a clip prefers
        its text to others of that length (by chance alone in half of the clips). A few clips teach such a network
        nothing; there longer texts belonging to longer clips is the other sign.
        """
        own = max(0.0, 2.0 * float(np.mean(self.advantage > 0)) - 1.0)
        few = max(0.0, 1.0 - len(self.confidence) / _MANY_CLIPS)
        return float(self.confidence.mean()) * max(own, few * self._length_agreement())

    def _length_agreement(self) -> float:
        """Correlation of the texts' lengths with the clips', 0 where one of them does not vary."""
        lengths, frames = self.speech.token_count.astype(np.float64), self.speech.frames.astype(np.float64)
        if lengths.std() == 0 or frames.std() == 0:
            return 0.0
        return max(0.0, float(np.corrcoef(lengths, frames)[0, 1]))

    def misaligned(self) -> NDArray[np.int64]:
        """Clips whose sound fits other texts as well as their own, or finds no clear path through it: worst first."""
        usual = max(0.0, float(np.median(self.advantage)))
        wrong = self.advantage <= _DOUBTFUL_ADVANTAGE * usual
        doubtful = np.flatnonzero(wrong | (self.confidence < _DOUBTFUL_CONFIDENCE))
        return doubtful[np.argsort(self.advantage[doubtful], kind="stable")]

    def summary(self) -> dict[str, object]:
        """For `check`, sweep.yaml and the report."""
        doubtful = self.misaligned()
        return {
            "mean_confidence": round(self.mean_confidence, 4),
            "doubtful_clips": len(doubtful),
            "doubtful": [self.speech.ids[clip] for clip in doubtful[:50]],
        }

    @classmethod
    def open(cls, folder: Path) -> AlignedDataset:
        """What align_speech made for the prepared speech in `folder`; SpeechError if it is gone or damaged."""
        speech = Dataset.open(folder)
        try:
            return _read(speech)
        except DamagedFileError as error:
            raise SpeechError(
                f"the alignment in {folder} is gone or damaged ({error}): run the command again"
            ) from error


def train_aligner(speech: Dataset, progress: Progress) -> Aligned:
    """Learn the alignment; what that needs is imported here, because a trial's worker never does."""
    from xtts.alignment import training

    return training.train_aligner(speech, progress)


def align_dataset(speech: Dataset, progress: Progress) -> AlignedDataset:
    """The alignment of a data set, from the cache where there is one; a damaged one is made again."""
    try:
        return _read(speech)
    except DamagedFileError:
        pass
    aligned = train_aligner(speech, progress)
    try:
        _write(speech, aligned)
    except OSError as error:
        raise SpeechError(
            f"{_file(speech)}: the alignment cannot be written ({error.strerror}); make room there"
        ) from error
    return _read(speech)


def _file(speech: Dataset) -> Path:
    return speech.folder / f"alignment-{_VERSION}-{speech.fingerprint[:16]}.sealed"


def _write(speech: Dataset, aligned: Aligned) -> None:
    arrays = {
        "step_tokens": np.concatenate(aligned.step_tokens),
        "step_start": np.cumsum([0, *(len(path) for path in aligned.step_tokens)]),
        "confidence": aligned.confidence,
        "advantage": aligned.advantage,
    }
    weights = {f"{_DURATIONS}{name}": value.numpy() for name, value in aligned.durations.state_dict().items()}
    write_sealed(_file(speech), {"fingerprint": speech.fingerprint}, arrays | weights)


def _read(speech: Dataset) -> AlignedDataset:
    value, arrays = read_sealed(_file(speech))
    if value["fingerprint"] != speech.fingerprint:
        raise DamagedFileError(f"{_file(speech)}: made for other speech")
    return AlignedDataset(
        speech,
        arrays["step_tokens"],
        arrays["step_start"],
        arrays["confidence"],
        arrays["advantage"],
        {name.removeprefix(_DURATIONS): array for name, array in arrays.items() if name.startswith(_DURATIONS)},
    )
