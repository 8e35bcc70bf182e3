"""Spaces: what they allow, and what is said about a file that is wrong."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeps.common.errors import RequestError
from sweeps.space.parameter import DISTRIBUTIONS
from sweeps.space.parameter import KEYS as PARAMETER_KEYS
from sweeps.space.space import beyond_limits
from sweeps.space.space_file import KEYS, load_space, space_from_mapping, space_names
from tests.sweeps.builders import LIMITS

WORDS = st.text("abcdefghijklmnopqrstuvwxyz_", max_size=8) | st.sampled_from(
    [*KEYS, *PARAMETER_KEYS, *DISTRIBUTIONS, "mel_loss_weight", "label", "params", ""]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=5)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | SCALARS, inner, max_size=4),
    max_leaves=12,
)


def write(folder: Path, text: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def refusal(text: str, folder: Path) -> str:
    with pytest.raises(RequestError) as refused:
        load_space(write(folder, text))
    assert "\n" not in str(refused.value)
    return str(refused.value)


def what_is_said(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except RequestError as error:
        return str(error)
    return ""


def test_shipped_spaces_load_and_stay_inside_the_limits() -> None:
    assert {"safe_weights", "balance", "with_learning_rate", "before_after"} <= set(space_names())
    for name in space_names():
        assert beyond_limits(load_space(name), {}, LIMITS, allow_unsafe=False) == []


def test_the_default_of_the_searched_spaces_is_the_documented_one() -> None:
    for name in ("safe_weights", "balance", "with_learning_rate"):
        params = load_space(name).default(LIMITS).params
        assert [
            params[hyperparameter] for hyperparameter in ("mel_loss_weight", "kl_loss_weight", "gradient_clip_norm")
        ] == [2.5, 1.0, 0.5]


def test_every_point_of_every_searched_space_is_inside_the_limits() -> None:
    grid = [0.0, 0.03, 0.31, 0.5, 0.77, 1.0]
    for name in ("safe_weights", "balance", "with_learning_rate"):
        space = load_space(name)
        for units in itertools.product(grid, repeat=len(space.searched)):
            assert LIMITS.problems(space.at(units, LIMITS).params) == []


def test_the_ends_of_a_range_can_be_reached_exactly() -> None:
    space = load_space("safe_weights")
    assert space.at([0.0, 0.0, 0.0]).params == {
        "mel_loss_weight": 1.0,
        "kl_loss_weight": 0.5,
        "gradient_clip_norm": 0.3,
    }
    assert space.at([1.0, 1.0, 1.0]).params == {
        "mel_loss_weight": 5.0,
        "kl_loss_weight": 2.0,
        "gradient_clip_norm": 1.0,
    }


def test_balance_keeps_the_ratios_it_searched_where_the_limits_allow_them() -> None:
    space = load_space("balance")
    for units in itertools.product([0.1, 0.4, 0.6, 0.9], repeat=2):
        config = space.at(units, LIMITS)
        mel, kl, clip = (config.params[n] for n in ("mel_loss_weight", "kl_loss_weight", "gradient_clip_norm"))
        assert mel / kl == pytest.approx(config.coordinates["mel_over_kl"], rel=2e-3)
        assert clip / mel == pytest.approx(config.coordinates["clip_over_mel"], rel=2e-3)
        if space.feasible(units, LIMITS):
            assert config.coordinates["mel_over_kl"] == pytest.approx(space.parameters[0].at(units[0]), rel=2e-3)


def test_balance_reaches_every_corner_of_the_safe_box_that_differs_in_its_ratios() -> None:
    space = load_space("balance")
    for mel, kl, clip in itertools.product([1.0, 5.0], [0.5, 2.0], [0.3, 1.0]):
        values = {"mel_over_kl": mel / kl, "clip_over_mel": clip / mel}
        params = space.configuration(values, LIMITS).params
        assert params["mel_loss_weight"] / params["kl_loss_weight"] == pytest.approx(mel / kl, rel=2e-3)
        assert params["gradient_clip_norm"] / params["mel_loss_weight"] == pytest.approx(clip / mel, rel=2e-3)


def test_controls_run_their_list_as_it_stands() -> None:
    space = load_space("before_after")
    assert space.controls
    assert space.trials[0].params["mel_loss_weight"] == 2.5
    assert {35.0, 45.0} <= {config.params["mel_loss_weight"] for config in space.trials}
    assert len({config.identity for config in space.trials}) == len(space.trials)


def test_all_problems_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    text = """
descripton: misspelt
parameters:
  mel_loss_weight: {distribution: uniform, min: 5, max: 1, default: 2}
  kl_loss_weight: {distribution: unifrom, min: 0.5, max: 2, default: 1}
  gradient_clip_norm: {distribution: uniform, min: 0.3, max: .inf, default: 0.5}
  learning_rate: {distribution: log_uniform_values, min: 0, max: 1, default: 3}
  dropout: {values: [0.1, 0.1], default: 0.2}
  width: {min: 1, max: 4, defualt: 2}
  depth: {value: 2, values: [2, 4], default: 2}
