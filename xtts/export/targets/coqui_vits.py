"""A complete config.json for Coqui's VITS, from one that its training wrote.

Coqui ignores unknown keys silently and fills missing ones with defaults, so nothing is taken on trust: the keys to be
set must exist in the base file, and the result is loaded again and compared, by the coqui-tts package itself where it
is installed, else against the list of its keys in coqui_vits_keys.json. JSON has no comments: the provenance is a list
of lines under a key of its own, which Coqui does not read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module, metadata, resources
from typing import Any

from xtts.export.comments import provenance_lines
from xtts.export.coqui_units import coqui_weights
from xtts.export.errors import ExportError
from xtts.export.exporter import KIB, Export, Exporter, ExportJob
from xtts.export.tuned import Provenance, TunedConfig

PROVENANCE_KEY = "_exported_by_xtts_sweep"

_SET = ("mel_loss_alpha", "kl_loss_alpha", "grad_clip")


@dataclass(frozen=True)
class _KnownKeys:
    package: str
    keys: frozenset[str]


@dataclass(frozen=True)
class _Coqui:
    """The installed package's name and version, and its VitsConfig."""

    name: str
    config_class: Any


def render_coqui_vits(tuned: TunedConfig, provenance: Provenance, base_json: str) -> str:
    """The base config with kl_loss_alpha and the generator's clip set in VITS's units, and its provenance.

    Raises ExportError for a base that is no complete VITS config, or a result that does not load as intended.
    """
    base = _base(base_json)
    weights = coqui_weights(tuned, _positive(base, "mel_loss_alpha"), _number(base, "kl_loss_alpha"), _mel_bands(base))
    clips = _clips(base)
    leaves = {
        "mel_loss_alpha": base["mel_loss_alpha"],
        "kl_loss_alpha": weights.kl_loss_alpha,
        "grad_clip": [clips[0], weights.generator_clip],
    }
    coqui = _coqui()
    known = _known_keys()
    unknown = [key for key in base if key not in known.keys]
    absent = sorted(known.keys - base.keys())
    lines = [*provenance_lines(provenance), *weights.formulas]
    if "learning_rate" in tuned.searched:
        lines.append("learning_rate was searched too, but not written: lr_gen and lr_disc belong to another network.")
    if unknown:
        lines.append(f"Kept, but unknown to {known.package}, which ignores them silently: {', '.join(unknown)}.")
    if absent:
        lines.append(f"Missing in the base file, so that Coqui's defaults hold: {', '.join(absent)}.")
    checked = coqui.name if coqui is not None else f"the list of keys of {known.package}"
    lines.append(f"Loaded again and compared with {checked}.")
    document: dict[str, object] = {PROVENANCE_KEY: lines, **base, **leaves}
    text = json.dumps(document, indent=4, ensure_ascii=base_json.isascii()) + "\n"
    written = json.loads(text)
    if written != document:
        raise ExportError(
            "the base file's values do not survive writing; give a config.json that Coqui's training wrote"
        )
    if coqui is not None:
        _check_with_coqui(coqui, base, written, leaves)
    return text


def _base(base_json: str) -> dict[str, object]:
    try:
        base = json.loads(base_json.removeprefix("\ufeff"), object_pairs_hook=_without_duplicates)
    except json.JSONDecodeError as error:
        raise ExportError(
            f"the base file is not JSON: line {error.lineno}, column {error.colno}: {error.msg}; "
            "give a config.json that Coqui's training wrote, without comments"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ExportError(f"the base file is not JSON that can be read: {str(error) or 'nested too deeply'}") from error
    if not isinstance(base, dict):
        raise ExportError(f"the base file holds a {type(base).__name__}, not a Coqui config; give a VITS config.json")
    base.pop(PROVENANCE_KEY, None)
    model = base.get("model")
    if not isinstance(model, str) or model.lower() != "vits":
        raise ExportError(f"the base file's model is {model!r}, not 'vits'; give a VITS config.json")
    needed = (*_SET, "audio", "model_args")
    missing = [key for key in needed if key not in base]
    if missing:
        raise ExportError(f"the base file has no {', '.join(missing)}; give a complete VITS config.json")
    for section in ("audio", "model_args"):
        if not isinstance(base[section], dict):
            raise ExportError(f"the base file's {section} is not an object; give a complete VITS config.json")
    return base


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"duplicate key {key!r}")
        found[key] = value
    return found


def _number(base: Mapping[str, object], key: str) -> float:
    value = base[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ExportError(f"the base file's {key} is {value!r}, not a number")
    return float(value)


def _positive(base: Mapping[str, object], key: str) -> float:
    value = _number(base, key)
    if value <= 0:
        raise ExportError(f"the base file's {key} is {value:g}; the other weights need a positive one to refer to")
    return value


def _clips(base: Mapping[str, object]) -> list[int | float]:
    clips = base["grad_clip"]
    if isinstance(clips, list) and len(clips) == 2:
        numbers = [clip for clip in clips if isinstance(clip, int | float) and not isinstance(clip, bool)]
        if len(numbers) == 2:
            return numbers
    raise ExportError(f"the base file's grad_clip is {clips!r}; VITS needs a list of two numbers, such as [1000, 1000]")


def _mel_bands(base: Mapping[str, object]) -> int:
    audio = base["audio"]
    bands = audio.get("num_mels", 80) if isinstance(audio, dict) else 80
    if isinstance(bands, bool) or not isinstance(bands, int) or bands < 1:
        raise ExportError(f"the base file's audio.num_mels is {bands!r}, not a number of mel bands")
    return bands


@cache
def _known_keys() -> _KnownKeys:
    text = resources.files("xtts.export").joinpath("coqui_vits_keys.json").read_text(encoding="utf-8")
    listed = json.loads(text)
    known = _KnownKeys(listed["package"], frozenset(listed["keys"]))
    assert known.keys >= set(_SET)
    return known


def _coqui() -> _Coqui | None:
    try:
        config_class = import_module("TTS.tts.configs.vits_config").VitsConfig
        return _Coqui(f"coqui-tts {metadata.version('coqui-tts')}", config_class)
    except Exception:  # Its import fails in other ways than ImportError where one of its dependencies does not fit.
        return None


def _check_with_coqui(
    coqui: _Coqui, base: Mapping[str, object], written: Mapping[str, object], leaves: Mapping[str, object]
) -> None:
    """Load base and result with Coqui's own class: the leaves must arrive, and nothing else may have changed."""
    try:
        before, after = coqui.config_class(), coqui.config_class()
        before.from_dict(dict(base))
        after.from_dict(dict(written))
        old, new = before.to_dict(), after.to_dict()
    except Exception as error:
        raise ExportError(f"{coqui.name} does not load the base file: {' '.join(str(error).split())[:200]}") from error
    wrong = [key for key in old if new.get(key) != leaves.get(key, old[key])]
    if wrong:
        raise ExportError(
            f"{coqui.name} reads {', '.join(wrong)} differently than written; give a base file of its version"
        )


def _render(job: ExportJob) -> Export:
    assert job.template is not None
    return Export(render_coqui_vits(job.tuned, job.provenance, job.template))


EXPORTER = Exporter(
    "JSON for Coqui's VITS, made from your config.json (--template)", _render, "required", 16 * KIB * KIB
)
