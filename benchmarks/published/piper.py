"""Piper (piper-tts[train]) by spec. Its wheel lacks the aligner's source, which the published repository has."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import yaml

from benchmarks.published.environment import TORCH, Published, clips_of, cloned, packages, virtual_environment

ALIGNER = Path("train", "vits", "monotonic_align")


def prepared(work: Path, data: Path) -> list[Published]:
    """Piper with small generator widths; its discriminator (46.7 M) has no setting for them."""
    python = virtual_environment(work / "venv-piper", [TORCH], ["piper-tts[train]==1.8.0", "soundfile"])
    (package,) = packages(python, "piper")
    _build_aligner(python, package, cloned("OHF-Voice/piper1-gpl", work))
    listing = work / "piper.csv"
    listing.write_text("".join(f"{path.name}|{text}\n" for path, text in clips_of(data)), encoding="utf-8")
    template = work / "piper.yaml"
    template.write_text(yaml.safe_dump(config(listing, data / "wavs", work)), encoding="utf-8")
    settings = [f"template={template}", f"python={python}"]
    return [Published("piper", "piper", settings, [package])]


def config(listing: Path, wavs: Path, work: Path) -> dict[str, object]:
    """A LightningCLI config of small generator widths for `id|text` rows."""
    return {
        "model": {
            "sample_rate": 22050,
            "c_mel": 45,
            "c_kl": 1.0,
            "learning_rate": 2.0e-4,
            "learning_rate_d": 1.0e-4,
            "hidden_channels": 32,
            "inter_channels": 32,
            "filter_channels": 64,
            "n_layers": 1,
            "upsample_initial_channel": 32,
            "segment_size": 4096,
        },
        "data": {
            "voice_name": "asterisk",
            "csv_path": str(listing),
            "audio_dir": str(wavs),
            "espeak_voice": "en-us",
            "cache_dir": str(work / "piper-cache"),
            "config_path": str(work / "piper-voice.json"),
            "batch_size": 4,
            "validation_split": 0.34,
            "num_test_examples": 0,
            "num_workers": 0,
            "trim_silence": False,
        },
        "trainer": {
            "accelerator": "cpu",
            "log_every_n_steps": 1,
            "enable_progress_bar": False,
            "num_sanity_val_steps": 0,
        },
    }


def _build_aligner(python: Path, package: Path, repository: Path) -> None:
    """As the repository's build_monotonic_align.sh does it; adds a file to the package and changes none."""
    folder = package / ALIGNER / "monotonic_align"
    if list(folder.glob("core*.so")):
        return
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as build:
        shutil.copy(repository / "src" / "piper" / ALIGNER / "core.pyx", build)
        subprocess.run([str(python.with_name("cythonize")), "-i", "core.pyx"], cwd=build, check=True)
        for library in Path(build).glob("core*.so"):
            shutil.copy(library, folder)