"""
    message = refusal(text, tmp_path)
    for part in (
        "mine.yaml",
        "'descripton'; did you mean 'description'?",
        "mel_loss_weight: min 5 is not below max 1",
        "kl_loss_weight: unknown distribution 'unifrom'; did you mean 'uniform'?",
        "gradient_clip_norm: max inf is not a finite number",
        "learning_rate: the default 3 lies outside",
        "learning_rate: log_uniform_values needs min above 0",
        "dropout: values [0.1, 0.1] hold one value twice",
        "dropout: the default 0.2 is not one of",
        "width: unknown key 'defualt'; did you mean 'default'?",
        "depth: has value and values",
    ):
        assert part in message


def test_a_key_that_stands_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    text = "parameters:\n  a: {min: 0, max: 1.5, default: 1}\n  a: {min: 0, max: 2.5, default: 1}\n"
    assert "line 3" in refusal(text, tmp_path)


def test_a_file_that_is_no_yaml_is_refused_with_its_line(tmp_path: Path) -> None:
    assert "line 2: not YAML" in refusal("parameters:\n  a: [1, 2]]\n", tmp_path)


def test_tags_that_would_run_code_are_refused(tmp_path: Path) -> None:
    assert "not YAML" in refusal("parameters: !!python/object/apply:os.system ['true']\n", tmp_path)


def test_a_number_like_1e_4_is_a_number(tmp_path: Path) -> None:
    text = "parameters:\n  learning_rate: {distribution: log_uniform_values, min: 1e-4, max: 1e-3, default: 5e-4}\n"
    assert load_space(write(tmp_path, text)).at([0.0]).params == {"learning_rate": 1e-4}


def test_an_unknown_space_names_the_nearest_one() -> None:
    with pytest.raises(RequestError, match="did you mean 'safe_weights'"):
        load_space("safe_weight")


def test_a_space_that_leaves_the_limits_is_refused_with_the_reason(tmp_path: Path) -> None:
    text = "parameters:\n  mel_loss_weight: {min: 1.0, max: 35.0, default: 2.5}\n"
    space = load_space(write(tmp_path, text))
    (problem,) = beyond_limits(space, {}, LIMITS, allow_unsafe=False)
    assert "35.0 is outside the safe range 1 to 5, and above 10 it is dangerous" in problem
    assert problem.endswith("; --allow-unsafe runs such trials as controls")
    assert beyond_limits(space, {}, LIMITS, allow_unsafe=True) == []


def test_a_fixed_value_that_leaves_the_limits_is_refused() -> None:
    (problem,) = beyond_limits(load_space("safe_weights"), {"learning_rate": 1.0}, LIMITS, allow_unsafe=False)
    assert problem.startswith("--set learning_rate")


def test_w_and_b_rules_fill_in_the_distribution() -> None:
    parameters = {
        "a": {"min": 1, "max": 4, "default": 2},
        "b": {"min": 1.0, "max": 4.0, "default": 2.0},
        "c": {"values": ["x", "y"], "default": "x"},
        "d": {"value": 3},
        "e": 7,
    }
    space = space_from_mapping({"parameters": parameters}, "here")
    assert [p.distribution for p in space.parameters] == [
        "int_uniform",
        "uniform",
        "categorical",
        "constant",
        "constant",
    ]
    assert [p.name for p in space.searched] == ["a", "b", "c"]
    assert {space.parameters[0].at(unit / 100) for unit in range(101)} == {1, 2, 3, 4}


def test_quantised_values_are_multiples_inside_the_range() -> None:
    settings_of_q = {"distribution": "q_uniform", "min": 0.25, "max": 1.0, "q": 0.2, "default": 0.4}
    space = space_from_mapping({"parameters": {"a": settings_of_q}}, "here")
    assert {space.at([unit / 50]).params["a"] for unit in range(51)} == {0.4, 0.6, 0.8, 1.0}


def test_a_batch_size_is_a_whole_number_on_a_logarithmic_scale() -> None:
    batch = {"distribution": "q_log_uniform_values", "min": 4, "max": 64, "q": 4, "default": 16}
    wide = {"distribution": "q_log_uniform_values", "min": 1, "max": 100_000, "default": 10}
    space = space_from_mapping({"parameters": {"batch_size": batch, "steps": wide}}, "here")
    found = [space.at([unit / 200, unit / 200]).params for unit in range(201)]
    sizes = [int(str(params["batch_size"])) for params in found]
    assert set(sizes) == set(range(4, 65, 4))
    assert all(type(params["batch_size"]) is int and type(params["steps"]) is int for params in found)
    assert sum(size <= 16 for size in sizes) == pytest.approx(sum(size > 16 for size in sizes), rel=0.25)
    assert space.parameters[1].at(space.parameters[1].unit(65_537) or 0.0) == 65_537
    assert space.parameters[0].grid(16) == list(range(4, 65, 4))
    assert space.parameters[1].grid(100) is None


def test_problems_of_different_keys_are_reported_together_with_their_place() -> None:
    file = {
        "controls": "yes",
        "scale": {},
        "set": {"width": [1]},
        "trials": [{"label": "a", "parms": {}}],
        "parameters": {"a": {"min": "low", "max": 2, "defualt": 1}},
    }
    message = what_is_said(lambda: space_from_mapping(file, "mine.yaml"))
    for part in (
        "controls 'yes' is neither true nor false",
        "scale {} has too few entries",
        "set, width [1] is not a finite number, a word, true or false",
        "trials, entry 1: needs params",
        "trials, entry 1: unknown key 'parms'",
        "a: unknown key 'defualt'; did you mean 'default'?",
        "a: min 'low' is not a finite number",
    ):
        assert part in message


def test_what_a_space_was_read_from_gives_the_same_space_again() -> None:
    for name in space_names():
        space = load_space(name)
        again = space_from_mapping(json.loads(json.dumps(space.source)), name)
        assert again == space


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TREES)
def test_no_malformed_space_gives_anything_but_one_line(tree: object) -> None:
    message = "" if not isinstance(tree, dict) else what_is_said(lambda: space_from_mapping(tree, "fuzz").default())
    assert "\n" not in message


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60) | TREES.map(lambda tree: yaml.safe_dump(tree)) | st.binary(max_size=40))
def test_no_malformed_file_gives_anything_but_one_line(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "fuzz.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    assert "\n" not in what_is_said(lambda: load_space(str(path)))


def test_a_sweep_file_of_wandb_is_usable_as_it_is_and_its_defaults_are_named(tmp_path: Path) -> None:
    pasted = (
        "program: train.py\nmethod: bayes\nmetric: {name: val_loss, goal: minimize}\nparameters:\n"
        "  mel_loss_weight: {min: 1.0, max: 5.0}\n"
        "  learning_rate: {distribution: log_uniform_values, min: 1e-5, max: 1e-3}\n"
        "  warmup_updates: {min: 10, max: 50}\n"
        "  precision: {values: [float32, auto]}\n"
        "  weight_decay: {value: 0.01}\n"
        "  gradient_clip_norm: {min: 0.3, max: 1.0, default: 0.4}\n"
    )
    own = {"mel_loss_weight": 2.5, "learning_rate": 3e-3, "precision": "auto", "gradient_clip_norm": 0.5}
    space = load_space(write(tmp_path, pasted), defaults=own)
    assert space.default().params == {
        "mel_loss_weight": 2.5,
        "learning_rate": 1e-4,
        "warmup_updates": 30,
        "precision": "auto",
        "weight_decay": 0.01,
        "gradient_clip_norm": 0.4,
    }
    assert space.ignored == ("program", "method", "metric")
    assert space.assumed == (
        "mel_loss_weight 2.5 (the trainer's own)",
        "learning_rate 0.0001 (the middle)",
        "warmup_updates 30 (the middle)",
        "precision auto (the trainer's own)",
    )
    again = space_from_mapping(dict(space.source), "sweep.yaml")
    assert again.default() == space.default()
    assert "precision: values" in refusal(pasted.replace("[float32, auto]", "auto"), tmp_path)
    without_words_of_wandb = pasted[pasted.index("parameters") :]
    assert "mel_loss_weight: has no default" in refusal(without_words_of_wandb, tmp_path)
