"""Ray, started quietly on this machine alone, and gone again with everything it started."""

from __future__ import annotations

import atexit
import importlib
import logging
import os
import shutil
import site
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from sweeps.backend.ray_patches import dead_servers, while_ray_ends, while_ray_starts
from sweeps.backend.reaper import end_processes_in, guarded
from sweeps.common.errors import RequestError, SweepFailed, one_line
from sweeps.common.program import program
from sweeps.common.shadowing import complaint, hiding_file
from sweeps.run.resources import Resources

LOOPBACK_ONLY = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # what Ray does by default on macOS and Windows
OBJECT_STORE_BYTES = 100 << 20
SERVERLESS_SECONDS = 8.0
INTERRUPTED = 130
LONGEST_TEMPORARY = 28  # of a socket's 107 bytes, besides the names that Ray adds
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths of the data stay right
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # Ray prints worker deaths into the table; the journal has them with their reason
    "RAY_prestart_worker_first_driver": "0",  # Tune's environment for trials fits no worker that is there before them
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": str(10**9),
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_RESULT_BUFFER_LENGTH": "1",
    "TUNE_WARN_THRESHOLD_S": "60",
}


@contextmanager
def ray_session(
    resources: Resources,
    interruptible: Callable[[], AbstractContextManager[None]] = nullcontext,
    leave: Callable[[], bool] = lambda: False,
) -> Iterator[None]:
    """Ray for one sweep. One that is running in this process, such as a cluster that it has joined, is used as it is.

    Where a busy machine is too slow for it, Ray is started again. While it starts, `interruptible()` lets
    a signal raise KeyboardInterrupt.

    Where `leave()` is true at the end, Ray is killed instead of shut down, and this process can start no other.
    """
    values = {
        **ENVIRONMENT,
        **LOOPBACK_ONLY,
        "OMP_NUM_THREADS": str(resources.threads),
        "PYTHONPATH": python_path(),
        "XTTS_SWEEP_PYTHONPATH": os.environ.get("PYTHONPATH", ""),  # the user's own, for external trainers
        "TUNE_MAX_PENDING_TRIALS_PG": str(resources.concurrent),
    }
    with with_environment(values):
        import ray

        if ray.is_initialized():
            yield
            return
        logging.getLogger("ray").setLevel(logging.ERROR)
        logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)  # the journal has trials that failed
        with interruptible():
            importlib.import_module("ray.tune")
        folder = _folder_for_ray()
        with (
            guarded(folder),
            _started(
                interruptible,
                leave,
                address="local",
                num_cpus=max(resources.cores, resources.concurrent),
                num_gpus=resources.gpus,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                object_store_memory=OBJECT_STORE_BYTES,
                _temp_dir=str(folder),
            ),
        ):
            yield
        shutil.rmtree(folder, ignore_errors=True)  # logs are kept of what went wrong


@contextmanager
def _started(
    interruptible: Callable[[], AbstractContextManager[None]], leave: Callable[[], bool], **options: object
) -> Iterator[None]:
    """Ray for a while; SweepFailed where it cannot start. A start that took too long is tried again."""
    import ray

    folder = Path(str(options.get("_temp_dir", os.devnull)))
    for last in (False, False, True):
        try:
            with interruptible(), while_ray_starts():
                ray.init(**options)
            break
        except KeyboardInterrupt:
            end_processes_in(folder)
            atexit.register(_leave_at_once, INTERRUPTED)  # before Ray's own end, which would wait for what is gone
            raise
        except Exception as error:  # Ray raises plain ones, too
            end_processes_in(folder)  # Ray itself lets what it has started run until this process ends
            if last or "timed out" not in str(error):
                raise SweepFailed(f"Ray could not start: {one_line(error)}") from error
    ended = threading.Event()
    threading.Thread(target=_end_with_the_servers, args=(ended,), daemon=True).start()
    try:
        yield
    finally:
        if leave():
            ended.set()
            end_processes_in(folder)
            atexit.register(_leave_at_once, INTERRUPTED)
        elif dead_servers():  # Ray's own end would wait for them, here and when the process ends
            end_processes_in(folder)
            atexit.register(_leave_at_once, 1)
        else:
            with while_ray_ends():
                ray.shutdown()
        ended.set()


def _end_with_the_servers(ended: threading.Event) -> None:
    """End this process where one of Ray's calls waits in vain for dead servers; all that counts is on disk."""
    while not ended.wait(1.0):
        dead = dead_servers()
        if dead and not ended.wait(SERVERLESS_SECONDS):
            print(f"{program()}: {servers_died(dead)}", file=sys.stderr, flush=True)
            os._exit(1)


def _leave_at_once(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def servers_died(dead: Sequence[str]) -> str:
    """What it means for people."""
    return f"Ray's {dead[0]} has died; resume the run"


def _folder_for_ray() -> Path:
    """A new folder for Ray, whose sockets need short paths; RequestError names the variable that leads elsewhere."""
    variable = next((name for name in ("RAY_TMPDIR", "TMPDIR") if os.environ.get(name)), "TMPDIR")
    given = os.environ.get("RAY_TMPDIR") or ("/tmp" if Path("/tmp").is_dir() else None)
    if given is not None and len(given) > LONGEST_TEMPORARY:
        raise RequestError(
            f"RAY_TMPDIR={given}: has {len(given)} characters, and Ray's sockets leave room for {LONGEST_TEMPORARY}: "
            "set it to a shorter path"
        )
    try:
        return Path(tempfile.mkdtemp(prefix="ray-", dir=given))
    except OSError as error:
        where = given or "the temporary folder"
        raise RequestError(
            f"{where}: Ray's temporary folder cannot be made there: {error.strerror or error}: "
            f"set {variable} to a folder that can be written"
        ) from error


@contextmanager
def with_environment(values: Mapping[str, str]) -> Iterator[None]:
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


def python_path() -> str:
    """Where workers find this package, and the current folder where a trainer was imported from it.

    RequestError where a file in one of them would hide a module from them.
    """
    root = str(Path(__file__).resolve().parents[2])
    ours = (root, str(Path.cwd())) if _imported_from_here(Path(root)) else (root,)
    for folder in ours:
        hiding = None if is_installed(Path(folder)) else hiding_file(folder)
        if hiding is not None:
            raise RequestError(complaint(hiding))
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return os.pathsep.join(dict.fromkeys(path for path in (*ours, *known) if path))


def is_installed(path: Path) -> bool:
    """Whether a path is where pip installs packages, or in the standard library."""
    folders = [*site.getsitepackages(), site.getusersitepackages(), sysconfig.get_path("stdlib")]
    return any(path.resolve().is_relative_to(Path(folder).resolve()) for folder in folders)


def _imported_from_here(root: Path) -> bool:
    """Whether a module that this process has imported lies in the current folder, and not with this package."""
    here = Path.cwd()
    if here == root or here in root.parents or here in Path(sys.prefix).parents:
        return False
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    return any(file is not None and str(file).startswith(f"{here}{os.sep}") for file in files)
