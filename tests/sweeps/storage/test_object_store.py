"""A storage keeps whole objects, waits for a server that fails, and takes no keys in its address."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps.common.errors import RequestError
from sweeps.storage.checkpoint import Checkpoint
from sweeps.storage.checkpoint_store import LocalCheckpointStore, RemoteCheckpointStore
from sweeps.storage.object_store import Storage, StorageUnreachable, opened, storage_uri
from tests.sweeps.object_store import KEYS, ObjectStore, object_store


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectStore]:
    with object_store() as store, pytest.MonkeyPatch.context() as patch:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        yield store


@pytest.fixture(params=["folder", "bucket"])
def storage(request: pytest.FixtureRequest, server: ObjectStore, tmp_path: Path) -> Storage:
    return opened(storage_uri(str(tmp_path / "shared")) if request.param == "folder" else server.uri(tmp_path.name))


def test_what_is_written_is_read_listed_copied_and_removed(storage: Storage, tmp_path: Path) -> None:
    storage.put("a/b/one", b"1")
    storage.put("a/two", b"2")
    storage.put("a/two", b"22")
    (tmp_path / "file").write_bytes(b"3" * 100_000)
    storage.put_file("a/b/three", tmp_path / "file")
    storage.put_file("a/b/empty", Path("/dev/null"))
    assert storage.names("a") == ["a/b/empty", "a/b/one", "a/b/three", "a/two"]
    assert storage.names("nothing") == []
    assert storage.get("a/two") == b"22"
    storage.copy("a/two", "a/c")
    assert storage.get("a/c") == b"22"
    storage.get_file("a/b/three", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"3" * 100_000
    storage.delete("a/c")
    storage.delete("a/c")
    assert "a/c" not in storage.names("a")
    for missing in (lambda: storage.get("x"), lambda: storage.copy("x", "y")):
        with pytest.raises(FileNotFoundError):
            missing()


def test_a_server_that_fails_for_a_while_is_waited_for_and_one_that_stays_away_is_given_up(
    server: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeps.storage.object_store.QUIET_SECONDS", 0.0)
    notes: list[str] = []
    storage = Storage(server.uri("waits"), patience=30.0, log=notes.append)
    server.fails = lambda method, path: not notes  # S3's own client tries several times before we hear of it
    storage.put("one", b"1")
    assert storage.get("one") == b"1"
    assert len(notes) == 1
    assert "does not answer" in notes[0]
    server.fails = lambda method, path: True
    try:
        with pytest.raises(StorageUnreachable):
            Storage(server.uri("waits"), patience=0.5).put("two", b"2")
    finally:
        server.fails = lambda method, path: False
    assert storage.names("") == ["one"]


@pytest.mark.parametrize(
    ("given", "log"),
    [
        ("s3://KEY:SECRET@bucket/x", "holds a key"),
        ("s3://bucket/x?access_key=A&secret_key=B", "holds a key"),
        ("ftp://host/x", "expected a folder, s3://"),
        ("s3://", "names no bucket"),
    ],
)
def test_an_address_that_cannot_be_or_holds_a_key_is_refused_without_repeating_the_key(given: str, log: str) -> None:
    with pytest.raises(RequestError, match=log) as refused:
        storage_uri(given)
    assert "SECRET" not in str(refused.value)


def test_a_folder_that_cannot_be_written_and_a_bucket_that_is_not_there_are_refused(
    tmp_path: Path, server: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("sweeps.storage.object_store.PROBE_SECONDS", 0.3)
    with pytest.raises(RequestError, match="cannot be written and read"):
        opened(storage_uri(str(tmp_path / "file")))
    with pytest.raises(RequestError, match="--storage s3://nobucket"):
        opened(server.uri().replace("bucket", "nobucket", 1))


def test_both_shelves_keep_the_last_and_the_best_and_forget_what_they_are_told_to(
    storage: Storage, tmp_path: Path
) -> None:
    for checkpoint_store in (
        RemoteCheckpointStore(storage, "run/checkpoints"),
        LocalCheckpointStore(tmp_path / "checkpoints"),
    ):
        checkpoint_store.save("t0001", Checkpoint({"epoch": 1}, {"a": 1}), best=True)
        checkpoint_store.save("t0001", Checkpoint({"epoch": 2}, {"a": 2}), best=False)
        checkpoint_store.save("t0002", Checkpoint({"epoch": 1}, {}), best=True)
        assert checkpoint_store.load_last("t0001") == Checkpoint({"epoch": 2}, {"a": 2})
        assert checkpoint_store.load_best("t0001").state == {"epoch": 1}
        checkpoint_store.make_last_best("t0001")
        assert checkpoint_store.load_best("t0001").state == {"epoch": 2}
        assert checkpoint_store.trials() == {"t0001", "t0002"}
        checkpoint_store.drop_last("t0001")
        checkpoint_store.drop_last("t0001")
        with pytest.raises(FileNotFoundError):
            checkpoint_store.load_last("t0001")
        assert checkpoint_store.has_best("t0001")
        checkpoint_store.forget_half_written()
        assert checkpoint_store.has_best("t0001")
        checkpoint_store.drop("t0001")
        assert not checkpoint_store.has_best("t0001")
        assert checkpoint_store.trials() == {"t0002"}


def test_what_a_killed_worker_left_half_written_goes_whatever_becomes_of_its_trial(tmp_path: Path) -> None:
    checkpoint_store = LocalCheckpointStore(tmp_path)
    checkpoint_store.save("t0001", Checkpoint({"epoch": 1}, {}), best=True)
    left = tmp_path / "t0001" / ".best.safetensors.4664.tmp"
    left.write_bytes(b"half")
    checkpoint_store.forget_half_written()
    assert not left.exists()
    assert checkpoint_store.load_best("t0001").state == {"epoch": 1}
