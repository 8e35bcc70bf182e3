"""MyXTTS (TensorFlow) by spec, from a clone of its repository."""

from __future__ import annotations

from pathlib import Path

from benchmarks.published.environment import Published, clips_of, cloned, run_there, virtual_environment

PACKAGES = [
    "tensorflow-cpu==2.21.0",
    "keras",
    "tensorboard",
    "librosa",
    "pandas",
    "soundfile",
    "tqdm",
    "pyyaml",
    "unidecode",
    "transformers",
    "psutil",
    "matplotlib",
    "scipy",
]
TEMPLATE = """import json, sys
from pathlib import Path
import yaml
from myxtts.config.config import XTTSConfig
config = XTTSConfig()
for section, values in json.loads(sys.argv[1]).items():
    for key, value in values.items():
        assert hasattr(getattr(config, section), key), key
        setattr(getattr(config, section), key, value)
config.to_yaml(sys.argv[2])
"""
VALIDATION_CLIPS = 4
SMALL: dict[str, dict[str, object]] = {
    "model": {
        "text_encoder_dim": 32,
        "text_encoder_layers": 1,
        "text_encoder_heads": 2,
        "audio_encoder_dim": 32,
        "audio_encoder_layers": 1,
        "audio_encoder_heads": 2,
        "decoder_dim": 32,
        "decoder_layers": 1,
        "decoder_heads": 2,
        "speaker_embedding_dim": 32,
        "tokenizer_type": "custom",
        "text_vocab_size": 256,
        "use_gst": False,  # with it, its trainer stops at an undefined name (text_len_tensor)
        "max_attention_sequence_length": 64,
    },
    "data": {
        "batch_size": 4,
        "num_workers": 1,
        "max_mel_frames": 150,
        "max_text_length": 64,
        "use_phonemes": False,
        "enable_vad": False,
        "enable_loudness_normalization": False,
        "mixed_precision": False,
        "enable_xla": False,
        "use_tf_native_loading": False,
        "prefetch_buffer_size": 1,
        "shuffle_buffer_multiplier": 1,
    },
    "training": {
        "warmup_steps": 10,
        "log_step": 1,
        "enable_graph_mode": False,
        "enable_xla_compilation": False,
        "enable_text2audio_eval": False,
        "spectrogram_log_interval": 0,
        "learning_rate": 0.001,
    },
}


def prepared(work: Path, data: Path) -> list[Published]:
    """MyXTTS with small widths."""
    import json

    repository = cloned("masoodafar-web/MyXTTSModel", work)
    python = virtual_environment(work / "venv-myxtts", PACKAGES)
    lines = [f"{path.stem}|{text}|{text}\n" for path, text in clips_of(data)]
    files: dict[str, str] = {}
    for name, part in (("train", lines[:-VALIDATION_CLIPS]), ("eval", lines[-VALIDATION_CLIPS:])):
        path = work / f"myxtts-{name}.csv"
        path.write_text("".join(part), encoding="utf-8")
        files |= {f"metadata_{name}_file": str(path), f"wavs_{name}_dir": str(data / "wavs")}
    cache = work / "myxtts-data"
    cache.mkdir(exist_ok=True)
    content = {**SMALL, "data": {**SMALL["data"], **files, "dataset_path": str(cache)}}
    template = work / "myxtts.yaml"
    run_there(python, TEMPLATE, [json.dumps(content), template], {}, cwd=repository)
    settings = [f"template={template}", f"python={python}", f"cwd={repository}"]
    return [Published("myxtts", "myxtts", settings, [repository / "myxtts"])]
