"""What all published trainers need: a virtual environment, a clone of published sources, a few clips, and hashes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import wave
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TORCH = "torch==2.13.0"
CLIPS, SHORTEST, LONGEST = 12, 1.0, 1.7

DECODERS = """from types import SimpleNamespace
import soundfile, torch
class AudioDecoder:
    def __init__(self, source, *args, **options):
        data, rate = soundfile.read(source, dtype="float32", always_2d=True)
        self._data, self.metadata = torch.from_numpy(data.T.copy()), SimpleNamespace(sample_rate=rate)
    def get_all_samples(self):
        return SimpleNamespace(data=self._data, sample_rate=self.metadata.sample_rate)
"""


@dataclass(frozen=True)
class Published:
    """A published trainer that is ready to run."""

    name: str
    trainer: str
    """What --trainer names"""
    settings: Sequence[str]
    """What --set takes"""
    sources: Sequence[Path]
    """Folders that hold the trainer's own files, which nothing may change"""
    driver: Path = Path(sys.executable)
    """The Python that runs the sweep: for trainers in process the one that has their packages"""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Of the sweep"""

    def hashes(self) -> dict[str, str]:
        """Of every file of the trainer that is source text."""
        found = {}
        for folder in self.sources:
            for path in sorted(folder.rglob("*")):
                if path.suffix in (".py", ".pyx", ".yaml", ".json", ".txt"):
                    found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found


def virtual_environment(folder: Path, *steps: Sequence[str]) -> Path:
    """The Python of a virtual environment in which each step's packages were installed, in their order."""
    python, stamp = folder / "bin" / "python", folder / ".installed"
    if not stamp.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        constraint = folder / "constraint.txt"
        constraint.write_text(f"{TORCH}\n")
        for packages in steps:
            subprocess.run(
                [str(python), "-m", "pip", "install", "-q", "-c", str(constraint), *packages], check=True, cwd=ROOT
            )
        for library in folder.glob("lib/*/site-packages/torchaudio/lib/*.so"):
            library.rename(library.with_suffix(".cuda"))  # its wheel needs CUDA; without the files it is pure torch
        stamp.touch()
    return python


def packages(python: Path, *names: str) -> list[Path]:
    """The installed packages' folders."""
    return [path for name in names for path in python.parents[1].glob(f"lib/*/site-packages/{name}")]


def cloned(repository: str, work: Path) -> Path:
    """A clone of a repository on GitHub (owner/name), made once; network needed where there is none yet."""
    folder = work / "repositories" / repository.rpartition("/")[2]
    if not (folder / ".git").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["git", "clone", "-q", f"https://github.com/{repository}", str(folder)], check=True)
    return folder


def torchcodec_shim(work: Path) -> Path:
    """A torchcodec that reads WAV files with soundfile: its wheel needs CUDA and FFmpeg."""
    package = work / "shims" / "torchcodec"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text('__version__ = "0.17.0"\n')
    (package / "decoders.py").write_text(DECODERS)
    (package / "encoders.py").write_text("class AudioEncoder:\n    pass\n")
    return package.parent


def subset(source: Path, target: Path) -> Path:
    """The first few short clips, in LJSpeech layout, with their licence."""
    shutil.rmtree(target, ignore_errors=True)
    (target / "wavs").mkdir(parents=True)
    lines: list[str] = []
    for line in (source / "metadata.csv").read_text(encoding="utf-8").splitlines():
        path = source / "wavs" / f"{line.partition('|')[0]}.wav"
        with wave.open(str(path)) as file:
            seconds = file.getnframes() / file.getframerate()
        if SHORTEST <= seconds <= LONGEST and len(lines) < CLIPS:
            shutil.copy(path, target / "wavs")
            lines.append(line)
    (target / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for licence in source.glob("ATTRIBUTION*"):
        shutil.copy(licence, target)
    return target


def clips_of(data: Path) -> list[tuple[Path, str]]:
    """The audio file and the text of each clip."""
    found = []
    for line in (data / "metadata.csv").read_text(encoding="utf-8").splitlines():
        name, *texts = line.split("|")
        found.append((data / "wavs" / f"{name}.wav", texts[-1]))
    return found


def run_there(
    python: Path, code: str, arguments: Iterable[object], environment: Mapping[str, str], cwd: Path | None = None
) -> str:
    """Run code in the trainer's environment; what it prints."""
    done = subprocess.run(
        [str(python), "-c", code, *map(str, arguments)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=cwd,
    )
    return done.stdout
