"""Files that hide a module are named before they break a worker."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.backend.session import _folder_for_ray, python_path
from sweeps.common.errors import RequestError
from sweeps.common.shadowing import hiding_file

ROOT = Path(__file__).resolve().parents[3]


def test_a_file_or_package_with_the_name_of_a_module_is_found(tmp_path: Path) -> None:
    (tmp_path / "notes.py").touch()
    (tmp_path / "queue").mkdir()  # a folder alone hides nothing
    assert hiding_file(str(tmp_path)) is None
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch/__init__.py").touch()
    assert hiding_file(str(tmp_path)) == f"{tmp_path}/torch"
    (tmp_path / "queue.py").touch()
    assert hiding_file(str(tmp_path)) == f"{tmp_path}/queue.py"


def test_workers_do_not_import_from_the_current_folder_without_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    (tmp_path / "queue.py").write_text("raise SystemExit")
    assert python_path() == str(ROOT)
    (tmp_path / "somebodys_own_trainer.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "somebodys_own_trainer", raising=False)
    __import__("somebodys_own_trainer")
    with pytest.raises(RequestError, match=r"queue\.py: hides a module"):
        python_path()
    (tmp_path / "queue.py").unlink()
    assert str(tmp_path) in python_path()
    monkeypatch.delitem(sys.modules, "somebodys_own_trainer")


@pytest.mark.parametrize("folder", ["none", "x" * 60])
def test_a_temporary_folder_that_ray_cannot_use_is_named_with_its_variable(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", f"/tmp/{folder}" if folder == "none" else str(tmp_path / folder))
    with pytest.raises(RequestError, match="RAY_TMPDIR"):
        _folder_for_ray()


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_output_that_the_terminal_cannot_show_is_escaped(encoding: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "run_sweep.py"), "check", str(tmp_path / "گفتار")],
        capture_output=True,
        env={"PYTHONIOENCODING": encoding, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert rb"\u06af" in done.stderr


@pytest.mark.parametrize("home", [None, "/proc/nowhere"])
def test_without_a_home_everything_that_wants_one_gets_one(home: str | None) -> None:
    code = (
        "from xtts.cache_folder import cache_folder, use_writable_home;"
        "import os; os.setuid(12345) if os.getuid() == 0 else None; use_writable_home();"
        "print(cache_folder(), os.environ.get('HOME'))"
    )
    given = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)} | ({} if home is None else {"HOME": home})
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=given, check=True)
    folder, found = done.stdout.split()
    assert folder.startswith(found)
    if os.getuid() == 0 or home is not None:
        assert os.access(found, os.R_OK)
        assert "xtts-sweep-home" in found


@pytest.mark.parametrize("module", ["random", "yaml"])
def test_a_module_that_a_folder_in_pythonpath_hides_is_named_instead_of_a_traceback(
    module: str, tmp_path: Path
) -> None:
    (tmp_path / f"{module}.py").write_text("mine = 1")
    done = subprocess.run(
        [sys.executable, str(ROOT / "run_sweep.py"), "spaces"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"run_sweep.py: {tmp_path}/{module}.py: hides a module that Python or a dependency has under this name: "
        "rename it, or run elsewhere"
    ]


@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&- >&- 2>&-"])
def test_a_program_that_is_started_without_standard_streams_runs(closed: str, tmp_path: Path) -> None:
    command = f"'{sys.executable}' '{ROOT / 'run_sweep.py'}' check '{tmp_path / 'no speech'}' {closed}"
    assert subprocess.run(["sh", "-c", command], check=False).returncode == 2
    code = "from xtts_sweep.start import open_missing_streams; open_missing_streams(); import sys, os; print(0)"
    code += "; sys.exit(os.open('/', 0) < 3 or None in (sys.stdin, sys.stdout, sys.stderr))"
    assert subprocess.run(["sh", "-c", f"'{sys.executable}' -c \"{code}\" {closed}"], cwd=ROOT).returncode == 0
