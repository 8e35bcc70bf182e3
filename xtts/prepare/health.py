"""What a data set is like and what is wrong with it, before a GPU hour is spent on it."""

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from xtts.audio.mel import SAMPLE_RATE
from xtts.data.dataset import Dataset
from xtts.data.exclusion import REASONS
from xtts.data.splits import SPLIT_NAMES, TRAIN
from xtts.data.usable_clips import suspicious_rate
from xtts.prepare.letter_order import NO_ORDER, letter_order
from xtts.prepare.text_fit import NO_AGREEMENT, length_agreement

NAMED = 5
"""Files named for each finding in the printed report; the JSON names them all."""
CLIPPED_SHARE = 0.001
"""A clip with a larger share of its samples at full scale is called clipped."""
LONG_SILENCE_SECONDS = 0.75
LARGE_ALPHABET = 100
LARGE_OFFSET = 0.02
"""A clip whose samples have a larger constant offset than this share of full scale is named."""
QUIET_DB = -35.0
"""A clip whose loudest frame is below this is called quiet."""
OUTLIER_SPREADS = 4.0
"""Distance from the median, in robust standard deviations, from which on a clip is called an outlier."""
WATCHED_WEIGHT = 35.0
"""The mel weight that people have used on un-normalised mel."""


@dataclass(frozen=True)
class Finding:
    """Something to look at: what it is, and the recordings it concerns, worst first."""

    what: str
    files: tuple[str, ...]

    def line(self) -> str:
        """For the terminal: the count, what it is, and the first few files."""
        more = len(self.files) - NAMED
        named = ", ".join(self.files[:NAMED])
        return f"{len(self.files):,} {self.what}: {named}{f' and {more:,} more' if more > 0 else ''}"


@dataclass(frozen=True)
class HealthReport:
    """Figures of a data set and everything about it that a person should look at."""

    clips: int
    hours: float
    splits: dict[str, int]
    speakers: dict[str, int]
    sample_rates: dict[int, int]
    seconds: dict[str, float]
    """Shortest, median and longest clip."""
    clipped_share: float
    """Share of all samples at full scale."""
    silence_share: float
    """Share of the time that is silence before or after the speech."""
    characters_per_second: dict[str, float]
    """5th percentile, median and 95th percentile over clips."""
    vocabulary: int
    texts: int
    """How many different texts there are."""
    mel_mean: float
    mel_sd: float
    mel_absolute: float
    """Mean absolute un-normalised ln-mel: the L1 error of a model that predicts zero."""
    excluded: dict[str, int]
    findings: tuple[Finding, ...]
    fingerprint: str
    columns: tuple[str, ...] = ()
    """What each column of the metadata was taken for."""
    alignment: dict[str, Any] | None = None
    """What the aligner says, where it has run: mean confidence and the clips that do not align."""
    letter_order: float | None = None
    """See xtts.prepare.letter_order; near 1 where the letters of the texts stand in no order."""
    length_agreement: float | None = None
    """See xtts.prepare.text_fit; near 0 where the texts are those of other recordings."""

    @property
    def unnormalised_loss(self) -> float:
        """The weighted loss that a trainer on un-normalised mel prints before it has learned anything."""
        return WATCHED_WEIGHT * self.mel_absolute

    def lines(self) -> list[str]:
        """The report for the terminal."""
        shortest, median, longest = self.seconds["shortest"], self.seconds["median"], self.seconds["longest"]
        pace = self.characters_per_second
        kept = ", ".join(f"{count:,} {name}" for name, count in self.splits.items())
        return [
            *(f"columns      {line}" for line in self.columns),
            f"clips        {self.clips:,} in {_duration(self.hours)} ({kept})",
            f"speakers     {_counted(self.speakers)}",
            f"rates        {', '.join(f'{rate:,} Hz: {count:,}' for rate, count in self.sample_rates.items())}",
            f"lengths      {shortest:.2f} to {longest:.2f} s, half of them under {median:.2f} s",
            f"texts        {self.texts:,} different, of {self.vocabulary} characters; "
            f"{pace['median']:.1f} characters a second, 90 % of clips {pace['p5']:.1f} to {pace['p95']:.1f}",
            f"samples      {100 * self.clipped_share:.3g} % at full scale, "
            f"{100 * self.silence_share:.1f} % of the time is silence around the speech",
            f"ln-mel       mean {self.mel_mean:.2f}, sd {self.mel_sd:.2f} (training split)",
            f"three digits a trainer on un-normalised mel with weight {WATCHED_WEIGHT:g} begins near "
            f"{WATCHED_WEIGHT:g} x {self.mel_absolute:.3f} = {self.unnormalised_loss:.0f}, "
            "the error of predicting zero: units, not bad learning",
            *(f"alignment    {name.replace('_', ' ')}: {value}" for name, value in (self.alignment or {}).items()),
            *(f"look at      {finding.line()}" for finding in self.findings),
        ]

    def as_dict(self) -> dict[str, Any]:
        """The report for --json, with every file named."""
        findings = [asdict(finding) for finding in self.findings]
        return asdict(self) | {"findings": findings, "unnormalised_loss": self.unnormalised_loss}


