"""Coqui's recipe for fine-tuning XTTS's GPT, with its settings in a JSON file. Runs in Coqui's own environment.

Nothing of coqui-tts is changed: this is recipes/ljspeech/xtts_v2/train_gpt_xtts.py with the constants read from a file.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def xtts_config(given: dict[str, Any]) -> Any:
    """GPTTrainerConfig from plain data; ValueError names a key that it does not have."""
    from TTS.config.shared_configs import BaseDatasetConfig
    from TTS.tts.layers.xtts.trainer.gpt_trainer import GPTArgs, GPTTrainerConfig
    from TTS.tts.models.xtts import XttsAudioConfig

    sections = {"model_args": GPTArgs, "audio": XttsAudioConfig}
    config = GPTTrainerConfig()
    for key, value in given.items():
        if key == "grad_accum_steps":
            continue
        if not hasattr(config, key):
            raise ValueError(f"GPTTrainerConfig has no key {key!r}")
        if key in sections:
            value = _section(sections[key], key, value)
        elif key == "datasets":
            value = [_section(BaseDatasetConfig, key, entry) for entry in value]
        setattr(config, key, value)
    return config


def _section(kind: Any, name: str, given: dict[str, Any]) -> Any:
    made = kind()
    for key, value in given.items():
        if not hasattr(made, key):
            raise ValueError(f"{name} has no key {key!r}")
        setattr(made, key, value)
    return made


def main() -> None:
    """Train as the file says."""
    from trainer import Trainer, TrainerArgs
    from TTS.tts.datasets import load_tts_samples
    from TTS.tts.layers.xtts.trainer.gpt_trainer import GPTTrainer

    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True)
    given = json.loads(Path(parser.parse_args().config).read_text(encoding="utf-8"))
    config = xtts_config(given)
    train_samples, eval_samples = load_tts_samples(
        config,
        eval_split=True,
        eval_split_max_size=config.eval_split_max_size,
        eval_split_size=config.eval_split_size,
    )
    trainer = Trainer(
        TrainerArgs(grad_accum_steps=int(given.get("grad_accum_steps", 1)), start_with_eval=False),
        config,
        output_path=config.output_path,
        model=GPTTrainer.init_from_config(config),
        train_samples=train_samples,
        eval_samples=eval_samples,
        parse_command_line_args=False,
    )
    trainer.fit()


if __name__ == "__main__":
    main()
