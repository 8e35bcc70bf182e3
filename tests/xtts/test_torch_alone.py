"""The training core works on a machine that has torch and none of our other packages: a GPU machine without network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import gpu
from benchmarks.gpu import SECTIONS, pack, table
from tests import ROOT
from tests.xtts.device_double import DeviceDouble
from tests.xtts.made_speech import write_ljspeech
from xtts.training import training as training_module

ABSENT = (
    "annotated_types",
    "espeakng_loader",
    "google.protobuf",
    "librosa",
    "optuna",
    "pydantic",
    "ray",
    "rich",
    "ruamel",
    "simpleeval",
    "soundfile",
    "soxr",
    "tensorboardX",
    "tomlkit",
    "wandb",
    "yaml",
)
BLOCKED = f"import sys\nsys.modules.update(dict.fromkeys({ABSENT!r}))\n"


def without_packages(folder: Path) -> dict[str, str]:
    """An environment in which every Python process behaves as if the packages were not installed."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(BLOCKED, "utf-8")
    return {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}


def test_the_training_core_imports_with_torch_alone(tmp_path):
    core = ("training.training", "evaluation.evaluation", "model.xtts", "alignment.aligned", "trainer")
    code = "\n".join([*(f"import xtts.{name}" for name in core), "import pydantic"])
    done = subprocess.run(
        [sys.executable, "-c", code], env=without_packages(tmp_path), capture_output=True, text=True, check=False
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last == "ModuleNotFoundError: import of pydantic halted; None in sys.modules", done.stderr


@pytest.mark.slow
def test_the_gpu_benchmark_runs_with_torch_alone(tmp_path):
    write_ljspeech(tmp_path / "speech", 24)
    pack(str(tmp_path / "speech"), tmp_path / "carried")
    command = [sys.executable, ROOT / "benchmarks" / "gpu.py", "--small", "--prepared", tmp_path / "carried"]
    sections = [name for name in SECTIONS if name != "levers"]  # torch.compile takes a minute
    done = subprocess.run(
        [*map(str, command), "--seconds", "270", "--sections", ",".join(sections), "-o", str(tmp_path / "gpu.json")],
        env={**without_packages(tmp_path / "site"), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "gpu.json").read_text("utf-8"))
    assert set(found) == {"about", *sections}
    assert found["presets"]["tiny"]["falls"]
    assert found["determinism"]["tiny"]["equal"]
    assert 0.0 < found["speed"]["models"]["tiny"]["goodput"] < 1.5
    assert "| tiny | 1.2 M |" in table(found)
    assert table(found) in done.stdout


@pytest.mark.slow
def test_the_gpu_branches_of_the_benchmark_keep_to_the_device(learnable, monkeypatch):
    """What the run above leaves out; graphs, compilers and profilers of a GPU are not imitated."""
    monkeypatch.setattr(gpu, "GPU", True)
    monkeypatch.setattr(gpu, "kernel_share", lambda training: 0.5)
    monkeypatch.setattr(gpu, "_FRAME_BUDGETS", {"tiny": 500})
    training_module._evaluator.cache_clear()
    bench = gpu.Bench(learnable.prepared.data, small=True, seconds=100.0)
    monkeypatch.setattr(
        gpu, "_learned_on_cpu", lambda bench, model, epochs, seeds: [{"objective": 1.0, "text_use": 0.0}] * seeds
    )
    with DeviceDouble() as double:
        found = {name: SECTIONS[name](bench) for name in ("presets", "precision", "determinism", "speed", "learning")}
        for lever in (gpu._as_it_is, gpu._on_device):
            assert lever(bench.training("tiny"), 2) > 0.0
    training_module._evaluator.cache_clear()
    assert double.autocasts > 0
    assert found["presets"]["tiny"]["memory_frames"] == 500
    assert found["determinism"]["tiny"]["equal"]
    assert "standard_error" in found["learning"]["tiny"]["objective"]
    about = {"device": "double", "torch": "", "cuda": None, "python": "", "date": ""}
    assert "kernels" in table({"about": about, **found})
