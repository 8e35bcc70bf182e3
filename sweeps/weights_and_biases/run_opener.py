"""Opens and finishes W&B runs: the settings that all of them share, and what happens when the network is gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sweeps.weights_and_biases.destination import Destination

if TYPE_CHECKING:
    from wandb import Run, Settings

INIT_SECONDS = 15.0
FINISH_SECONDS = 30.0
GRAPHQL_RETRIES = 2


class RunOpener:
    """Opens runs of one group in one folder; online until that fails once, from then on offline."""

    def __init__(self, folder: Path, destination: Destination, group: str, *, online: bool) -> None:
        self._folder = folder
        self._destination = destination
        self._group = group
        self.online = online
        self.opened = 0
        self.problem: str | None = None
        self.url: str | None = None

    def open(
        self, run_id: str, name: str, job_type: str, config: Mapping[str, object], tags: Sequence[str] = ()
    ) -> Run:
        """A run of that id, new or gone on with; whatever wandb raises, once it does so offline too."""
        try:
            run = self._init(run_id, name, job_type, config, tags)
        except Exception as error:
            if not self.online:
                raise
            self.online = False
            self.problem = f"W&B could not be reached ({one_line(error)}), so the runs are kept offline"
            run = self._init(run_id, name, job_type, config, tags)
        self.opened += 1
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

    def _init(self, run_id: str, name: str, job_type: str, config: Mapping[str, object], tags: Sequence[str]) -> Run:
        import wandb

        return wandb.init(
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
            settings=run_settings("online" if self.online else "offline", self._destination.sweep_id),
        )


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


def one_line(error: BaseException) -> str:
    """What an error says, in one line of bearable length."""
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words}"[:300] if words else type(error).__name__


def _ignore() -> None:
    return None
