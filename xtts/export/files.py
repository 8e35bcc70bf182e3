"""Reading a template and writing an export: size limits, one-line errors, and never half a file."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

from xtts.export.errors import ExportError


def read_template(path: Path, limit: int) -> str:
    """A text file unchanged, line endings included. Raises ExportError for what is missing, larger than `limit`
    bytes, or not UTF-8."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ExportError(f"the template {path} is not a file; give the config file itself")
        with path.open("rb") as file:
            raw = file.read(limit + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ExportError(f"cannot read the template {path}: {reason}") from error
    if len(raw) > limit:
        raise ExportError(f"the template {path} is larger than {limit // 1024} KiB; is it really a config?")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ExportError(f"the template {path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error


def write_export(text: str, path: Path, force: bool) -> None:
    """Write the whole text or nothing, as UTF-8. A link is followed; a replaced file keeps its mode.

    Raises ExportError where the file exists and `force` is False, or where it cannot be written; then an old file is
    as it was.
    """
    try:
        target = path.resolve()
        if target.is_dir():
            raise ExportError(f"{path} is a folder; give the file to write with -o")
        old = target.stat() if target.exists() else None
        if old is not None and not force:
            raise ExportError(f"{path} exists; choose another name or pass --force to replace it")
        if not target.parent.is_dir():
            raise ExportError(f"cannot write {path}: there is no folder {target.parent}; make it first")
        content = text.encode("utf-8")
        temporary = target.with_name(f".export-{secrets.token_hex(6)}.tmp")
        try:
            _write_new(temporary, content)
            if old is not None:
                temporary.chmod(stat.S_IMODE(old.st_mode))
            temporary.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
    except UnicodeEncodeError as error:
        raise ExportError(f"cannot write {path}: character {error.start} of the text is not Unicode") from error
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ExportError(f"cannot write {path}: {reason}; nothing was changed") from error


def _write_new(path: Path, content: bytes) -> None:
    # os.open, not tempfile: the umask then gives a new export the mode of any other new file.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
