"""Where a sweep trains and where it keeps its state: this machine, a cluster, a storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sweeps.backend.cluster import Cluster, joined
from sweeps.backend.cluster_resources import plan_cluster_resources
from sweeps.common.errors import SweepFailed
from sweeps.run.config import SweepConfig
from sweeps.run.folder import RunFolder
from sweeps.run.resources import Resources, plan_resources, this_machine
from sweeps.storage.dataset_cache import folder_on_this_node, store_folder
from sweeps.storage.remote_run import RemoteRun, remote_run
from sweeps.trainer import Trainer


@dataclass(frozen=True)
class Environment:
    """`cluster` is None on this machine alone, `stored` where nothing but the run's folder holds the run."""

    cluster: Cluster | None = None
    stored: RemoteRun | None = None

    def checkpoints(self, folder: RunFolder) -> str:
        """Where workers keep checkpoints, as `checkpoint_store_at` takes it."""
        return str(folder.checkpoints.resolve()) if self.stored is None else self.stored.checkpoints

    def data(self, config: SweepConfig) -> str | dict[str, str]:
        """The data as workers open it: its handle, or where their node can fetch it."""
        if self.cluster is None or self.stored is None or config.data_stored is None:
            return config.data
        return {"storage": self.stored.storage.uri, "name": config.data_stored, "data": config.data}

    def concurrent(self, resources: Resources) -> int:
        """How many trials may run now."""
        return (
            self.cluster.capacity(resources)
            if self.cluster is not None and resources.follows_nodes
            else resources.concurrent
        )

    @property
    def trial_resources(self) -> dict[str, float]:
        """Ray resources of each trial besides cores and GPUs."""
        return {} if self.cluster is None else self.cluster.trial_resources


THIS_MACHINE = Environment()


@contextmanager
def environment_of(config: SweepConfig, log: Callable[[str], None]) -> Iterator[Environment]:
    """Join the cluster and open the storage that were asked for, and see that they fit each other; RequestError says
    what does not. `log` is called with outages of the storage."""
    stored = None if config.storage is None else remote_run(config.storage, config.name, log)
    if config.address is None:
        yield Environment(stored=stored)
        return
    with joined(config.address, config.loadable_trainer) as cluster:
        if stored is None:
            cluster.stay_on_this_node()
        else:
            cluster.check_storage(stored.storage)
        yield Environment(cluster, stored)


def plan_for(config: SweepConfig, environment: Environment = THIS_MACHINE) -> Resources:
    """How the sweep will use this machine, or the cluster's nodes."""
    if environment.cluster is None:
        return plan_resources(
            this_machine(),
            config.trials,
            concurrent=config.concurrent,
            cpus_per_trial=config.cpus_per_trial,
            gpus_per_trial=config.gpus_per_trial,
        )
    return plan_cluster_resources(
        environment.cluster.nodes(),
        config.trials,
        concurrent=config.concurrent,
        cpus_per_trial=config.cpus_per_trial,
        gpus_per_trial=config.gpus_per_trial,
    )


def plan_again(environment: Environment, resources: Resources, config: SweepConfig) -> Resources:
    """The stored plan on today's machines: threads and shares stay, because curves depend on them; how many trials run
    side by side follows what is there."""
    if environment.cluster is None:
        machine = this_machine()
        if resources.follows_nodes is None and machine.gpus >= resources.gpus:
            return resources
        here = plan_resources(machine, config.trials, gpus_per_trial=config.gpus_per_trial)
        return replace(here, threads=resources.threads, concurrent=min(here.concurrent, resources.concurrent))
    as_given = resources.follows_nodes is False
    return plan_cluster_resources(
        environment.cluster.nodes(),
        config.trials,
        concurrent=resources.concurrent if as_given else None,
        cpus_per_trial=resources.cpus_per_trial,
        gpus_per_trial=resources.gpus_per_trial,
    )


def with_stored_data(environment: Environment, config: SweepConfig, trainer: type[Trainer]) -> SweepConfig:
    """The request with its data in the storage, once for all sweeps and nodes; fetched on a machine that has it not."""
    if environment.stored is None:
        return config
    storage = environment.stored.storage
    try:
        folder = trainer.data_folder(config.data)
        if folder is not None:
            return replace(config, data_stored=store_folder(storage, folder))
        if config.data_stored is None:
            return config
        there = folder_on_this_node(storage, config.data_stored)
        return replace(config, data=trainer.data_in(config.data, there))
    except OSError as error:
        raise SweepFailed(f"{storage.uri}: the data cannot be kept there or fetched: {error}") from error


def fetched_first(path: Path, storage: str | None) -> None:
    """Before a run is read: bring its folder up to what the storage knows, where there is one. A run that lies here and
    not in the storage that is given stays as it is: it moves in."""
    from sweeps.run.folder import read_sweep_yaml
    from sweeps.storage.remote_run import fetched, holds

    folder = RunFolder(path)
    if storage is not None and folder.exists and not holds(storage, folder.name):
        return
    uri = storage if storage is not None or not folder.exists else read_sweep_yaml(folder).get("storage")
    if isinstance(uri, str):
        fetched(uri, folder.name, path.parent)
