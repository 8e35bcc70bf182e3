"""Project, entity and ids of a run's W&B runs, stored once, so that resume and `publish` use the same."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from sweeps.common.atomic_file import write_atomically
from sweeps.common.errors import RequestError

FILE = "destination.json"


@dataclass(frozen=True)
class Destination:
    """A project, an entity (None: the account's default) and what the ids of all runs begin with.

    `sweep_id` is the W&B sweep that the runs were published as, which later runs join; `workspace` the address of the
    view that was saved for them.
    """

    project: str
    entity: str | None
    prefix: str
    sweep_id: str | None = None
    workspace: str | None = None

    @property
    def sweep_run_id(self) -> str:
        """The id of the run of the sweep itself."""
        return self.run_id("sweep")

    def run_id(self, trial_id: str) -> str:
        """The id of a trial's run, the same in every session."""
        return f"{self.prefix}-{trial_id}"


def destination_in(wandb_folder: Path, project: str, entity: str | None) -> Destination:
    """The folder's destination; `project` and `entity` count where there is none yet."""
    known = read_destination(wandb_folder)
    if known is not None:
        return known
    # Drawn, not derived: W&B never takes the id of a deleted run again.
    made = Destination(project, entity, secrets.token_hex(4))
    write_destination(wandb_folder, made)
    return made


def read_destination(wandb_folder: Path) -> Destination | None:
    """What was written; None before the first session, RequestError where it is damaged."""
    path = wandb_folder / FILE
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
        return Destination(**{key: given[key] for key in Destination.__dataclass_fields__})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RequestError(f"{path}: is damaged ({error}); remove {wandb_folder} to write the runs again") from error


def write_destination(wandb_folder: Path, destination: Destination) -> None:
    """Replace what is written; SweepFailed where the disk refuses."""
    wandb_folder.mkdir(parents=True, exist_ok=True)
    write_atomically(wandb_folder / FILE, json.dumps(asdict(destination), indent=2) + "\n")
