"""Trains Piper several times by its own command line, in the Python of its own; each run leaves its own log.

    python benchmarks/published/piper_runs.py JOBS.json

A job: `folder` of the run, `data` (LJSpeech), `language` (a voice of espeak), `template` (a LightningCLI config),
`changed` (factors, see reference_logs) and `epochs`. The log, hparams.yaml and config.yaml are Lightning's own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import yaml

from benchmarks.published.coqui_runs import FINISHED

MEL_WEIGHT, RATE, RATE_D = 45, 2e-4, 1e-4
SEGMENT = 2048
"""Samples of the waveform that a step is judged by: the eight frames of the runs of Coqui"""


class SpoilWeight(pl.Callback):  # type: ignore[misc]
    """A weight of the decoder turns NaN before an epoch (from 1)."""

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        if trainer.current_epoch + 1 == self._epoch:
            with torch.no_grad():
                next(iter(module.model_g.dec.parameters())).view(-1)[0] = float("nan")


def main(jobs: Path) -> None:
    """Run what is not finished yet."""
    for job in json.loads(jobs.read_text("utf-8")):
        folder = Path(job["folder"])
        if not (folder / FINISHED).exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            began = time.monotonic()
            config = folder / "given.yaml"
            config.write_text(yaml.safe_dump(config_of(job)), "utf-8")
            with (folder / "output.txt").open("wb") as output:
                asked = [sys.executable, "-m", "piper.train", "fit", "-c", str(config)]
                done = subprocess.run(asked, stdout=output, stderr=output, check=False)
            for weights in folder.rglob("*.ckpt"):  # 570 MB each
                weights.unlink()
            config.unlink()
            (folder / FINISHED).touch()
            took = time.monotonic() - began
            print(f"{folder.parent.name}, {folder.name}: exit code {done.returncode}, {took:.0f} s", flush=True)


def config_of(job: Mapping[str, Any]) -> dict[str, Any]:
    """The template with a job's changes, as a user sets them in the file."""
    folder, data, changed = Path(job["folder"]), Path(job["data"]), job["changed"]
    config: dict[str, Any] = yaml.safe_load(Path(job["template"]).read_text("utf-8"))
    rate = changed.get("rate", 1)
    config["seed_everything"] = int(changed.get("seed", 1))
    config["model"] |= {
        "c_mel": round(MEL_WEIGHT * changed.get("mel", 1)),
        "learning_rate": RATE * rate,
        "learning_rate_d": RATE_D * rate,
        "grad_clip": changed.get("clip"),
        "segment_size": SEGMENT,
        "mos_metric": "none",
    }
    config["data"] |= {
        "csv_path": str(data / "metadata.csv"),
        "audio_dir": str(data / "wavs"),
        "cache_dir": str(data / "piper-cache"),
        "config_path": str(data / "piper-voice.json"),
        "espeak_voice": job["language"],
        "validation_split": 0.25,
    }
    callbacks = [{"class_path": "piper_callback.EpochJson", "init_args": {"path": str(data / "epochs.jsonl")}}]
    if "spoil" in changed:
        spoil = {"epoch": int(changed["spoil"])}
        callbacks.append({"class_path": "benchmarks.published.piper_runs.SpoilWeight", "init_args": spoil})
    config["trainer"] |= {"max_epochs": job["epochs"], "default_root_dir": str(folder), "callbacks": callbacks}
    return config


if __name__ == "__main__":
    main(Path(sys.argv[1]))
