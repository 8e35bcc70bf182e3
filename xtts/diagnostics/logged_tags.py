"""What the tags of a training log mean: which are losses of training and validation, which term, and in which units.

Names are `train/TERM` and `val/TERM` (TERM: loss, mel, kl, duration, ...), `grad_norm`, `learning_rate` and `epoch`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

TERMS: Mapping[str, re.Pattern[str]] = {
    "mel_ce": re.compile(r"mel_?ce|ce_?mel"),
    "text_ce": re.compile(r"text_?ce|ce_?text"),
    "mel": re.compile(r"(^|[_ ])(w_)?mel"),
    "kl": re.compile(r"(^|[_ ])(w_)?kl"),
    "duration": re.compile(r"dur"),
    "feature": re.compile(r"feat|(^|_)fm($|_)"),
    "discriminator": re.compile(r"disc|(^|_)d($|_)|loss_0$"),
    "generator": re.compile(r"(^|_)gen($|_)|adv"),
    "stop": re.compile(r"stop"),
    "attention": re.compile(r"attn|attention|align"),
    "prior": re.compile(r"prior"),
    "diffusion": re.compile(r"diff"),
    "pitch": re.compile(r"pitch|(^|_)f0"),
    "energy": re.compile(r"energy"),
}
TOTAL = re.compile(r"^(avg_|running_|total_|mean_)*(loss|total|cost|objective)(_total|_all|_g|_gen_all|_1)?$")
WEIGHT_KEYS: Mapping[str, tuple[str, ...]] = {
    "mel": ("mel_loss_alpha", "mel_loss_weight", "c_mel", "lambda_mel", "mel_weight", "mel_w"),
    "kl": ("kl_loss_alpha", "kl_loss_weight", "c_kl", "lambda_kl", "kl_weight", "kl_w"),
    "duration": ("dur_loss_alpha", "duration_loss_weight", "lambda_dur"),
    "generator": ("gen_loss_alpha", "lambda_gen"),
    "feature": ("feat_loss_alpha", "lambda_feat"),
    "mel_ce": ("gpt_loss_mel_ce_weight",),
    "text_ce": ("gpt_loss_text_ce_weight",),
}
CLIP_KEYS = (
    "gradient_clip_norm",
    "gradient_clip_val",
    "max_grad_norm",
    "clip_grad_norm",
    "grad_clip_thresh",
    "grad_clip",
)
RATE_KEYS = ("lr_gen", "learning_rate", "lr")
_VALIDATION = {"val", "valid", "validation", "eval", "evaluation", "evalstats", "test", "dev"}
_TRAINING = {"train", "training", "trainiterstats", "trainepochstats"}
_NOT_A_TERM = _VALIDATION | _TRAINING | {"epoch", "step"}
_WORDS = re.compile(r"[/.:\s-]+")
_PART_OF_GRADIENT = re.compile(r"grad_norm_(0|p\d+)$|grad_[\d.]+_norm/|[._](weight|bias)$")
"""The discriminator's norm, an epoch's quantile, or the norm of one layer, as Lightning's grad_norm logs them"""
_NUMBER = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")
_NO_LOSS = {"time", "step", "steps", "seconds", "eta", "size", "accuracy"}


@dataclass(frozen=True)
class Trainer:
    """A trainer that is recognised by its tags: whether its logged terms contain their weights."""

    name: str
    signature: tuple[str, ...]
    """Tags that its logs have"""
    weighted: bool
    raw_mel: bool | None = None
    """Whether its mel is un-normalised; None where that depends or there is no mel term"""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Of its terms, where no config says them"""
    usual: Mapping[str, float] = field(default_factory=dict)
    """What it is made for: the mel weight (`mel`), the learning rate of a training from scratch (`rate`), and the
    duration loss above which tokens are without a frame (`duration`)"""
    unread: Mapping[str, float | None] = field(default_factory=dict)
    """Settings of its config that it reads nowhere, and what they are left at"""


VITS: Mapping[str, float] = {"mel": 45.0, "rate": 2e-4, "duration": 10.0}
"""Of the VITS paper (Kim et al. 2021), as Coqui and Piper have them; a duration loss begins at 2 to 3, but a token that
the alignment gives no frame counts as the logarithm of 1e-5 or 1e-6, squared"""
OWN = "xtts-sweep"
"""This program's own trainer"""
MATCHA = tuple(f"sub_loss/train_{term}_loss_step" for term in ("dur", "prior", "diff"))
MYXTTS = ("val_epoch/mel_loss", "train_epoch/mel_loss")
PIPER_UNREAD: Mapping[str, float | None] = {"grad_clip": None}
"""Piper 1.8: its steps are Lightning's manual ones, without a clip"""
MYXTTS_UNREAD: Mapping[str, float | None] = {"kl_loss_weight": 1.0}
"""Since September 2025 attention_loss_weight scales the alignment's KL"""
ONES: Mapping[str, float] = {"duration": 1.0, "prior": 1.0, "diffusion": 1.0}
TRAINERS = (
    Trainer("coqui", ("TrainIterStats/loss_mel", "TrainIterStats/loss_kl"), weighted=True, raw_mel=True, usual=VITS),
    Trainer("coqui", ("TrainIterStats/loss_mel", "EvalStats/avg_loss_mel"), weighted=True, raw_mel=True, usual=VITS),
    Trainer(
        "coqui",
        ("TrainEpochStats/avg_loss_mel", "TrainEpochStats/avg_loss_kl"),
        weighted=True,
        raw_mel=True,
        usual=VITS,
    ),
    Trainer("coqui", ("train/avg_loss_mel", "val/avg_loss_mel"), weighted=True, raw_mel=True, usual=VITS),
    Trainer("coqui", ("train/loss_mel", "train/loss_kl", "train/loss_disc"), weighted=True, raw_mel=True, usual=VITS),
    Trainer("coqui-xtts", ("TrainIterStats/loss_mel_ce",), weighted=True),
    Trainer("coqui-xtts", ("train/loss_mel_ce", "train/loss_text_ce"), weighted=True),
    Trainer("piper", ("train_mel", "val_mel", "loss_g"), weighted=False, raw_mel=True, usual=VITS, unread=PIPER_UNREAD),
    Trainer("myxtts", MYXTTS, weighted=False, raw_mel=True, unread=MYXTTS_UNREAD),
    Trainer("matcha", MATCHA, weighted=False, weights=ONES, usual={"rate": 1e-4}),
    Trainer(OWN, ("train/mel", "val/next", "objective"), weighted=False),
)
EPOCH_MEANS = "TrainEpochStats/"
"""Coqui's trainer logs these once an epoch, at its last step, and no epoch number"""


