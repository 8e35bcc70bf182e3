"""The figures by which two orders of configs are compared hold where the truth is known."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmarks.carry_over import Array, CarryOver, Side, lines, part_of, ratios, spearman
from benchmarks.real_curves import sobol_configs

CONFIGS = 11


def side(name: str, effects: Array, seeds: int = 2, noise: float = 0.0, seed: int = 0) -> Side:
    """Ends with these log effects; each seed shifts all configs alike, and each run by `noise`."""
    rng = np.random.default_rng(seed)
    shared, own = 0.05 * rng.standard_normal((1, seeds)), noise * rng.standard_normal((len(effects), seeds))
    return Side(name, tuple(f"config {n}" for n in range(len(effects))), -0.9 + effects[:, None] + shared + own)


def test_spearman_is_that_of_scipy_with_ties_too() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.integers(6, size=(50, CONFIGS)), rng.integers(6, size=(50, CONFIGS))
    expected = [stats.spearmanr(a, b).statistic for a, b in zip(one, other, strict=True)]
    assert spearman(one, other) == pytest.approx(expected)


def test_the_same_order_agrees_in_everything_and_the_reverse_in_nothing() -> None:
    effects = np.linspace(0.05, -0.05, CONFIGS)
    found = CarryOver.between(side("a", effects), side("b", 3 * effects + 0.2))
    assert found.correlation == pytest.approx(1)
    assert found.interval == pytest.approx((1, 1))
    assert found.ceiling == pytest.approx(1)
    assert (found.top, found.same_signs.share, found.words) == (3, 1.0, (10, 0, 0))
    assert found.chance < 0.01
    assert found.taken() == (
        "config 10",
        pytest.approx(100 * -math.expm1(-0.3)),
        1,
        pytest.approx(100 * -math.expm1(-0.3)),
    )
    reverse = CarryOver.between(side("a", effects), side("b", -effects))
    assert reverse.correlation == pytest.approx(-1)
    assert (reverse.top, reverse.same_signs.hits, reverse.words) == (0, 0, (0, 10, 0))
    name, gain, rank, most = reverse.taken()
    assert (name, rank) == ("config 10", CONFIGS)
    assert gain < 0 == most


def test_only_the_order_of_the_configs_matters_and_configs_are_matched_by_name() -> None:
    rng = np.random.default_rng(2)
    one, other = side("a", 0.03 * rng.standard_normal(CONFIGS)), side("b", 0.03 * rng.standard_normal(CONFIGS))
    order = [0, *(1 + rng.permutation(CONFIGS - 1))]
    shuffled = Side("b", tuple(other.configs[n] for n in order), other.ends[order])
    plain, matched = CarryOver.between(one, other), CarryOver.between(one, shuffled)
    assert lines(matched) == lines(plain)
    stretched = Side("b", other.configs, 2 * other.ends + 1)
    assert CarryOver.between(one, stretched).correlation == pytest.approx(plain.correlation)
    assert CarryOver.between(other, one).correlation == pytest.approx(plain.correlation)


def test_sides_that_have_nothing_in_common_are_near_zero_and_seldom_pass_for_more() -> None:
    rng = np.random.default_rng(3)
    found = []
    for _ in range(200):
        effects = 0.03 * rng.standard_normal((2, CONFIGS))
        found.append(CarryOver(side("a", effects[0]), side("b", effects[1]), resamples=300))
    assert abs(np.mean([one.correlation for one in found])) < 0.07
    assert np.mean([one.chance < 0.05 for one in found]) < 0.1
    assert np.mean([one.interval[0] <= 0 <= one.interval[1] for one in found]) > 0.87


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng, latent = np.random.default_rng(4), 0.8
    truth = 6 / math.pi * math.asin(latent / 2)  # Spearman's of a normal pair
    held = []
    for number in range(200):
        first, second = rng.standard_normal((2, CONFIGS))
        effects = 0.03 * np.array([first, latent * first + math.sqrt(1 - latent**2) * second])
        low, high = CarryOver(
            side("a", effects[0], noise=0.001, seed=number),
            side("b", effects[1], noise=0.001, seed=1000 + number),
            resamples=300,
        ).interval
        held.append(low <= truth <= high)
    assert np.mean(held) > 0.87


def test_the_ratio_that_an_order_follows_is_named() -> None:
    names = tuple(sobol_configs(CONFIGS))
    found = ratios(names)
    assert found["mel/kl"][0] == 2.5  # the default's
    sides = [Side(name, names, side(name, 0.01 * np.log(found["mel/kl"])).ends) for name in ("a", "b")]
    said = "\n".join(lines(CarryOver.between(*sides)))
    assert "rank correlation of the effects with mel/kl: +1.00 a, +1.00 b" in said
    assert ratios(("somebody's", "own")) == {}


def test_two_sides_that_agree_reach_the_ceiling_that_their_noise_leaves() -> None:
    rng = np.random.default_rng(5)
    many = 400
    effects = 0.02 * rng.standard_normal(many)
    one, other = side("a", effects, noise=0.02, seed=6), side("b", effects, noise=0.02, seed=7)
    found = CarryOver.between(one, other)
    assert one.agreement == pytest.approx(0.48, abs=0.1)  # 6/pi asin(.5/2), half of the variance is noise
    assert found.ceiling is not None
    assert found.correlation == pytest.approx(found.ceiling, abs=0.08)
    assert found.correlation < 0.75


def test_noise_makes_a_config_not_clear_against_the_default() -> None:
    effects = np.array([0.0, -0.002, 0.002, -0.2, 0.2, 0.001, -0.001, 0.0015, -0.0015, 0.0005, -0.0005])
    noisy = side("a", effects, noise=0.01, seed=8)
    assert [noisy.word(n) for n in (1, 3, 4)] == ["not clear", "better", "worse"]
    single = side("a", effects, seeds=1)
    assert (single.agreement, single.margin, single.word(3)) == (None, math.inf, "not clear")
    assert "ceiling by noise not known" in lines(CarryOver.between(single, noisy))[1]


def write(path: Path, runs: list[tuple[str, int, list[float]]]) -> str:
    rows = [json.dumps({"config": name, "seed": seed, "objectives": curve}) for name, seed, curve in runs]
    path.write_text("".join(row + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_a_file_that_was_cut_off_gives_its_whole_seeds(tmp_path: Path) -> None:
    whole = [(name, 1, [0.9, 0.5, level, level]) for name, level in zip("abcd", (0.4, 0.3, 0.5, 0.6), strict=True)]
    place = write(tmp_path / "cut.jsonl", [*whole, ("a", 2, [0.9, 0.4, 0.4, 0.4])])
    found = Side.read(place, last=2)
    assert (found.name, found.configs, found.seeds) == ("cut", ("a", "b", "c", "d"), 1)
    assert np.exp(found.ends[:, 0]) == pytest.approx([0.4, 0.3, 0.5, 0.6])
    begun = Side.read(place, seeds_wanted=2)
    assert (begun.configs, begun.seeds) == (("a",), 2)
    with pytest.raises(SystemExit, match="no seed with a run of every config"):
        Side.read(str(tmp_path / "none.jsonl"))
    few = Side.read(write(tmp_path / "few.jsonl", whole[:3]))
    with pytest.raises(SystemExit, match="3 configs in common"):
        CarryOver.between(found, few)


def test_a_part_of_the_speech_is_the_same_each_time(tmp_path: Path) -> None:
    import soundfile

    (tmp_path / "speech" / "wavs").mkdir(parents=True)
    for number in range(40):
        length = 0.5 if number % 4 == 0 else 2.0
        clip = tmp_path / "speech" / "wavs" / f"c{number}.wav"
        soundfile.write(clip, np.zeros(int(8000 * length)), 8000)
    text = "".join(f"c{number}|text {number}\n" for number in range(40))
    (tmp_path / "speech" / "metadata.csv").write_text(text)
    parts = [part_of(tmp_path / "speech", 0.5, tmp_path / name) for name in ("one", "two")]
    first, second = (part.joinpath("metadata.csv").read_text().splitlines() for part in parts)
    assert first == second
    assert len(first) == 15  # of 2 s each
    assert {line.partition("|")[0] for line in first} == {clip.stem for clip in (parts[0] / "wavs").iterdir()}
    assert not any(int(line.partition("|")[0][1:]) % 4 == 0 for line in first)