def check(speech: Dataset, alignment: dict[str, Any] | None = None) -> HealthReport:
    """The health of prepared speech, from figures that extraction noted: no recording is read again."""
    figures = speech.figures
    seconds = figures.seconds
    weights = speech.frames / speech.frames.sum()
    characters = np.array([len(text) for text in speech.texts])
    silence = figures.silence_before + figures.silence_after
    counts = np.bincount(speech.speaker_index, minlength=len(speech.speakers))
    rates, rate_counts = np.unique(figures.sample_rate, return_counts=True)
    excluded = Counter(exclusion.reason for exclusion in speech.exclusions)
    order, agreement = letter_order(speech.texts), length_agreement(speech.texts, seconds)
    return HealthReport(
        clips=len(speech),
        hours=float(seconds.sum() / 3600),
        splits={name: len(speech.indices(split)) for split, name in enumerate(SPLIT_NAMES)},
        speakers={speech.speakers[at]: int(counts[at]) for at in np.argsort(-counts, kind="stable")},
        sample_rates={int(rate): int(count) for rate, count in zip(rates, rate_counts, strict=True)},
        seconds={
            "shortest": float(seconds.min()),
            "median": float(np.median(seconds)),
            "longest": float(seconds.max()),
        },
        clipped_share=float(figures.clipped_share @ weights),
        silence_share=float(silence.sum() / seconds.sum()),
        characters_per_second=dict(
            zip(("p5", "median", "p95"), np.percentile(characters / seconds, (5, 50, 95)).tolist(), strict=True)
        ),
        vocabulary=len(speech.vocabulary),
        texts=len(set(speech.texts)),
        mel_mean=speech.mel_mean,
        mel_sd=speech.mel_sd,
        mel_absolute=float(figures.mel_absolute @ weights),
        excluded=dict(excluded.most_common()),
        findings=(*_without_order(order), *_of_others(agreement), *_findings(speech, characters)),
        fingerprint=speech.fingerprint,
        columns=speech.columns,
        alignment=alignment,
        letter_order=order,
        length_agreement=agreement,
    )


def _findings(speech: Dataset, characters: npt.NDArray[np.int64]) -> tuple[Finding, ...]:
    figures = speech.figures
    seconds, clipped, level = figures.seconds, figures.clipped_share, figures.level_db
    offset = np.abs(figures.offset)
    before, after, rate = figures.silence_before, figures.silence_after, figures.sample_rate
    length = _robust_spreads(np.log(seconds))
    ratio = seconds / _usual_seconds(characters, seconds)
    pace = _robust_spreads(np.log(ratio))

    def clips(what: str, values: npt.NDArray[Any], is_bad: npt.NDArray[np.bool_], unit: str) -> list[Finding]:
        bad = np.flatnonzero(is_bad)
        far_first = bad[np.argsort(-np.abs(values[bad] - np.median(values)), kind="stable")]
        files = tuple(f"{speech.ids[at]} ({_shown(float(values[at]))} {unit})" for at in far_first)
        return [Finding(what, files)] if files else []

    return (
        *_wrong_rate(speech),
        *_left_out(speech),
        *(Finding(what, named) for what, named in speech.notes),
        *_untrained_characters(speech),
        *clips("clipped (share of samples at full scale)", 100 * clipped, clipped > CLIPPED_SHARE, "%"),
        *clips("quiet (loudest frame, below full scale)", level, level < QUIET_DB, "dB"),
        *clips("with a constant offset, taken out (share of full scale)", 100 * offset, offset > LARGE_OFFSET, "%"),
        *clips("with long silence before the speech", before, before > LONG_SILENCE_SECONDS, "s"),
        *clips("with long silence after the speech", after, after > LONG_SILENCE_SECONDS, "s"),
        *clips("much longer than the others", seconds, length > OUTLIER_SPREADS, "s"),
        *clips("much shorter than the others", seconds, length < -OUTLIER_SPREADS, "s"),
        *clips("too long for the text, against the others", ratio, pace > OUTLIER_SPREADS, "times"),
        *clips("too short for the text, against the others", ratio, pace < -OUTLIER_SPREADS, "times"),
        *clips(f"recorded below {SAMPLE_RATE:,} Hz: upper mels are empty", rate, rate < SAMPLE_RATE, "Hz"),
        *_repeats(speech),
        *_lonely_speakers(speech),
    )


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _left_out(speech: Dataset) -> list[Finding]:
    named: dict[str, list[str]] = defaultdict(list)
    for exclusion in speech.exclusions:
        named[exclusion.reason].append(f"{exclusion.id} ({exclusion.detail})")
    return [Finding(f"left out, {REASONS[reason]}", tuple(names)) for reason, names in named.items()]


