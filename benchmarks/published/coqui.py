"""Coqui VITS and XTTS's GPT (coqui-tts), by spec and in process, with tiny widths."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.published.environment import (
    ROOT,
    TORCH,
    Published,
    packages,
    run_there,
    torchcodec_shim,
    virtual_environment,
)

SOURCES = ("TTS", "trainer")
VITS_TEMPLATE = """import sys
from TTS.config.shared_configs import BaseAudioConfig, BaseDatasetConfig
from TTS.tts.configs.vits_config import VitsConfig
from TTS.tts.models.vits import VitsArgs
model = VitsArgs(hidden_channels=32, hidden_channels_ffn_text_encoder=64, num_layers_text_encoder=1,
    num_heads_text_encoder=2, num_layers_flow=1, num_layers_posterior_encoder=2, upsample_initial_channel_decoder=32,
    resblock_kernel_sizes_decoder=[3], resblock_dilation_sizes_decoder=[[1, 3, 5]], spec_segment_size=4,
    init_discriminator=True, periods_multi_period_discriminator=[2, 3])
audio = BaseAudioConfig(sample_rate=22050, fft_size=1024, win_length=1024, hop_length=256, num_mels=80, mel_fmin=0,
    mel_fmax=None)
data = BaseDatasetConfig(formatter="ljspeech", meta_file_train="metadata.csv", path=sys.argv[1])
VitsConfig(model_args=model, audio=audio, run_name="vits", batch_size=3, eval_batch_size=1, num_loader_workers=0,
    num_eval_loader_workers=0, epochs=2, text_cleaner="basic_cleaners", use_phonemes=False, print_step=1, plot_step=50,
    run_eval=True, test_delay_epochs=100, mixed_precision=False, output_path="out", datasets=[data],
    eval_split_size=0.5, eval_split_max_size=8, test_sentences=[], cudnn_benchmark=False).save_json(sys.argv[2])
"""
XTTS_FILES = """import json, sys, torch
from pathlib import Path
data, out, base = sys.argv[1], Path(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text())
words = ["[STOP]", "[UNK]", "[SPACE]", "[START]", "[en]", *"abcdefghijklmnopqrstuvwxyz.,!?-:;'0123456789"]
vocabulary = {word: number for number, word in enumerate(words)}
added = [{"id": n, "content": w, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
    "special": True} for w, n in list(vocabulary.items())[:5]]
model = {"type": "BPE", "dropout": None, "unk_token": "[UNK]", "continuing_subword_prefix": None,
    "end_of_word_suffix": None, "fuse_unk": False, "vocab": vocabulary, "merges": []}
(out / "vocab.json").write_text(json.dumps({"version": "1.0", "truncation": None, "padding": None,
    "added_tokens": added, "normalizer": None, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None,
    "decoder": None, "model": model}))
torch.save(torch.ones(80), out / "mel_stats.pth")
torch.save({}, out / "dvae.pth")
base["datasets"][0]["path"] = data
base |= {"batch_size": 2, "eval_batch_size": 2, "lr": 5e-5, "eval_split_size": 0.5, "print_step": 1, "plot_step": 50}
base["model_args"] |= {"mel_norm_file": str(out / "mel_stats.pth"), "dvae_checkpoint": str(out / "dvae.pth"),
    "xtts_checkpoint": "", "tokenizer_file": str(out / "vocab.json"), "gpt_num_audio_tokens": 66,
    "gpt_start_audio_token": 64, "gpt_stop_audio_token": 65, "gpt_layers": 2, "gpt_n_model_channels": 64,
    "gpt_n_heads": 2, "decoder_input_dim": 64, "min_conditioning_length": 11025, "max_conditioning_length": 22050,
    "max_wav_length": 66150}
(out / "xtts.json").write_text(json.dumps(base, indent=4))
"""


def prepared(work: Path, data: Path) -> list[Published]:
    """Both models by spec, then both in process."""
    # One environment for both: in process the sweep's own packages stand next to coqui-tts.
    python = virtual_environment(work / "venv-coqui", [TORCH], ["-e", f"{ROOT}[coqui]", "torchaudio", "torchcodec"])
    shims, sources = torchcodec_shim(work), packages(python, *SOURCES)
    environment = {"PYTHONPATH": str(shims), "OMP_NUM_THREADS": "1"}
    vits, gpt = work / "vits.json", work / "xtts.json"
    run_there(python, VITS_TEMPLATE, [data, vits], environment)
    run_there(python, XTTS_FILES, [data, work, ROOT / "trainers" / "coqui_xtts_gpt.json"], environment)
    found = []
    for spec, template in (("coqui_vits", vits), ("coqui_xtts_gpt", gpt)):
        settings = [f"template={template}", f"python={python}", f"env.PYTHONPATH={shims}"]
        found.append(Published(spec, spec, settings, sources))
    ours = {**environment, "PYTHONPATH": f"{shims}{os.pathsep}{ROOT}"}
    for name, kind, template in (("vits_in_process", "CoquiVits", vits), ("gpt_in_process", "CoquiXttsGpt", gpt)):
        found.append(Published(name, f"trainers.coqui:{kind}", [f"config={template}"], sources, python, ours))
    return found
