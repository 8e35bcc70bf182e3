"""Configs for MyXTTS: its whole YAML, a user's own YAML with the tuned leaves set, or lines of Python.

How that trainer reads its config was found in its source (myxtts/config/config.py, training/losses.py, trainer.py,
train_main.py; github.com/masoodafar-web/MyXTTSModel).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from xtts.export.comments import header, without_header
from xtts.export.errors import ExportError
from xtts.export.exporter import Export, Exporter, ExportJob
from xtts.export.tuned import WEIGHTS, Provenance, TunedConfig
from xtts.export.yaml_edit import YamlText, newline_of, set_in_section
from xtts.export.yaml_text import yaml_value

# The sd of MyXTTS's mel: un-normalised ln, 80 bands up to 11,025 Hz (measured 2.1 to 2.2 on speech).
MYXTTS_MEL_SD = 2.1

# Apart from the weights, the searched parameters that mean the same thing there.
_SAME_NAME = ("learning_rate", "weight_decay")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")
_MOST_NAMED = 20
_REMARKS = {
    "kl_loss_weight": "read by nothing in MyXTTS, which has no latent KL",
    "use_adaptive_loss_weights": "true lets the mel weight drift within 1 to 5",
}


@dataclass(frozen=True)
class TemplateFindings:
    """What is amiss in a user's MyXTTS config (`section.key`): `added` tuned keys that it did not have, `missing` other
    ones, `unknown` ones that XTTSConfig refuses to load, `unread` sections, and numbers that PyYAML reads as `text`,
    such as 1e-4."""

    added: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    text: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The findings for people, a sentence each; empty where there are none."""
        lines = []
        if self.added:
            lines.append(f"Missing in the template, added: {', '.join(self.added)}.")
        if self.missing:
            more = len(self.missing) - _MOST_NAMED
            rest = f" and {more} more" if more > 0 else ""
            named = ", ".join(self.missing[:_MOST_NAMED])
            lines.append(f"Missing in the template, so that MyXTTS's defaults hold: {named}{rest}.")
        if self.unread:
            lines.append(f"Sections that MyXTTS does not read, kept as they were: {', '.join(self.unread)}.")
        if self.unknown:
            lines.append(
                f"Unknown to MyXTTS, kept as they were: {', '.join(self.unknown)}. XTTSConfig.from_yaml raises a "
                "TypeError for an unknown key: remove them, unless your version of it knows them."
            )
        if self.text:
            lines.append(
                f"Numbers that PyYAML reads as text, kept as they were: {', '.join(self.text)}. Write 1e-4 as 1.0e-04."
            )
        return lines


def render_myxtts(tuned: TunedConfig, provenance: Provenance, template: str | None) -> str:
    """A YAML for `myxtts train --config`: every key of XTTSConfig, or the template with only the tuned leaves set.

    Raises ExportError for a template that is not such a config.
    """
    text = _defaults_text() if template is None else without_header(template)
    edited, added = set_in_section(text, "training", _leaves(tuned), _name(template), _REMARKS)
    findings = _findings(edited, added) if template is not None else TemplateFindings()
    notes = [*findings.lines(), *_notes(tuned)]
    mark = "\ufeff" if edited.startswith("\ufeff") else ""
    return mark + header(provenance, notes, newline_of(text), ascii_only=True) + edited.removeprefix(mark)


def compare_template(tuned: TunedConfig, template: str) -> TemplateFindings:
    """What `render_myxtts` will add to the template, and which of its keys MyXTTS does not know."""
    return _findings(*set_in_section(without_header(template), "training", _leaves(tuned), _name(template)))


def render_myxtts_override(tuned: TunedConfig, provenance: Provenance) -> str:
    """Python lines that set the tuned values on `config`, to paste into train_main.py, which reads no YAML."""
    where = (
        "Paste into main() of train_main.py, indented to match, after apply_optimization_level() and "
        "apply_fast_convergence_config(), which overwrite these values, and before XTTSTrainer(...) reads them."
    )
    lines = []
    for key, value in _values(tuned).items():
        remark = f"  # {_REMARKS[key]}" if key in _REMARKS else ""
        lines.append(f"config.training.{key} = {value!r}{remark}\n")
    return header(provenance, [where, *_notes(tuned)], ascii_only=True) + "".join(lines)


@cache
def known_keys() -> Mapping[str, tuple[str, ...]]:
    """The keys of each section of XTTSConfig, in its order."""
    sections = YamlText(_defaults_text(), "myxtts_defaults.yaml").loaded
    return {str(name): tuple(map(str, keys)) for name, keys in sections.items() if isinstance(keys, dict)}


@cache
def _defaults_text() -> str:
    return resources.files("xtts.export").joinpath("myxtts_defaults.yaml").read_text(encoding="utf-8")


