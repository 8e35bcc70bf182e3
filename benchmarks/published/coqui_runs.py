"""Trains Coqui VITS several times in one process, in the Python of Coqui's environment; each run leaves its own log.

    python benchmarks/published/coqui_runs.py JOBS.json

A job: `folder` of the run, `data` (LJSpeech), `template` (a VITS config), `changed` (factors, see reference_logs) and
`epochs`.
Training, evaluation and their TensorBoard log are Coqui's own; only its figures are left out, which take most time.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

SEGMENT = 8
"""Frames of the waveform that a step is judged by; at four the mel error of a step is mostly noise"""
MEL_WEIGHT, RATE, CLIP = 45.0, 2e-4, 1000.0
FINISHED = "finished"
"""An empty file in the folder of a run that came to its end"""


def main(jobs: Path) -> None:
    """Run what is not finished yet."""
    import torch

    torch.set_num_threads(1)
    for job in json.loads(jobs.read_text("utf-8")):
        folder = Path(job["folder"])
        if not (folder / FINISHED).exists():
            began = time.process_time()
            try:
                trained(job, folder)
            except RuntimeError as error:  # its spline flow fails on NaN
                print(f"{folder.name} ended with {type(error).__name__}: {error}", flush=True)
            (folder / FINISHED).touch()
            print(f"{folder.parent.name}, {folder.name}: {time.process_time() - began:.0f} s on a core", flush=True)


def trained(job: dict[str, Any], folder: Path) -> None:
    """One run: as Coqui's fit does it, without checkpoints."""
    from trainers.coqui import CoquiVits
    from trainers.coqui_validation import seed_all

    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.rglob("events*"):
        old.unlink()
    changed = job["changed"]
    seed, rate, clip = int(changed.get("seed", 1)), RATE * changed.get("rate", 1), changed.get("clip", CLIP)
    given = json.loads(Path(job["template"]).read_text("utf-8"))
    given |= {"batch_size": 4, "eval_batch_size": 2, "eval_split_size": 0.25, "plot_step": 1}
    given |= {"lr_gen": rate, "lr_disc": rate, "grad_clip": [clip, clip]}
    given["model_args"]["spec_segment_size"] = SEGMENT
    params = {"mel_loss_alpha": MEL_WEIGHT * changed.get("mel", 1), "grad_clip_gen": clip}
    config = folder / "given.json"
    config.write_text(json.dumps(given), "utf-8")
    seed_all(seed)
    coqui = CoquiVits({"config": str(config), **params}, job["data"], seed).make(folder)
    config.unlink()
    coqui.config.save_json(str(folder / "config.json"))
    coqui.model.train_log = coqui.model.eval_log = lambda *_: None
    coqui.train_loader = coqui.get_train_dataloader(coqui.train_samples, verbose=False)
    try:
        _train(coqui, job)
    finally:
        coqui.dashboard_logger.flush()


def _train(coqui: Any, job: dict[str, Any]) -> None:
    import torch
    from trainer.generic_utils import KeepAverage

    for epoch in range(job["epochs"]):
        if epoch + 1 == job["changed"].get("spoil"):
            with torch.no_grad():
                next(iter(coqui.model.waveform_decoder.parameters())).view(-1)[0] = float("nan")
        coqui.epochs_done, coqui.keep_avg_train, coqui.keep_avg_eval = epoch, KeepAverage(), KeepAverage()
        coqui.train_epoch()
        coqui.eval_epoch()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
