"""Published trainers, unmodified, driven by the shipped specs: preflight, a sweep that is killed and resumed, verdict.

Each trainer is installed from its published packages into a virtual environment of its own. Nothing of it is changed:
its files are hashed before and after. Not part of `make test`; it takes about an hour on two cores.

    make test-trainers DATA=/path/to/an/ljspeech/folder
    python benchmarks/external_trainers.py --data DIR [--work DIR] [--only coqui_vits coqui_xtts_gpt in_process]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("coqui-tts==0.28.0", "coqui-tts-trainer==0.4.0", "six", "torchaudio", "torchcodec", "soundfile")
HASHED = ("TTS", "trainer")
CLIPS, SHORTEST, LONGEST = 10, 1.0, 1.6

DECODERS = """from types import SimpleNamespace
import soundfile, torch
class AudioDecoder:
    def __init__(self, source, *args, **options):
        data, rate = soundfile.read(source, dtype="float32", always_2d=True)
        self._data, self.metadata = torch.from_numpy(data.T.copy()), SimpleNamespace(sample_rate=rate)
    def get_all_samples(self):
        return SimpleNamespace(data=self._data, sample_rate=self.metadata.sample_rate)
"""
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
    num_eval_loader_workers=0, epochs=2, text_cleaner="basic_cleaners", use_phonemes=False, print_step=1, plot_step=1,
    run_eval=True, test_delay_epochs=100, mixed_precision=False, output_path="out", datasets=[data],
    eval_split_size=0.4, eval_split_max_size=8, test_sentences=[], cudnn_benchmark=False).save_json(sys.argv[2])
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
base |= {"batch_size": 2, "eval_batch_size": 2, "lr": 5e-5, "eval_split_size": 0.4, "print_step": 1, "plot_step": 1}
base["model_args"] |= {"mel_norm_file": str(out / "mel_stats.pth"), "dvae_checkpoint": str(out / "dvae.pth"),
    "xtts_checkpoint": "", "tokenizer_file": str(out / "vocab.json"), "gpt_num_audio_tokens": 66,
    "gpt_start_audio_token": 64, "gpt_stop_audio_token": 65, "gpt_layers": 2, "gpt_n_model_channels": 64,
    "gpt_n_heads": 2, "decoder_input_dim": 64, "min_conditioning_length": 11025, "max_conditioning_length": 22050,
    "max_wav_length": 66150}
(out / "xtts.json").write_text(json.dumps(base, indent=4))
"""
IN_PROCESS = """import sys
from pathlib import Path
import torch
import trainers.coqui
from sweeps.storage.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
torch.set_num_threads(1)
kind, config, path = getattr(trainers.coqui, sys.argv[1]), sys.argv[2], Path(sys.argv[3])
straight = kind({"config": config}, "", 7)
reports = [straight.train_epoch() for _ in range(2)]
first = kind({"config": config}, "", 7)
assert first.train_epoch() == reports[0]
save_checkpoint(path, Checkpoint(first.state_dict(), {}))
second = kind({"config": config}, "", 7)
second.load_state_dict(load_checkpoint(path).state)
resumed = second.train_epoch()
one, other = straight.state_dict()["model"], second.state_dict()["model"]
same = all(torch.equal(one[name], other[name]) for name in one)
print(f"RESULT {kind.__name__}: objectives {[r['objective'] for r in reports]}, resumed equal {resumed == reports[1]}, "
      f"all {len(one)} tensors equal {same}")
"""