def _name(template: str | None) -> str:
    return "myxtts_defaults.yaml" if template is None else "the template"


def _values(tuned: TunedConfig) -> dict[str, float | bool]:
    values: dict[str, float | bool] = {
        "mel_loss_weight": tuned.mel_loss_weight,
        "kl_loss_weight": tuned.kl_loss_weight,
        "gradient_clip_norm": tuned.gradient_clip_norm,
    }
    for name in _SAME_NAME:
        value = tuned.params.get(name)
        if name in tuned.searched and isinstance(value, int | float):
            values[name] = float(value)
    return values | {"use_adaptive_loss_weights": False}


def _leaves(tuned: TunedConfig) -> dict[str, str]:
    return {key: yaml_value(value) for key, value in _values(tuned).items()}


def _findings(edited: str, added: tuple[str, ...]) -> TemplateFindings:
    known = known_keys()
    unknown, as_text = [], []
    sections = YamlText(edited, _name(edited)).loaded
    for section, keys in sections.items():
        if not isinstance(keys, dict) or section not in known:
            continue
        for key, value in keys.items():
            if key not in known[str(section)]:
                unknown.append(f"{section}.{key}")
            elif isinstance(value, str) and _NUMBER.fullmatch(value):
                as_text.append(f"{section}.{key}")
    given = {name: keys if isinstance(keys := sections.get(name), dict) else {} for name in known}
    return TemplateFindings(
        added=tuple(f"training.{key}" for key in added),
        missing=tuple(f"{name}.{key}" for name, keys in known.items() for key in keys if key not in given[name]),
        unread=tuple(str(section) for section in sections if section not in known),
        unknown=tuple(unknown),
        text=tuple(as_text),
    )


def _notes(tuned: TunedConfig) -> list[str]:
    notes = [
        _mel_note(tuned),
        "kl_loss_weight is read by nothing in MyXTTS, which has no latent KL; it is written for the record. Never "
        "carry it over into attention_loss_weight: that scales an alignment KL, a different thing in other units.",
        f"gradient_clip_norm {tuned.gradient_clip_norm:g} counts where gradients are accumulated "
        "(gradient_accumulation_steps above 1, as train_main.py's --grad-accum sets it). Without, a fixed clip at 0.5 "
        "comes first, so that 0.5 to 1.0 are the same.",
        "use_adaptive_loss_weights is false: otherwise the mel weight drifts within 1 to 5 and the tuned one is lost.",
        "Read by `myxtts train --config FILE`. train_main.py reads no YAML: it needs the Python override "
        "(export to a name that ends in .py).",
    ]
    written = _values(tuned)
    if "learning_rate" in written:
        notes.append(
            "learning_rate was searched too, on a model of another size: it is the scheduler's peak there; "
            "try the old one too."
        )
    left = sorted(name for name in tuned.searched if name not in written and name not in WEIGHTS)
    if left:
        notes.append(f"Searched, but without a counterpart in MyXTTS, and not written: {', '.join(left)}.")
    return notes


def _mel_note(tuned: TunedConfig) -> str:
    weight = tuned.mel_loss_weight
    if not tuned.standardised:
        return f"mel_loss_weight {weight:g} was tuned on raw log-mel, as MyXTTS has it: no conversion is needed."
    sd, equivalent = f"{MYXTTS_MEL_SD:g}", f"{weight / MYXTTS_MEL_SD:.3g}"
    return (
        f"mel_loss_weight {weight:g} is the plain value, tuned on mel in sd units. MyXTTS's mel is un-normalised, with "
        f"an sd of about {sd}, so {weight:g} / {sd} = {equivalent} is roughly its equivalent. The plain value is right "
        "where the other weights (attention, stop, duration) were chosen for a mel weight of this size. "
        f"{equivalent} is right where the balance with the clip should be the sweep's: the plain one pulls {sd} times "
        f"harder there, as if the clip were {sd} times lower. Only roughly: its mel loss is a Huber (delta 1), which "
        f"pulls less on errors below 1, that is {1 / MYXTTS_MEL_SD:.2f} sd."
    )


def _render(job: ExportJob) -> Export:
    if job.output.suffix == ".py":
        if job.template is not None:
            raise ExportError(
                f"--template {job.template_path}: Python lines for train_main.py are written whole; "
                "leave the template out"
            )
        return Export(render_myxtts_override(job.tuned, job.provenance))
    lines = compare_template(job.tuned, job.template).lines() if job.template is not None else []
    return Export(render_myxtts(job.tuned, job.provenance, job.template), lines)


EXPORTER = Exporter(
    "YAML for myxtts train --config, or your own (--template); -o NAME.py: lines for train_main.py", _render, "optional"
)
