"""The ten minutes of docs/external-trainers.md, typed as they stand."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests import ROOT
from xtts_sweep.main import main

PAGE = (ROOT / "docs" / "external-trainers.md").read_text(encoding="utf-8")


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    script = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert script is not None
    (tmp_path / "train.py").write_text(script[1], encoding="utf-8")
    return Path(shutil.copy(ROOT / "trainers" / "own_script.yaml", tmp_path / "my.yaml"))


def test_the_preflight_prints_the_pages_table(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = [line.strip() for line in PAGE[PAGE.index("check --trainer my.yaml") :].split("\n\n")[1].splitlines()]
    assert main(["check", "--trainer", str(spec)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[:-2] == shown[:-2]  # what follows is time and disk


@pytest.mark.slow
def test_the_sweep_ends_with_the_values_and_the_command(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--output", str(tmp_path / "runs")]
    size = ["--trials", "3", "--epochs", "2", "--confirm-seeds", "1", "--concurrent", "1"]
    assert main(["--trainer", str(spec), "--name", "mine", "--wandb", "off", *size, *where]) == 0
    run = tmp_path / "runs" / "mine"
    assert (run / "report.html").is_file()
    assert "mel_weight:" in (run / "best_config.yaml").read_text()
    assert f"{tmp_path / 'train.py'} --mel-weight" in (run / "best" / "command.txt").read_text()
    file = tmp_path / "best.yaml"
    assert main(["export", "mine", "--to", "template", "--unproven", "-o", str(file), *where]) == 2
    assert "was swept without a config file" in capsys.readouterr().err
    assert not file.exists()
