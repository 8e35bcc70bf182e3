"""A sound and a picture of a trial's best weights, and the W&B media that they become."""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass
from html import escape
from importlib.util import find_spec
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


def media_of(samples: list[Sample]) -> dict[str, object]:
    """Media by key, such as samples/1.said/audio; files that are not there are left out."""
    import wandb

    media: dict[str, object] = {}
    for sample in samples:
        if sample.audio is not None and sample.audio.is_file():
            media[f"samples/{sample.name}/audio"] = wandb.Audio(str(sample.audio), caption=sample.caption)
        if sample.picture is not None and sample.picture.is_file():
            media[f"samples/{sample.name}/mel"] = _picture(sample.picture, sample.caption)
    return media


def _picture(path: Path, caption: str) -> object:
    import wandb

    if find_spec("PIL") is not None:
        return wandb.Image(str(path), caption=caption)
    # wandb reads pictures with Pillow alone; without it, the same picture shows as a page of its own.
    data = base64.b64encode(path.read_bytes()).decode()
    page = f'<figure><img src="data:image/png;base64,{data}"><figcaption>{escape(caption)}</figcaption></figure>'
    return wandb.Html(page, inject=False)
