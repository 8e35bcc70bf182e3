"""Samples to listen to, each with its spectrogram, inside the page."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from sweeps.report.extras import Sample, SampleText
from sweeps.report.html import Html, tag
from sweeps.report.picture import png
from sweeps.report.words import Words

ORDER = ("real", "default", "best")
MOST_BYTES = 3_600_000
"""Of sound and pictures: 4.8 MB in base64, which leaves the rest of 6 MB to the charts and tables of 100 trials."""


def listening(words: Words, texts: Sequence[SampleText]) -> Html | None:
    """Sentence by sentence: the recording, the default, the best. What would make the page too large is named."""
    if not texts:
        return None
    fitting, left_out = _within(texts, MOST_BYTES)
    return tag(
        "section",
        tag("h2", words("listening"), id="listening-title"),
        tag("p", words("listening_note")),
        (_sentence(words, one, number) for number, one in enumerate(fitting, 1)),
        tag("p", words("samples_left_out", count=left_out), class_="quiet") if left_out else None,
        id="listening",
        aria_labelledby="listening-title",
    )


def _within(texts: Sequence[SampleText], most: int) -> tuple[list[SampleText], int]:
    """The samples of the first sentences that fit, and how many do not."""
    kept, used, left_out = [], 0, 0
    for one in texts:
        size = sum(len(sample.wav) + (0 if sample.picture is None else sample.picture.size) for sample in one.samples)
        if used + size <= most:
            used += size
            kept.append(one)
        else:
            left_out += len(one.samples)
    return kept, left_out


def _sentence(words: Words, one: SampleText, number: int) -> Html:
    ordered = sorted(one.samples, key=lambda sample: ORDER.index(sample.who))
    return tag(
        "div",
        tag("h3", tag("bdi", one.text, id=f"sentence-{number}")),
        tag("div", (_sample(words, sample, one.text) for sample in ordered), class_="samples"),
        class_="sentence",
    )


def _sample(words: Words, sample: Sample, text: str) -> Html:
    who = words(f"voice_{sample.who}")
    picture = None
    if sample.picture is not None and sample.picture.ndim == 2 and sample.picture.size:
        alt = words("spectrogram_of", who=who, text=text)
        picture = tag("img", src=_data_uri("image/png", png(sample.picture)), alt=alt)
    sound = _data_uri("audio/wav", sample.wav)
    return tag(
        "figure",
        tag("figcaption", who),
        picture,
        tag("audio", controls=True, preload="none", src=sound, aria_label=f"{who}: {text}"),
        class_=f"sample {sample.who}",
    )


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
