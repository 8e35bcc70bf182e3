"""Matcha-TTS by spec, from a clone of its repository: the package has no configs."""

from __future__ import annotations

import subprocess
from pathlib import Path

from benchmarks.published.environment import (
    TORCH,
    Published,
    clips_of,
    cloned,
    run_there,
    torchcodec_shim,
    virtual_environment,
)

PACKAGES = [
    "lightning",
    "hydra-core==1.3.*",
    "hydra-colorlog",
    "rootutils",
    "rich",
    "phonemizer",
    "espeakng-loader",
    "librosa",
    "soundfile",
    "einops",
    "inflect",
    "Unidecode",
    "scipy",
    "torchaudio",
    "pandas",
    "conformer==0.3.2",
    "diffusers",
    "gdown",
    "wget",
    "seaborn",
    "tensorboard",
    "Cython",
    "setuptools",
    "matplotlib<3.10",
    "numpy<2.3",
]
ESPEAK = "import espeakng_loader; print(espeakng_loader.get_library_path()); print(espeakng_loader.get_data_path())"
VALIDATION_CLIPS = 4
SMALL = {
    "data.num_workers": 0,
    "data.pin_memory": False,
    "trainer": "cpu",
    "trainer.precision": 32,
    "+trainer.log_every_n_steps": 1,
    "test": False,
    "extras.print_config": False,
    "+trainer.enable_progress_bar": False,
    "callbacks.rich_progress_bar": None,
    "callbacks.model_summary": None,
    "model.encoder.encoder_params.n_channels": 32,
    "model.encoder.encoder_params.filter_channels": 64,
    "model.encoder.encoder_params.n_layers": 1,
    "model.decoder.channels": [32, 32],
    "model.decoder.attention_head_dim": 16,
    "model.decoder.num_mid_blocks": 1,
}


def prepared(work: Path, data: Path) -> list[Published]:
    """Matcha with small widths; its settings are Hydra overrides."""
    repository = cloned("shivammehta25/Matcha-TTS", work)
    python = virtual_environment(work / "venv-matcha", [TORCH], PACKAGES)
    if not list((repository / "matcha").rglob("core*.so")):
        subprocess.run([str(python), "setup.py", "-q", "build_ext", "--inplace"], cwd=repository, check=True)
    clips = [f"{path}|{text}\n" for path, text in clips_of(data)]
    lists = {"train": clips[:-VALIDATION_CLIPS], "valid": clips[-VALIDATION_CLIPS:]}
    given: dict[str, object] = dict(SMALL)
    for name, lines in lists.items():
        path = work / f"matcha-{name}.txt"
        path.write_text("".join(lines), encoding="utf-8")
        given[f"data.{name}_filelist_path"] = path
    library, content = run_there(python, ESPEAK, [], {}).split()
    environment = {
        "PYTHONPATH": torchcodec_shim(work),
        "PHONEMIZER_ESPEAK_LIBRARY": library,
        "ESPEAK_DATA_PATH": content,
    }
    settings = [f"python={python}", f"cwd={repository}", "batch_size=4"]
    settings += [f"set.{key}={'null' if value is None else value}" for key, value in given.items()]
    settings += [f"env.{key}={value}" for key, value in environment.items()]
    return [Published("matcha", "matcha", settings, [repository / "matcha", repository / "configs"])]
