"""A trained model that speaks, in one folder of its own: weights, mel statistics, vocabulary, durations, voices."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from xtts.alignment.aligned import AlignedDataset
from xtts.alignment.durations import DurationPredictor
from xtts.audio.mel import MELS, PATCH_FRAMES, mel_to_audio
from xtts.data.splits import TRAIN
from xtts.data.text import Vocabulary
from xtts.errors import SpeechError
from xtts.model.free_running import run_whole
from xtts.model.model_config import ModelConfig
from xtts.model.xtts import Batch, Xtts
from xtts.prepare.batches import Item, SpeechBatches, places_in_tokens

_WEIGHTS, _ABOUT = "model.safetensors", "model.json"
_LONGEST_REASON = 200  # characters; torch lists every tensor that does not fit, a line each
LONGEST_TEXT = 400  # characters; beyond, positions are far outside what was trained


@dataclass(frozen=True)
class Voices:
    """A voice prompt for every speaker."""

    names: tuple[str, ...]
    prompts: tuple[torch.Tensor, ...]
    """Normalised patches [patches, 4 * mels] each."""


class Speaker:
    """Speaks text: predicted durations, the prior on its own means, the decoder."""

    def __init__(
        self,
        model: Xtts,
        shape: ModelConfig,
        vocabulary: Vocabulary,
        durations: DurationPredictor,
        voices: Voices,
        mel_mean: float,
        mel_sd: float,
    ) -> None:
        self.model = model
        self.shape = shape
        self.vocabulary = vocabulary
        self.durations = durations
        self.voices = voices
        self.mel_mean, self.mel_sd = mel_mean, mel_sd

    @classmethod
    def of_trial(cls, model: Xtts, shape: ModelConfig, aligned: AlignedDataset, batches: SpeechBatches) -> Speaker:
        """The model of a trial, with the voices of its training split."""
        speech = aligned.speech
        return cls(
            model,
            shape,
            speech.vocabulary,
            aligned.durations,
            Voices(speech.speakers, tuple(_voice_prompt(batches, index) for index in range(len(speech.speakers)))),
            float(batches.mean),
            float(batches.sd),
        )

    @torch.no_grad()
    def mel(self, text: str, voice: str | None = None) -> NDArray[np.float32]:
        """Un-normalised ln-mel [frames, mels] of a text; SpeechError for unknown voices and unspeakable texts."""
        speaker = self._voice(voice)
        tokens = np.array(self.vocabulary.encode(text), dtype=np.int32)
        if len(tokens) <= 2:
            raise SpeechError(f"text {text!r}: has no character that the model knows")
        if len(tokens) > LONGEST_TEXT:
            raise SpeechError(f"text of {len(text)} characters: at most {LONGEST_TEXT}; split it into sentences")
        parameter = next(self.model.parameters())
        steps = self.durations.step_tokens(tokens, speaker)
        prompt = self.voices.prompts[speaker]
        batch = Batch(
            tokens=torch.from_numpy(tokens.astype(np.int64))[None],
            token_count=torch.tensor([len(tokens)]),
            step_token=torch.from_numpy(steps.astype(np.int64))[None],
            step_place=torch.from_numpy(places_in_tokens(steps))[None],
            mel=torch.zeros(1, len(steps) // 2 * PATCH_FRAMES, MELS),
            frame_count=torch.tensor([len(steps) // 2 * PATCH_FRAMES]),
            reference=prompt[None] if len(prompt) else torch.zeros(1, 1, MELS * PATCH_FRAMES),
            reference_count=torch.tensor([len(prompt)]),
        ).to(parameter.device, parameter.dtype)
        # The silent clip only lends its shape.
        patches = run_whole(self.model, batch)
        frames: NDArray[np.float32] = patches[0].unflatten(-1, (PATCH_FRAMES, MELS)).flatten(0, 1).float().cpu().numpy()
        return frames * np.float32(self.mel_sd) + np.float32(self.mel_mean)

    def say(self, text: str, voice: str | None = None) -> NDArray[np.float32]:
        """Samples at 22,050 Hz by Griffin-Lim, at most full scale."""
        samples = mel_to_audio(self.mel(text, voice))
        return samples / max(1.0, float(np.abs(samples).max(initial=0.0)))

    def save(self, folder: Path) -> None:
        """Write the model into a folder that `load` reads."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"durations.{name}": value for name, value in self.durations.state_dict().items()}
        tensors |= {f"voice.{index}": prompt for index, prompt in enumerate(self.voices.prompts)}
        about = {
            "shape": asdict(self.shape),
            "vocabulary": list(self.vocabulary.symbols),
            "turkic": self.vocabulary.turkic,
            "voices": list(self.voices.names),
            "mel_mean": self.mel_mean,
            "mel_sd": self.mel_sd,
        }
        save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, folder / _WEIGHTS)
        (folder / _ABOUT).write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Speaker:
        """Read what `save` wrote; SpeechError if it is missing or damaged."""
        try:
            about: dict[str, Any] = json.loads((folder / _ABOUT).read_text("utf-8"))
            tensors = load_file(folder / _WEIGHTS)
            shape, vocabulary = (
                ModelConfig(**about["shape"]),
                Vocabulary(tuple(about["vocabulary"]), bool(about.get("turkic", False))),
            )
            model = Xtts(shape, len(vocabulary), MELS, PATCH_FRAMES)
            model.to(tensors["model.decoder.out.bias"].dtype).load_state_dict(_under(tensors, "model."))
            names = tuple(about["voices"])
            durations = DurationPredictor(len(vocabulary), len(names))
            durations.load_state_dict(_under(tensors, "durations."))
            voices = Voices(names, tuple(tensors[f"voice.{index}"] for index in range(len(names))))
            mean, sd = float(about["mel_mean"]), float(about["mel_sd"])
        except (OSError, ValueError, KeyError, TypeError, ArithmeticError, RuntimeError, SafetensorError) as error:
            missing = isinstance(error, FileNotFoundError) and Path(str(error.filename)).name
            reason = f"{missing} is missing" if missing else " ".join(str(error).split())[:_LONGEST_REASON]
            raise SpeechError(f"{folder}: no model that can speak there ({reason})") from error
        return cls(model.eval(), shape, vocabulary, durations.eval(), voices, mean, sd)

    def _voice(self, voice: str | None) -> int:
        if voice is None:
            return 0
        if voice not in self.voices.names:
            raise SpeechError(f"voice {voice!r}: expected one of {', '.join(self.voices.names)}")
        return self.voices.names.index(voice)


def _under(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}


def _voice_prompt(batches: SpeechBatches, speaker: int) -> torch.Tensor:
    """The middle of the speaker's training clip of median length [patches, 4 * mels]; empty if there is none."""
    train = batches.speech.indices(TRAIN)
    clips = train[batches.speech.speaker_index[train] == speaker]
    if len(clips) == 0:
        return torch.zeros(0, PATCH_FRAMES * MELS)
    clip = int(clips[np.argsort(batches.speech.frames[clips], kind="stable")[len(clips) // 2]])
    return torch.from_numpy(batches.reference(Item(clip, clip)))