@dataclass(frozen=True)
class Mapped:
    """The tag behind each name, the other tags, and the trainer that the tags point to."""

    tags: Mapping[str, str]
    unmapped: tuple[str, ...]
    trainer: Trainer | None
    same: Mapping[str, str] = field(default_factory=dict)
    """Of the other tags those that mean what a used one stands for already, with their names"""


def map_tags(counts: Mapping[str, int], given: Mapping[str, str] | None = None) -> Mapped:
    """Names for the tags of a log; `counts` are the points of each tag, `given` (name to tag) comes first.

    Of several tags with one meaning the one with most points stands for training, the one with fewest for validation.
    """
    given = dict(given or {})
    candidates: dict[str, list[str]] = {}
    for tag in counts:
        name = name_of(tag)
        if name is not None and tag not in given.values():
            candidates.setdefault(name, []).append(tag)
    tags = dict(given)
    for name, found in candidates.items():
        if name not in tags:
            best = min if name.startswith("val/") else max
            tags[name] = best(sorted(found, key=_weight_in_name), key=lambda tag: counts[tag])
    same = {tag: name for name, found in candidates.items() for tag in found if tag not in tags.values()}
    unmapped = tuple(sorted(tag for tag in counts if tag not in tags.values()))
    return Mapped(tags, unmapped, recognised(counts), same)


def recognised(tags: Iterable[str]) -> Trainer | None:
    """The trainer whose tags these are; None for an unknown one."""
    have = set(tags)
    return next((trainer for trainer in TRAINERS if have.issuperset(trainer.signature)), None)


def name_of(tag: str) -> str | None:
    """The name of one tag by its words; None where they say nothing."""
    words = [word for word in _WORDS.split(tag.lower()) if word]
    parts = {part for word in words for part in word.split("_")} | set(words)
    last = words[-1] if words else ""
    if is_gradient(tag):
        return None if _PART_OF_GRADIENT.search(tag.lower()) else "grad_norm"
    if parts & {"lr", "learning_rate"} or "learning_rate" in tag.lower():
        return "learning_rate"
    if last in ("epoch", "epochs"):
        return "epoch"
    if "weight" in parts or "w" in parts or (parts & _NO_LOSS and "loss" not in parts):
        return None
    split = "val" if parts & _VALIDATION else "train"
    plain = [part for part in last.split("_") if part not in _NOT_A_TERM]
    bare = "_".join(plain or [part for word in words for part in word.split("_") if part not in _NOT_A_TERM])
    if last == "objective" and len(words) == 1:
        return "val/objective"
    if TOTAL.match(bare):
        return f"{split}/loss"
    known = "loss" in tag.lower() or bool(parts & (_VALIDATION | _TRAINING))
    term = next((term for term, pattern in TERMS.items() if pattern.search(bare)), None)
    return f"{split}/{term}" if term is not None and known else None


def is_gradient(tag: str) -> bool:
    """Whether a tag is some norm of a gradient."""
    return "grad" in tag.lower() and "norm" in tag.lower()


def _weight_in_name(tag: str) -> tuple[int, str]:
    return len(tag), tag


def weights_in(config: Mapping[str, object]) -> dict[str, float]:
    """The weight of each term that a flattened config (dotted keys) names."""
    found = {}
    for term, keys in WEIGHT_KEYS.items():
        value = number_under(config, keys)
        if value is not None:
            found[term] = value
    return found


def number_under(config: Mapping[str, object], keys: Iterable[str]) -> float | None:
    """The first number under one of the keys, wherever they are nested; of a list the last."""
    for key in keys:
        for path, value in config.items():
            if path == key or path.endswith("." + key):
                one = value[-1] if isinstance(value, list) and value else value
                if isinstance(one, (int, float)) and not isinstance(one, bool):
                    return float(one)
                if isinstance(one, str) and _NUMBER.fullmatch(one):  # YAML reads 1e-4 as text
                    return float(one)
    return None
