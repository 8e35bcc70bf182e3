"""The trainer that a sweep drives, what it can be set to and what it makes of a folder of speech.

torch takes more than a second to import and a command needs none of it: it is imported when a trial is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xtts.audio.mel import MELS, PATCH_FRAMES
from xtts.errors import SpeechError
from xtts.model.model_config import model_config
from xtts.model.size import parameter_count
from xtts.prepare.prepare_data import PreparedData, data_folder, data_in, prepare_data, reopen_data
from xtts.training.settings import WEIGHTINGS, Settings

if TYPE_CHECKING:
    from xtts.inference.synthesis import Speaker

_USUAL_SYMBOLS = 100  # of a vocabulary: negligible next to the other parameters
_STATES = 3  # parameters and the optimiser's two moments; one more for the average


class XttsTrainer:
    """One trial: the training loop of xtts.training, and speech from the trained model."""

    """What a worker imports before it is given a trial"""

    def __init__(self, params: Mapping[str, object], data: str, seed: int) -> None:
        """`data` is the handle that prepare returned."""
        from xtts.training.training import Training

        self.training = Training(params, data, seed)

    def start(self, context: Any) -> None:
        """Called before the first epoch; the trial's length and its share of the GPU matter here."""
        self.training.plan(context.epochs)
        self.training.share_gpu(context.gpu_share)

    def train_epoch(self) -> Mapping[str, object]:
        """One more epoch over the training split, then all metrics of the evaluated split."""
        return self.training.train_epoch()

    def updates_per_second(self, seconds: float) -> float:
        """Train for at least so long on one batch after the other, and return how fast; this changes the weights."""
        return self.training.updates_per_second(seconds)

    def state_dict(self) -> dict[str, object]:
        """All that an exact resume needs; what is random follows from seed and epoch."""
        return self.training.state_dict()

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Continue from what state_dict returned."""
        self.training.load_state_dict(state)

    def export_best(self, folder: Path) -> None:
        """Write the model, ready to speak, and a few validation sentences: synthesised and real."""
        from xtts.inference.samples import write_real_samples, write_samples

        speaker = self.speaker()
        speaker.save(folder)
        write_samples(speaker, self.training.aligned, folder / "samples")
        write_real_samples(self.training.aligned, folder / "samples")

    def export_compared(self, folder: Path, who: str) -> None:
        """Add the same sentences synthesised by this model, for comparison; `who` becomes part of their names."""
        from xtts.inference.samples import write_samples

        write_samples(self.speaker(), self.training.aligned, folder / "samples", who)

    def judged_figures(self) -> Mapping[str, object]:
        """Errors of the speech of the test split, with intervals over clips; empty where the model has diverged."""
        from xtts.inference.speech_figures import judged_figures

        try:
            return judged_figures(self.speech_figures())
        except SpeechError:
            return {}

    def speech_figures(self) -> Mapping[str, object]:
        """The same per clip; see xtts.inference.speech_figures."""
        from xtts.inference.speech_figures import speech_figures

        return speech_figures(self.speaker(), self.training.aligned)

    def speaker(self) -> Speaker:
        """The model with its averaged weights, ready to speak."""
        from xtts.inference.synthesis import Speaker

        training = self.training
        config = model_config(training.settings.model)
        return Speaker.of_trial(training.averaged_model(), config, training.aligned, training.batches)

    @classmethod
    def default_params(cls) -> Mapping[str, object]:
        """Every parameter with its default."""
        return Settings().model_dump()

    @classmethod
    def confirmation_params(cls) -> Mapping[str, object]:
        """What a confirmation run adds to a trial's parameters: it is judged on speech that the search never saw."""
        return {"evaluate_on": "test"}

    @classmethod
    def rivals(cls) -> Mapping[str, Mapping[str, object]]:
        """Methods that need no sweep, by name: what each adds to the default's parameters."""
        return {name: {"weighting": name} for name in WEIGHTINGS if name != "fixed"}

    @classmethod
    def checkpoint_bytes(cls, params: Mapping[str, object]) -> int:
        """The size of a checkpoint, to a percent."""
        settings = Settings.of(params)
        count = parameter_count(model_config(settings.model), _USUAL_SYMBOLS, MELS * PATCH_FRAMES)
        return (_STATES + (settings.weight_average > 0)) * count * (8 if settings.precision == "float64" else 4)

    @classmethod
    def check_params(cls, params: Mapping[str, object]) -> None:
        """SpeechError where a value makes no sense, before anything is started."""
        Settings.of(params)

    @classmethod
    def prepare(cls, data: str | None, val_data: str | None, **options: Any) -> PreparedData:
        """Features, splits and alignment of a folder of speech, once for all trials; see prepare_data."""
        return prepare_data(data, val_data, **options)

    @classmethod
    def reopen(cls, data: str, summary: Mapping[str, Any], **options: Any) -> tuple[str, str]:
        """The handle of a run that is resumed, made again where the cache is gone; see reopen_data."""
        return reopen_data(data, summary, **options)

    @classmethod
    def data_folder(cls, data: str) -> Path:
        """The folder behind a handle: trials read nothing else."""
        return data_folder(data)

    @classmethod
    def data_in(cls, data: str, folder: Path) -> str:
        """The same handle for a copy of its folder."""
        return data_in(data, folder)