def main() -> int:
    """Run what was asked for; 1 where something was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="an LJSpeech folder with clips of 1 to 1.6 s")
    parser.add_argument("--work", type=Path, default=Path("/tmp/xtts-sweep-trainers"))
    parser.add_argument("--only", nargs="*", default=["coqui_vits", "coqui_xtts_gpt", "in_process"])
    parser.add_argument("--python", type=Path, help="a Python that has the packages already")
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=2)
    options = parser.parse_args()
    work: Path = options.work
    work.mkdir(parents=True, exist_ok=True)
    python: Path = options.python or installed(work / "venv")
    shims, data = written_shims(work), subset(options.data, work / "data")
    environment = {**os.environ, "PYTHONPATH": str(shims), "OMP_NUM_THREADS": "1"}
    before = hashes(python)
    templates = {"coqui_vits": work / "vits.json", "coqui_xtts_gpt": work / "xtts.json"}
    theirs(python, VITS_TEMPLATE, [data, templates["coqui_vits"]], environment)
    theirs(python, XTTS_FILES, [data, work, ROOT / "trainers" / "coqui_xtts_gpt.json"], environment)
    for name, template in templates.items():
        if name in options.only:
            settings = [f"template={template}", f"python={python}", f"env.PYTHONPATH={shims}", "env.OMP_NUM_THREADS=1"]
            by_spec(name, settings, work, options.trials, options.epochs)
    if "in_process" in options.only:
        ours = {**environment, "PYTHONPATH": f"{shims}{os.pathsep}{ROOT}"}
        for kind, template in (("CoquiXttsGpt", work / "xtts.json"), ("CoquiVits", work / "vits.json")):
            output = theirs(python, IN_PROCESS, [kind, template, work / "checkpoint.safetensors"], ours)
            print(next(line for line in output.splitlines() if line.startswith("RESULT")), flush=True)
    unchanged = hashes(python) == before
    print(f"installed packages {', '.join(HASHED)} unchanged: {unchanged}")
    return 0 if unchanged else 1


def by_spec(name: str, settings: Sequence[str], work: Path, trials: int, epochs: int) -> None:
    """Preflight, a sweep that is killed in its second trial, resume, verdict."""
    given = ["--trainer", name, *(part for setting in settings for part in ("--set", setting))]
    began = time.monotonic()
    check = json.loads(command("check", *given, "--json"))
    print(f"{name} preflight, {time.monotonic() - began:.0f} s: {json.dumps(check)}", flush=True)
    run = work / "runs" / name
    shutil.rmtree(run, ignore_errors=True)
    arguments = ["--name", name, "--output", str(work / "runs"), "--wandb", "off"]
    size = ["--trials", str(trials), "--epochs", str(epochs), "--confirm-seeds", "1", "--concurrent", "1"]
    began = time.monotonic()
    sweep = subprocess.Popen([sys.executable, "run_sweep.py", *given, *arguments, *size], cwd=ROOT)
    journal = run / "trials.jsonl"
    while sweep.poll() is None and '"trial_id": "t0002", "time"' not in reports(journal):
        time.sleep(0.5)
    os.kill(sweep.pid, signal.SIGKILL)
    sweep.wait()
    time.sleep(5)
    left = subprocess.run(["pgrep", "-fc", str(run / "trials")], capture_output=True, text=True, check=False).stdout
    known = reports(journal)
    print(f"{name} killed after {time.monotonic() - began:.0f} s; trainer processes left: {left.strip()}", flush=True)
    print(command("resume", name, "--output", str(work / "runs"), "--wandb", "off"))
    print(f"{name} records before the kill kept: {reports(journal).startswith(known)}; ", end="")
    print(f"{time.monotonic() - began:.0f} s in all; {(run / 'verdict.json').read_text()}", flush=True)


def reports(journal: Path) -> str:
    """The report lines of a journal."""
    if not journal.is_file():
        return ""
    return "\n".join(line for line in journal.read_text().splitlines() if '"event": "report"' in line)


def command(*arguments: str) -> str:
    """What a command of this project prints."""
    done = subprocess.run(
        [sys.executable, "run_sweep.py", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def theirs(python: Path, code: str, arguments: Sequence[object], environment: dict[str, str]) -> str:
    """Run code in the trainer's environment."""
    done = subprocess.run(
        [str(python), "-c", code, *map(str, arguments)], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def installed(venv: Path) -> Path:
    """A virtual environment with the trainers' published packages."""
    python = venv / "bin" / "python"
    if not (venv / ".installed").exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        constraint = venv / "constraint.txt"
        constraint.write_text("torch==2.13.0\n")
        for packages in (("torch==2.13.0",), PACKAGES):
            subprocess.run(
                [str(python), "-m", "pip", "install", "-q", "-c", str(constraint), "safetensors", "pyyaml", *packages],
                check=True,
            )
        for library in venv.glob("lib/*/site-packages/torchaudio/lib/*.so"):
            library.rename(library.with_suffix(".cuda"))  # its wheel needs CUDA; without the files it is pure torch
        (venv / ".installed").touch()
    return python


def written_shims(work: Path) -> Path:
    """A torchcodec that reads with soundfile: its wheel needs CUDA and FFmpeg, and Coqui only reads WAV files by it."""
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
    lines = []
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


def hashes(python: Path) -> dict[str, str]:
    """Of every Python file of the trainers' packages."""
    found = {}
    for package in HASHED:
        for path in sorted(python.parents[1].glob(f"lib/*/site-packages/{package}/**/*.py")):
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


if __name__ == "__main__":
    sys.exit(main())
