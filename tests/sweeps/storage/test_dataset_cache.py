"""Data goes to the storage once and to each node once, and arrives as it was."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from sweeps.common.errors import RequestError
from sweeps.storage.dataset_cache import FOLDER, data_on_this_node, folder_on_this_node, store_folder
from sweeps.storage.object_store import Storage, storage_uri
from sweeps.trainer import Trainer
from tests.toy_trainer import ToyTrainer


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "node"))
    (tmp_path / "node").mkdir()
    return Storage(storage_uri(str(tmp_path / "shared")), patience=0.3)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "wavs").mkdir(parents=True)
    (folder / "metadata.csv").write_text("a|b")
    (folder / "wavs" / "a.wav").write_bytes(b"sound")
    (folder / "empty").touch()
    return folder


def test_a_folder_arrives_as_it_was_and_is_fetched_once_by_workers_that_ask_together(
    storage: Storage, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = store_folder(storage, data)
    fetched: list[str] = []
    get_file = Storage.get_file
    monkeypatch.setattr(
        Storage, "get_file", lambda self, name, path: (fetched.append(name), get_file(self, name, path))[1]
    )
    found: list[Path] = []
    workers = [threading.Thread(target=lambda: found.append(folder_on_this_node(storage, name))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(set(found)) == 1
    assert len(fetched) == 3
    assert (found[0] / "wavs" / "a.wav").read_bytes() == b"sound"
    assert (found[0] / "empty").read_bytes() == b""
    assert found[0].parent.parent.stat().st_mode & 0o077 == 0, "names in a shared temporary folder can be guessed"
    handle = {"storage": storage.uri, "name": name, "data": str(data)}
    assert data_on_this_node(handle, ToyTrainer) == str(found[0])
    assert data_on_this_node("as it is", ToyTrainer) == "as it is"


def test_the_same_content_is_sent_once_and_another_content_is_another_folder(storage: Storage, data: Path) -> None:
    name = store_folder(storage, data)
    before = list(storage.found(FOLDER))
    assert store_folder(storage, data) == name
    assert list(storage.found(FOLDER)) == before
    (data / "wavs" / "a.wav").write_bytes(b"noise")
    assert store_folder(storage, data) != name


def test_a_damaged_or_missing_object_is_named_and_nothing_half_fetched_stays(storage: Storage, data: Path) -> None:
    name = store_folder(storage, data)
    storage.put(f"{FOLDER}/{name}/files/wavs/a.wav", b"other")
    with pytest.raises(OSError, match=r"is damaged: .*wavs/a\.wav"):
        folder_on_this_node(storage, name)
    storage.put(f"{FOLDER}/{name}/files/wavs/a.wav", b"sound")
    assert folder_on_this_node(storage, name).is_dir()
    with pytest.raises(RequestError, match="holds no data"):
        folder_on_this_node(storage, "0" * 32)


def test_a_handle_that_is_no_folder_is_handed_on_as_it_is(data: Path) -> None:
    assert Trainer.data_folder(str(data)) == data
    assert Trainer.data_folder("") is None
    assert Trainer.data_folder("a database's name") is None
