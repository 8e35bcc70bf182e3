"""Copies a run to its storage: each line of the journal while it runs, the files for people at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sweeps.common.errors import SweepFailed
from sweeps.run.folder import RunFolder
from sweeps.storage.remote_journal import RemoteJournal
from sweeps.storage.remote_run import RemoteRun

INTERRUPTED_FLUSH_SECONDS = 60.0


@contextmanager
def mirrored(
    stored: RemoteRun | None, folder: RunFolder, interrupted: Callable[[], bool], log: Callable[[str], None]
) -> Iterator[Callable[[bytes], None]]:
    """A function that takes each line of the journal to the storage, which first gets what this machine's folder holds.

    After an interruption a storage that does not answer is not waited for: the run is whole in its folder.
    """
    if stored is None:
        yield lambda line: None
        return
    stored.put_settings(folder)
    journal = stored.begin(folder)
    try:
        yield journal.add
        _close(stored, journal, folder, interrupted(), log)
    finally:
        journal.close()


def _close(
    stored: RemoteRun, journal: RemoteJournal, folder: RunFolder, interrupted: bool, log: Callable[[str], None]
) -> None:
    try:
        journal.flush(INTERRUPTED_FLUSH_SECONDS if interrupted else None)
        if not interrupted:
            stored.put_files(folder)
    except SweepFailed as error:
        log(str(error))
