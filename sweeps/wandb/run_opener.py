"""Opens and finishes W&B runs, with the settings that all of them share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sweeps.common.errors import named_reason
from sweeps.wandb.destination import Destination

if TYPE_CHECKING:
    from wandb import Run, Settings

INIT_SECONDS = 15.0
FINISH_SECONDS = 30.0
PROBE_SECONDS = 10
GRAPHQL_RETRIES = 2


class RunOpener:
    """Opens runs of one group in one folder."""

    def __init__(self, folder: Path, destination: Destination, group: str, *, online: bool) -> None:
        self._folder = folder
        self._destination = destination
        self._group = group
        self._online = online
        self.run_ids: set[str] = set()
        self.url: str | None = None

    def open(
        self, run_id: str, name: str, job_type: str, config: Mapping[str, object], tags: Sequence[str] = ()
    ) -> Run:
        """A run of that id, new or resumed; errors of wandb pass through."""
        import wandb

        run = wandb.init(
            project=self._destination.project,
            entity=self._destination.entity,
            dir=self._folder,
            id=run_id,
            name=name,
            group=self._group,
            job_type=job_type,
            config=dict(config),
            tags=list(tags),
            reinit="create_new",
            resume="allow",
            settings=run_settings("online" if self._online else "offline", self._destination.sweep_id),
        )
        self.run_ids.add(run_id)
        run.define_metric("epoch")
        run.define_metric("*", step_metric="epoch")
        return run

    def finish(self, run: Run, exit_code: int = 0) -> None:
        """End a run; one that was uploaded whole is marked as `wandb sync` marks it, so that nothing goes up twice."""
        log = next(Path(run.sync_dir).glob("*.wandb"), None)
        sent = not run.offline
        self.url = self.url or (None if run.offline else run.project_url)
        run.finish(exit_code=exit_code)
        if sent and log is not None:
            log.with_suffix(".wandb.synced").touch()


def why_unreachable() -> str | None:
    """Why W&B cannot be used online, in words; None where it answers and takes the login."""
    import wandb

    try:
        wandb.Api(timeout=PROBE_SECONDS)  # verifies the login
    except Exception as error:
        return f"W&B could not be reached ({named_reason(error)}), so its runs are kept offline"
    return None


def run_settings(mode: Literal["online", "offline"], sweep_id: str | None) -> Settings:
    """Settings under which a run holds what it is given and nothing of the machine, the program or the person."""
    import wandb

    return wandb.Settings(
        mode=mode,
        sweep_id=sweep_id,
        console="off",
        silent=True,
        disable_code=True,
        disable_git=True,
        disable_job_creation=True,
        finish_timeout=FINISH_SECONDS,
        finish_timeout_raises=True,
        host="",
        init_timeout=INIT_SECONDS,
        save_code=False,
        stop_fn=_ignore,  # W&B's stop button would interrupt this process, and with it the runs of all other trials
        symlink=False,
        use_dot_wandb=False,
        x_disable_machine_info=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_graphql_retry_max=GRAPHQL_RETRIES,
        x_save_requirements=False,
    )


def _ignore() -> None:
    return None
