"""While a session runs its storage hears each line of the journal, and gets the files for people in the end."""

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
    """What hears each line of the journal: the storage, brought up to this machine's folder first.

    After an interruption nobody is kept waiting for a storage that does not answer: the run is whole in its folder.
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
