"""The trainer that a sweep drives, as commands know it: what it can be set to and what it makes of a folder of speech.

torch takes more than a second to import, and a command needs none of it: training itself is in xtts.training.training.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from xtts.audio.mel import MELS, PATCH_FRAMES
from xtts.model.model_config import model_config
from xtts.model.size import parameter_count
from xtts.prepare.prepare_data import PreparedData, data_folder, data_in, prepare_data
from xtts.training.settings import WEIGHTINGS, Settings

if TYPE_CHECKING:
    from xtts.training.training import Training

_USUAL_SYMBOLS = 100  # of a vocabulary: next to nothing beside the rest
_STATES = 3  # parameters and the optimiser's two moments


class XttsTrainer(ABC):
    """One trial. Making one makes a Training, and imports torch; subclasses are subclasses of that."""

    worker_modules: ClassVar[tuple[str, ...]] = ("xtts.training.training",)
    """What a worker imports before it is given a trial"""

    def __init_subclass__(cls) -> None:
        """TypeError where a class is derived from the name instead of from what it stands for."""
        if not any(base.__module__ == "xtts.training.training" for base in cls.__mro__):
            raise TypeError(
                f"{cls.__name__}: derive it from xtts.training.training.Training, which XttsTrainer stands for"
            )

    def __new__(cls, params: Mapping[str, object], data: str, seed: int) -> Training:
        """`data` is the handle that prepare gave."""
        from xtts.training.training import Training

        made = Training if cls is XttsTrainer else cls
        assert issubclass(made, Training)
        return super().__new__(made)

    @abstractmethod
    def train_epoch(self) -> Mapping[str, object]:
        """One more epoch over the training split, then all figures of the split it is evaluated on."""

    @abstractmethod
    def updates_per_second(self, seconds: float) -> float:
        """Train for at least so long on one batch after the other, and say how fast: the model is no trial's then."""

    @abstractmethod
    def state_dict(self) -> dict[str, object]:
        """All that going on bit for bit needs; what is random follows from seed and epoch."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, object]) -> None:
        """Go on from what state_dict gave."""

    @classmethod
    def default_params(cls) -> Mapping[str, object]:
        """Every parameter with its default."""
        return {field.name: field.default for field in fields(Settings)}

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
        return _STATES * count * (8 if settings.precision == "float64" else 4)

    @classmethod
    def check_params(cls, params: Mapping[str, object]) -> None:
        """SpeechError where a value makes no sense, before anything is started."""
        Settings.of(params)

    @classmethod
    def prepare(cls, data: str | None, val_data: str | None, **options: Any) -> PreparedData:
        """Features, splits and alignment of a folder of speech, once for all trials; see prepare_data."""
        return prepare_data(data, val_data, **options)

    @classmethod
    def data_folder(cls, data: str) -> Path:
        """The folder that a handle stands for: all that trials read is in it."""
        return data_folder(data)

    @classmethod
    def data_in(cls, data: str, folder: Path) -> str:
        """The same handle for a copy of its folder."""
        return data_in(data, folder)