def _wrong_rate(speech: Dataset) -> list[Finding]:
    wrong = suspicious_rate(speech)
    return [Finding("set of texts that are no speech, and that a sweep refuses", (wrong,))] if wrong else []


def _without_order(order: float | None) -> list[Finding]:
    if order is None or order < NO_ORDER:
        return []
    named = f"a letter is {order:.0%} as uncertain after the one before as in shuffled texts; in a language about 80 %"
    return [Finding("set of texts whose letters stand in no order", (named,))]


def _of_others(agreement: float | None) -> list[Finding]:
    if agreement is None or agreement >= NO_AGREEMENT:
        return []
    named = f"their lengths agree to {agreement:.2f} (rank correlation), with right texts to 0.8 or more"
    return [Finding("set of texts that are as long as those of other recordings", (named,))]


def _untrained_characters(speech: Dataset) -> list[Finding]:
    """Characters of a large alphabet that no training text has: their tokens are never learned."""
    if len(speech.vocabulary) < LARGE_ALPHABET:
        return []
    trained = set().union(*(set(speech.texts[at]) for at in speech.indices(TRAIN)))
    first: dict[str, str] = {}
    for id, text in zip(speech.ids, speech.texts, strict=True):
        for character in set(text) - trained:
            first.setdefault(character, id)
    named = tuple(f"{character} ({id})" for character, id in sorted(first.items()))
    return [Finding("characters in validation or test texts that no training text has", named)] if named else []


def _repeats(speech: Dataset) -> list[Finding]:
    """Texts spoken more than once, which is fine, and recordings that stand twice, of which one text is often wrong."""
    by_text: dict[str, list[str]] = defaultdict(list)
    by_content: dict[tuple[int, int], list[str]] = defaultdict(list)
    for at, id in enumerate(speech.ids):
        by_text[speech.texts[at]].append(id)
        by_content[int(speech.frames[at]), int(speech.figures.crc32[at])].append(id)
    found = []
    for what, groups in (("texts spoken more than once", by_text), ("recordings under several ids", by_content)):
        repeated = sorted((ids for ids in groups.values() if len(ids) > 1), key=len, reverse=True)
        if repeated:
            found.append(Finding(what, tuple(" = ".join(ids) for ids in repeated)))
    return found


def _lonely_speakers(speech: Dataset) -> list[Finding]:
    counts = np.bincount(speech.speaker_index, minlength=len(speech.speakers))
    names = tuple(speech.speakers[at] for at in np.flatnonzero(counts == 1))
    return [Finding("speakers with one clip, which leaves none to take the voice from", names)] if names else []


def _usual_seconds(characters: npt.NDArray[np.int64], seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Length that texts of so many characters have here: a line with the least absolute error (reweighted fits)."""
    columns = np.stack([np.ones(len(characters)), characters], axis=1)
    weights: npt.NDArray[np.floating[Any]] = np.ones(len(characters))
    line = np.zeros(2)
    for _ in range(20):
        line = np.linalg.lstsq(columns * weights[:, None], seconds * weights, rcond=None)[0]
        weights = 1 / np.sqrt(np.maximum(np.abs(columns @ line - seconds), 0.01))
    return np.maximum(columns @ line, 0.05)


def _robust_spreads(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Distances from the median in standard deviations, estimated by the median absolute deviation."""
    distances = values - np.median(values)
    spread = 1.4826 * float(np.median(np.abs(distances)))
    # Where clips agree closely, half as much again is still no outlier.
    return distances / max(spread, 0.1)


def _duration(hours: float) -> str:
    return f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.1f} minutes"


def _counted(counts: dict[str, int]) -> str:
    named = ", ".join(f"{name}: {count:,}" for name, count in list(counts.items())[:NAMED])
    more = len(counts) - NAMED
    return f"{len(counts)} ({named}{f' and {more:,} more' if more > 0 else ''})"
