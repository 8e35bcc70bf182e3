"""The wheel works: built, installed outside the checkout, and used from a folder that knows nothing of it."""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import filelock
import pytest
import torch

from tests import ROOT
from tests.xtts.made_speech import write_ljspeech
from xtts_sweep.main import commands

pytestmark = pytest.mark.slow

SETUP = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
PACKAGES = sorted(
    folder.name
    for pattern in SETUP["packages"]["find"]["include"]
    for folder in ROOT.glob(f"{pattern}/")
    if folder.suffix != ".egg-info"  # there once the checkout is installed
)


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, and a folder to run its command in."""

    wheel: Path
    environment: Path
    folder: Path

    def run(self, *command: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment; nothing points to the checkout."""
        program, *arguments = map(str, command)
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL"))}
        done = subprocess.run(
            [str(self.environment / "bin" / program), *arguments],
            capture_output=True,
            text=True,
            timeout=200,
            cwd=self.folder,
            env={**clean, "XTTS_SWEEP_CACHE": str(self.folder / "cache")},
            check=False,
        )
        assert done.returncode == code, f"{command}: {done.stdout}{done.stderr}"
        return done


def _run(command: Sequence[object], cwd: Path) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Sources to sdist to wheel to an environment that shares only the dependencies with this one."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    _run([sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", source], ROOT)
    (wheel,) = (folder / "dist").glob("*.whl")
    environment = folder / "environment"
    venv.create(environment, with_pip=False, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", environment / "bin" / "python"]
    _run([*pip, "install", "--quiet", "--no-deps", "--no-index", wheel], folder)
    # A path in a .pth file is searched last, and .pth files in that folder, the editable install's too, are not read.
    (packages,) = environment.glob("lib/python*/site-packages")
    shared = dict.fromkeys([str(Path(torch.__file__).parents[1]), *site.getsitepackages()])
    (packages / "dependencies.pth").write_text("\n".join(shared) + "\n", "utf-8")
    # Installed by pip, dependencies are in the same folder as the package.
    (packages / "filelock").symlink_to(Path(filelock.__file__).parent)
    (folder / "elsewhere").mkdir()
    write_ljspeech(folder / "elsewhere" / "speech")
    return Installed(wheel, environment, folder / "elsewhere")


def test_the_wheel_holds_every_module_and_data_file(installed: Installed) -> None:
    expected = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(installed.wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert expected - held == set(), "pyproject.toml names in package-data which files are installed"
    assert {name.partition("/")[0] for name in held} == set(PACKAGES)
    assert {f"{package}/py.typed" for package in ("sweeps", "xtts", "xtts_sweep")} <= held


def test_the_code_comes_from_the_wheel(installed: Installed) -> None:
    code = (
        "import search_spaces, sweeps, xtts, xtts_sweep; print(search_spaces.__file__, sweeps.__file__, xtts.__file__)"
    )
    for path in installed.run("python", "-c", code).stdout.split():
        assert Path(path).is_relative_to(installed.environment)


def test_the_command_lists_its_commands_and_spaces(installed: Installed) -> None:
    shown = installed.run("xtts-sweep", "--help").stdout
    for name in commands():
        assert name in shown
    assert "run_sweep.py" not in shown
    listed = installed.run("xtts-sweep", "spaces").stdout
    for path in (ROOT / "search_spaces").glob("*.yaml"):
        assert path.stem == "limits" or path.stem in listed


@pytest.mark.skipif("trainers" not in commands(), reason="the command is not there yet")
def test_the_command_lists_the_trainers(installed: Installed) -> None:
    listed = installed.run("xtts-sweep", "trainers").stdout
    for path in (ROOT / "trainers").glob("*.yaml"):
        assert path.stem in listed


def test_the_command_checks_speech_and_plans_a_sweep_on_it(installed: Installed) -> None:
    health = json.loads(installed.run("xtts-sweep", "check", "speech", "--json").stdout)
    assert health["clips"] == 20
    planned = installed.run("xtts-sweep", "--data", "speech", "--space", "safe_weights", "--dry-run")
    assert "dry run: nothing was started" in planned.stdout
    assert not list(installed.folder.glob("runs/*"))


def test_the_command_runs_a_sweep(installed: Installed) -> None:
    small = ("--trials", 1, "--epochs", 1, "--confirm-seeds", 0, "--concurrent", 1, "--wandb", "off", "--name", "real")
    installed.run("xtts-sweep", "--data", "speech", *small)
    run = installed.folder / "runs" / "real"
    assert "finished" in (run / "trials.csv").read_text("utf-8")
    installed.run("xtts-sweep", "export", "--to", "native", "-o", "best.yaml", "--unproven")
    shutil.rmtree(run)


def test_an_error_names_the_command_that_was_typed(installed: Installed) -> None:
    refused = installed.run("xtts-sweep", "--space", "safe_weigths", code=2)
    assert refused.stderr.startswith("xtts-sweep: ")
    nothing = installed.run("xtts-sweep", "report", code=2)
    assert nothing.stderr.startswith("xtts-sweep")
    assert "run_sweep.py" not in refused.stderr + nothing.stderr
