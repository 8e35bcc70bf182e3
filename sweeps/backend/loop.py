"""Ray Tune's loop over the trials: built from values, run until there is nothing left or something asks for its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeps.backend.environment import Environment
from sweeps.backend.loop_state import LoopState
from sweeps.common.errors import SweepFailed
from sweeps.confirm.plan import CONFIRMATION
from sweeps.run.config import SweepConfig
from sweeps.run.folder import RunFolder
from sweeps.run.resources import Resources
from sweeps.search.asha import Rungs
from sweeps.trials.record import TrialRecord

if TYPE_CHECKING:
    from sweeps.backend.search_algorithm import TrialSource

RETRIES = 1


@dataclass(frozen=True)
class WorkerConfig:
    """What workers are given: called with a record, that trial's config as plain data."""

    folder: RunFolder
    config: SweepConfig
    resources: Resources
    environment: Environment

    def __call__(self, record: TrialRecord) -> dict[str, Any]:
        """All that sweeps/backend/trainable.py reads."""
        epochs, here = self.config.budget.epochs, self.environment.cluster is None
        return {
            "trial_id": record.trial_id,
            "params": {**self.config.shared_params, **record.params},
            "seed": record.seed,
            "trainer": self.config.loadable_trainer,
            "data": self.environment.data(self.config),
            "threads": self.resources.threads,
            "checkpoints": self.environment.checkpoints(self.folder),
            "known_epochs": record.epochs,
            "judged_at": epochs if record.origin == CONFIRMATION else None,
            "epochs": epochs,
            "attempt": record.attempts,
            "folder": str(self.folder.trial(record.trial_id).resolve()) if here else None,
        }


def run_loop(
    state: LoopState,
    source: TrialSource,
    worker_config: WorkerConfig,
    *,
    on_step: Callable[[], None],
    stop_reason: Callable[[], str | None],
    leave: Callable[[], bool] = lambda: False,
) -> str | None:
    """Run trials until `source` has none left (None), or `stop_reason()` returns one.

    Where `leave()` is true then, nothing is tidied up, because Ray is killed next.

    Raises:
        SweepFailed: Ray's servers or the cluster's head have died, or trials fail alike.
    """
    from ray import tune

    from sweeps.backend.callback import Left, ServersDied, Stopped, SweepCallback
    from sweeps.backend.scheduler import RungScheduler
    from sweeps.backend.search_algorithm import SearchAlgorithm
    from sweeps.backend.trainable import TrialTrainable

    folder, resources, environment = worker_config.folder, worker_config.resources, worker_config.environment
    budget, cluster = worker_config.config.budget, environment.cluster
    rungs = Rungs.of(budget)
    rungs.restore(state.journal.records)
    on_cluster = cluster is not None
    shares = {"CPU": resources.cpus_per_trial, "GPU": resources.gpus_per_trial, **environment.trial_resources}
    try:
        tune.run(
            TrialTrainable,
            name=folder.ray.name,
            storage_path=str(folder.path.resolve()),
            num_samples=-1,
            search_alg=SearchAlgorithm(state, source, lambda: environment.concurrent(resources), worker_config),
            scheduler=RungScheduler(
                state, rungs, budget.epochs, on_cluster=on_cluster, options=worker_config.config.search
            ),
            callbacks=[
                SweepCallback(state, on_step=on_step, stop_reason=stop_reason, leave=leave, on_cluster=on_cluster)
            ],
            resources_per_trial=tune.PlacementGroupFactory([{name: share for name, share in shares.items() if share}]),
            trial_dirname_creator=lambda trial: str(trial.config["trial_id"]),
            reuse_actors=True,
            max_failures=RETRIES,
            raise_on_failed_trial=False,
            verbose=0,
            _remote=False,  # by ray:// too: the search and the journal stay in this process
        )
    except ServersDied as died:
        raise SweepFailed(str(died)) from None
    except Left as left:
        return str(left)
    except Stopped as stopped:
        if stopped.error is not None:
            raise stopped.error from None
        return stopped.reason
    except Exception as error:
        lost = None if cluster is None else cluster.lost()
        if lost is None:
            raise
        raise SweepFailed(lost) from error
    return None
