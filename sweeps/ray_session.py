"""Ray, started quietly on this machine alone, and gone again with everything it started."""

from __future__ import annotations

import importlib
import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sweeps.errors import SweepFailed
from sweeps.plan import Plan

LOOPBACK_ONLY = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # what Ray does by default on macOS and Windows
OBJECT_STORE_BYTES = 100 << 20
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths of the data stay right
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # Ray prints worker deaths into the table; the journal has them with their reason
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": str(10**9),
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_RESULT_BUFFER_LENGTH": "1",
    "TUNE_WARN_THRESHOLD_S": "60",
}


@contextmanager
def ray_session(plan: Plan, address: str | None = None, meanwhile: Callable[[], None] | None = None) -> Iterator[None]:
    """Ray for one sweep. One that is running in this process is used as it is, and left running.

    `meanwhile` runs in a thread while Ray's processes start. It may import what this thread does not: two threads that
    import one package at once can see it half done, so Ray Tune is imported before and the thread awaited after.
    """
    values = {
        **ENVIRONMENT,
        "OMP_NUM_THREADS": str(plan.threads),
        "PYTHONPATH": _python_path(),
        "TUNE_MAX_PENDING_TRIALS_PG": str(plan.concurrent),
    }
    if address is None:
        values |= LOOPBACK_ONLY
    with _environment(values):
        import ray

        if ray.is_initialized():
            yield
            return
        logging.getLogger("ray").setLevel(logging.ERROR)
        importlib.import_module("ray.tune")
        thread = threading.Thread(target=meanwhile, daemon=True)
        thread.start()
        try:
            if address is None:
                context = ray.init(
                    address="local",
                    num_cpus=max(plan.cores, plan.concurrent),
                    num_gpus=plan.gpus,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    object_store_memory=OBJECT_STORE_BYTES,
                )
            else:
                context = ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, RuntimeError, ValueError, ConnectionError) as error:
            raise SweepFailed(f"Ray could not start: {' '.join(str(error).split())[:300]}") from error
        thread.join()
        try:
            yield
        finally:
            ray.shutdown()
        if address is None:
            shutil.rmtree(context.address_info["session_dir"], ignore_errors=True)  # logs are kept of what went wrong


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a while; Ray's processes inherit them."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _python_path() -> str:
    """Where workers find this package and a trainer that lies in the current folder."""
    root = str(Path(__file__).resolve().parent.parent)
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return os.pathsep.join(dict.fromkeys(path for path in (root, str(Path.cwd()), *known) if path))
