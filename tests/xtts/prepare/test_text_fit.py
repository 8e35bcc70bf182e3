"""Texts and recordings of a data set: lengths that go together, letters in order, no recording under several texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import xtts.prepare
from tests.xtts.made_speech import write_clip, write_metadata
from xtts.data.build_dataset import build_dataset
from xtts.errors import SpeechError
from xtts.prepare.health import check
from xtts.prepare.text_fit import LEAST_CLIPS, NO_AGREEMENT, REPEATED, length_agreement, text_fit

SENTENCES = (Path(xtts.prepare.__file__).parent / "demo_sentences" / "en.txt").read_text("utf-8").splitlines()


def sentences(count: int) -> list[str]:
    """Of different lengths: one to five sentences each."""
    return [" ".join(SENTENCES[3 * at : 3 * at + 1 + at % 5]) for at in range(count)]


def spoken(texts: list[str], seed: int) -> np.ndarray:
    """Seconds of texts, with a pace that varies by a quarter and with pauses."""
    rng = np.random.default_rng(seed)
    return np.array([0.3 + len(text) / 14 * rng.lognormal(0, 0.25) + rng.exponential(0.3) for text in texts])


@pytest.mark.parametrize("seed", range(20))
def test_lengths_agree_with_right_texts_and_not_with_permuted_ones(seed: int) -> None:
    texts = sentences(24)
    seconds = spoken(texts, seed)
    right, wrong = (
        length_agreement(texts, seconds),
        length_agreement(texts, np.random.default_rng(seed).permutation(seconds)),
    )
    assert right is not None
    assert wrong is not None
    assert wrong < NO_AGREEMENT < right


def test_a_tie_has_the_mean_of_its_ranks() -> None:
    texts = ["a" * (1 + at // 2) for at in range(40)]
    assert length_agreement(texts, [len(text) for text in texts]) == pytest.approx(1)


def test_lengths_that_hardly_differ_or_are_few_say_nothing() -> None:
    texts = sentences(40)
    assert length_agreement(texts[: LEAST_CLIPS - 1], spoken(texts[: LEAST_CLIPS - 1], 0)) is None
    assert length_agreement([text[:50] for text in texts], spoken(texts, 0)) is None
    assert length_agreement(texts, np.full(40, 3.0)) is None
    assert length_agreement(texts, np.zeros(40)) is None


def written(folder: Path, texts: list[str], of: list[int], pace: float = 150) -> Path:
    """Clips as long as the texts ask for; clip n is that of text `of[n]`."""
    for at, source in enumerate(of):
        write_clip(folder / "wavs" / f"c{at:02d}.wav", len(texts[source]) / pace, seed=source)
    write_metadata(folder, [f"c{at:02d}|{text}" for at, text in enumerate(texts)])
    return folder


def test_a_folder_is_read_without_decoding_its_recordings(tmp_path: Path) -> None:
    texts, order = sentences(24), [*range(24)]
    right = text_fit(written(tmp_path / "right", texts, order))
    assert right.clips == 24
    assert right.length_agreement is not None
    assert right.length_agreement > NO_AGREEMENT
    assert right.letter_order is not None
    assert right.repeated == 0
    wrong = text_fit(written(tmp_path / "wrong", texts, np.random.default_rng(0).permutation(order).tolist()))
    assert wrong.length_agreement is not None
    assert wrong.length_agreement < NO_AGREEMENT
    repeated = text_fit(written(tmp_path / "repeated", texts, [3] * 24))
    assert (repeated.length_agreement, repeated.repeated) == (None, 1.0)


@pytest.mark.usefixtures("own_cache")
def test_the_health_of_a_data_set_names_texts_of_other_recordings(tmp_path: Path) -> None:
    texts = [SENTENCES[at][: 8 + 4 * (at % 10)].strip() for at in range(40)]
    order = [*range(40)]
    right = check(build_dataset(written(tmp_path / "right", texts, order, pace=14)))
    wrong = check(build_dataset(written(tmp_path / "wrong", texts, order[::-1], pace=14), accept_unusable=True))
    for health, found in ((right, False), (wrong, True)):
        assert any("as long as those of other recordings" in one.what for one in health.findings) == found
    assert right.length_agreement is not None
    assert right.length_agreement > 0.95


def test_a_few_doubles_or_one_text_spoken_twice_are_no_repeats(tmp_path: Path) -> None:
    texts, order = sentences(24), [*range(24)]
    assert 0 < text_fit(written(tmp_path / "two", texts, [*order[:-1], 0])).repeated < REPEATED
    texts[23] = texts[0]
    assert text_fit(written(tmp_path / "same", texts, [*order[:-1], 0])).repeated == 0


def test_a_folder_that_is_no_data_set_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SpeechError):
        text_fit(tmp_path)
