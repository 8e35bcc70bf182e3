"""A sound and a picture to show with a trial."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Sample:
    """A sound (wav) and a picture of its mel (png) that belong to a trial's best weights; either may be missing."""

    trial_id: str
    name: str
    audio: Path | None = None
    picture: Path | None = None
    caption: str = ""

    def as_dict(self) -> dict[str, object]:
        """Plain JSON; paths absolute."""
        paths = {"audio": self.audio, "picture": self.picture}
        return asdict(self) | {key: path and str(path.absolute()) for key, path in paths.items()}

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> Sample:
        """What `as_dict` made."""
        paths = {key: given[key] and Path(given[key]) for key in ("audio", "picture")}
        return cls(**{**given, **paths})
