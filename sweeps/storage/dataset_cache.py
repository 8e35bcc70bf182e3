"""The data of a sweep on every node: written to the storage once, and fetched once by each node that needs it.

A folder's address in the storage is the hash of its content: two sweeps on the same data share it, and a node that has
it already fetches nothing.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sweeps.common.errors import RequestError
from sweeps.storage.object_store import Storage
from sweeps.trainer import Trainer

FOLDER = "_data"  # no run's name begins like that
CONNECTIONS = 8


def store_folder(storage: Storage, folder: Path) -> str:
    """Write what is not there yet, and return the name to fetch it by; OSError where the storage does not take it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        entries = list(pool.map(_entry, files))
        manifest = {path.relative_to(folder).as_posix(): entry for path, entry in zip(files, entries, strict=True)}
        content = json.dumps(manifest, sort_keys=True).encode()
        name = hashlib.blake2b(content, digest_size=16).hexdigest()
        have = set(storage.names(f"{FOLDER}/{name}"))
        if f"{FOLDER}/{name}/manifest.json" in have:
            return name
        objects = {f"{FOLDER}/{name}/files/{relative}": folder / relative for relative in manifest}
        list(pool.map(lambda item: storage.put_file(*item), objects.items()))
    storage.put(f"{FOLDER}/{name}/manifest.json", content)  # last: it says that all the rest is there
    return name


def folder_on_this_node(storage: Storage, name: str) -> Path:
    """The folder of that name, fetched if this node has it not; RequestError where the storage has it not either.

    Workers that ask at the same moment wait for the one that fetches.
    """
    from filelock import FileLock

    room = _room()
    target = room / name
    if target.is_dir():
        return target
    with FileLock(room / f"{name}.lock"):
        if target.is_dir():
            return target
        partial = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=room))
        try:
            _fetch(storage, name, partial)
            partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return target


def _fetch(storage: Storage, name: str, target: Path) -> None:
    try:
        manifest = json.loads(storage.get(f"{FOLDER}/{name}/manifest.json"))
    except FileNotFoundError as error:
        raise RequestError(f"{storage.uri}: holds no data {name}; the run's own data has gone") from error
    needed = sum(entry["bytes"] for entry in manifest.values())
    if shutil.disk_usage(target).free < needed:
        what = f"{needed / 1e6:.0f} MB of data do not fit on this node's disk"
        raise OSError(errno.ENOSPC, what, str(target.parent))

    def fetch(relative: str) -> None:
        path = target / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        storage.get_file(f"{FOLDER}/{name}/files/{relative}", path)
        if _entry(path) != manifest[relative]:
            raise OSError(errno.EIO, "is damaged", f"{storage.uri}/{FOLDER}/{name}/files/{relative}")

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(fetch, manifest))


def _entry(path: Path) -> dict[str, object]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
    return {"bytes": path.stat().st_size, "blake2b": digest.hexdigest()}


def _room() -> Path:
    """A folder of this user's alone: names in a shared temporary folder can be taken by any user."""
    owner = os.getuid() if hasattr(os, "getuid") else 0
    room = Path(tempfile.gettempdir()) / f"xtts-sweep-{owner}" / "data"
    room.mkdir(parents=True, exist_ok=True, mode=0o700)
    if hasattr(os, "getuid") and room.parent.stat().st_uid != owner:
        raise OSError(f"{room.parent}: belongs to another user")
    room.parent.chmod(0o700)
    return room


def data_on_this_node(data: str | Mapping[str, str], trainer: type[Trainer]) -> str:
    """The trainer's data as it stands on this node, fetched if that is needed."""
    if isinstance(data, str):
        return data
    folder = folder_on_this_node(Storage(data["storage"]), data["name"])
    return trainer.data_in(data["data"], folder)
