"""Run folders: names that stay inside, the newest run, and who holds one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.common.errors import RequestError
from sweeps.run.folder import WRITTEN_BY_A_SWEEP, check_name, find_run, new_run, runs, write_sweep_yaml
from tests import ROOT


@pytest.mark.parametrize("name", ["", "..", "../a", "a/b", "/etc", "a\\b", ".hidden", "a..b", "a\nb", "a" * 101, "é"])
def test_a_name_cannot_leave_its_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="--name"):
        check_name(name)
    with pytest.raises(RequestError, match="--name"):
        find_run(tmp_path, name)


def test_a_run_is_found_by_name_and_the_newest_without(tmp_path: Path) -> None:
    for age, name in ((30, "b"), (20, "a"), (10, "c")):
        folder = new_run(tmp_path, name)
        write_sweep_yaml(folder, dict.fromkeys(WRITTEN_BY_A_SWEEP, name))
        os.utime(folder.sweep_yaml, (1_000_000 - age, 1_000_000 - age))
    assert [run.name for run in runs(tmp_path)] == ["b", "a", "c"]
    assert find_run(tmp_path).name == "c"
    assert find_run(tmp_path, "a").name == "a"
    with pytest.raises(RequestError, match="there is no such run"):
        find_run(tmp_path, "d")
    with pytest.raises(RequestError, match="no run here yet"):
        find_run(tmp_path / "empty")


def test_what_other_tools_put_next_to_runs_is_passed_over_and_named_once(tmp_path: Path) -> None:
    write_sweep_yaml(new_run(tmp_path, "mine"), dict.fromkeys(WRITTEN_BY_A_SWEEP, 1))
    contents = {
        "wandb": b"program: train.py\nmethod: bayes\nparameters:\n  lr: {min: 0.1, max: 0.2}\n",
        "empty": b"",
        "list": b"- a\n- b\n",
        "bytes": bytes(range(128, 256)),
    }
    for name, content in contents.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "sweep.yaml").write_bytes(content)
    (tmp_path / "Nov27_host").mkdir()
    said: list[str] = []
    assert [run.name for run in runs(tmp_path, said.append)] == ["mine"]
    assert find_run(tmp_path).name == "mine"
    (line,) = said
    assert all(name in line for name in contents)


def test_a_run_is_never_started_over_another(tmp_path: Path) -> None:
    write_sweep_yaml(new_run(tmp_path, "a"), {"name": "a"})
    with pytest.raises(RequestError, match="holds a run already"):
        new_run(tmp_path, "a")


def test_an_output_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(RequestError, match="cannot be written"):
        new_run(tmp_path / "runs", "a")


def test_a_second_process_is_told_who_holds_the_run(tmp_path: Path) -> None:
    folder = new_run(tmp_path, "a")
    code = (
        "import sys; from pathlib import Path; from sweeps.run.folder import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).locked():\n    print('held', flush=True); sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(folder.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RequestError, match=f"in use by process {holder.pid} on .* since 20"), folder.locked():
            pass
    finally:
        holder.kill()
        holder.communicate()
    with folder.locked():
        assert (folder.path / ".owner.json").exists()
    assert not (folder.path / ".owner.json").exists()


def test_what_other_programs_keep_next_to_runs_is_passed_over_and_named_once(tmp_path: Path) -> None:
    contents = {
        "wandb": b"program: train.py\nmethod: bayes\nparameters: {lr: {min: 0.1, max: 0.2}}\n",
        "empty": b"",
        "list": b"- a\n",
        "bytes": bytes(range(256)),
        "deep": b"a: " + b"[" * 20_000,
        "laughs": b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    }
    for name, content in contents.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "sweep.yaml").write_bytes(content)
    (tmp_path / "folder" / "sweep.yaml").mkdir(parents=True)
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "sweep.yaml")  # reading it would wait for ever
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "note.txt").touch()
    ours = tmp_path / "ours"
    shutil.copytree(ROOT / "tests/fixtures/version_0_1/searched", ours)
    os.utime(ours / "sweep.yaml", (1, 1))  # the oldest
    said: list[str] = []
    assert [folder.name for folder in runs(tmp_path, said.append)] == ["ours"]
    (line,) = said
    assert "passed over bytes, deep, empty, folder, laughs, ...: no sweep of this program" in line
    assert find_run(tmp_path).name == "ours"
