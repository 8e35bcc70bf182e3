"""Setting leaves of a YAML text changes those leaves and nothing else."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from xtts.export import ExportError
from xtts.export.yaml_edit import set_in_section

WANTED = {"mel_loss_weight": "2.5", "gradient_clip_norm": "0.5"}


def edited(text: str, values: dict[str, str] | None = None) -> str:
    return set_in_section(text, "training", values or WANTED, "config.yaml")[0]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("mel_loss_weight: 35.0", "mel_loss_weight: 2.5"),
        ("mel_loss_weight:   35   # was 45", "mel_loss_weight:   2.5   # was 45"),
        ('"mel_loss_weight": 35', '"mel_loss_weight": 2.5'),
        ("mel_loss_weight: '35.0' # text", "mel_loss_weight: 2.5 # text"),
        ("mel_loss_weight:  # nothing", "mel_loss_weight: 2.5  # nothing"),
        ("mel_loss_weight:", "mel_loss_weight: 2.5"),
        ("mel_loss_weight: null", "mel_loss_weight: 2.5"),
        ("mel_loss_weight: !!float 35", "mel_loss_weight: 2.5"),
        ("mel_loss_weight: 1e-4  # PyYAML reads text", "mel_loss_weight: 2.5  # PyYAML reads text"),
        ("mel_loss_weight:\n    35  # below", "mel_loss_weight:\n    2.5  # below"),
        ("mel_loss_weight: |\n    35", "mel_loss_weight: 2.5"),
        ("mel_loss_weight: &unused 35", "mel_loss_weight: 2.5"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_way_to_write_a_value_becomes_the_plain_number(before: str, after: str, end: str) -> None:
    frame = "# top\na: {b: [1, 2]}\ntraining:\n  gradient_clip_norm: 0.5\n  %s\n  other: 'x'  # y\n"
    text = (frame % before).replace("\n", end)
    result = edited(text)
    assert result == (frame % after).replace("\n", end)
    assert yaml.safe_load(result)["training"] == {"gradient_clip_norm": 0.5, "mel_loss_weight": 2.5, "other": "x"}


def test_a_reference_to_a_value_elsewhere_is_replaced_here_only() -> None:
    text = "w: &w 35.0\ntraining:\n  mel_loss_weight: *w\n  gradient_clip_norm: 0.5\n"
    assert edited(text) == text.replace("*w", "2.5")


def test_a_value_that_other_keys_refer_to_is_refused_with_its_line() -> None:
    text = "training:\n  mel_loss_weight: &w 35.0\n  gradient_clip_norm: 0.5\nother: *w\n"
    with pytest.raises(ExportError, match=r"line 2: training\.mel_loss_weight is used elsewhere by reference"):
        edited(text)


def test_a_section_that_others_refer_to_is_refused() -> None:
    with pytest.raises(ExportError, match="`training:` is used elsewhere"):
        edited("training: &t\n  mel_loss_weight: 35.0\nbackup: *t\n")


def test_a_value_that_is_right_already_keeps_its_bytes() -> None:
    text = "training:\n  mel_loss_weight: 2.50\n  gradient_clip_norm: .5 # half\n"
    assert set_in_section(text, "training", WANTED, "config.yaml") == (text, ())


def test_one_and_true_are_not_the_same_value() -> None:
    assert edited("training:\n  flag: 0\n", {"flag": "false"}) == "training:\n  flag: false\n"


def test_missing_keys_are_added_after_a_tuned_one_and_named() -> None:
    text = "training:\n    # weights\n    mel_loss_weight: 35\n\n    # end\nmodel: {}\n"
    result, added = set_in_section(text, "training", WANTED, "config.yaml", {"gradient_clip_norm": "new"})
    assert result == text.replace(": 35\n", ": 2.5\n    gradient_clip_norm: 0.5  # new\n")
    assert added == ("gradient_clip_norm",)


def test_without_any_tuned_key_they_become_the_first_of_the_section() -> None:
    text = "training: # mine\r\n   # first\r\n   epochs: 5\r\n"
    assert edited(text) == (
        "training: # mine\r\n   mel_loss_weight: 2.5\r\n   gradient_clip_norm: 0.5\r\n   # first\r\n   epochs: 5\r\n"
    )


@pytest.mark.parametrize("value", ["35", "", "'35'"])
def test_a_file_without_a_last_newline_stays_without_one(value: str) -> None:
    assert edited(f"training:\n  mel_loss_weight: {value}".rstrip()) == (
        "training:\n  mel_loss_weight: 2.5\n  gradient_clip_norm: 0.5"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("training: {mel_loss_weight: 35, lr: 1}", "training: {gradient_clip_norm: 0.5, mel_loss_weight: 2.5, lr: 1}"),
        ("training: {}", "training: {mel_loss_weight: 2.5, gradient_clip_norm: 0.5}"),
        (
            "training: {\n  # c\n  lr: 1,\n  }",
            "training: {mel_loss_weight: 2.5, gradient_clip_norm: 0.5, \n  # c\n  lr: 1,\n  }",
        ),
        ('{"training":{"mel_loss_weight":35}}', '{"training":{gradient_clip_norm: 0.5, "mel_loss_weight":2.5}}'),
    ],
)
def test_flow_style_stays_flow_style(before: str, after: str) -> None:
    assert edited(before) == after
    assert yaml.safe_load(after)["training"]["mel_loss_weight"] == 2.5


def test_a_key_that_stands_twice_is_set_in_both_places() -> None:
    text = "training:\n  mel_loss_weight: 35\n  gradient_clip_norm: 0.5\n  mel_loss_weight: 45\n"
    assert edited(text) == text.replace("35", "2.5").replace("45", "2.5")


def test_merged_defaults_stay_and_are_overridden_in_the_section() -> None:
    text = "base: &base {mel_loss_weight: 35, epochs: 9}\ntraining:\n  <<: *base\n  gradient_clip_norm: 1.0\n"
    result = edited(text)
    assert result.startswith("base: &base {mel_loss_weight: 35, epochs: 9}\n")
    assert yaml.safe_load(result)["training"] == {"mel_loss_weight": 2.5, "epochs": 9, "gradient_clip_norm": 0.5}


def test_a_key_of_the_same_name_in_another_section_is_left_alone() -> None:
    text = (
        "model:\n  mel_loss_weight: 7\nnested:\n  training:\n    mel_loss_weight: 8\ntraining:\n  mel_loss_weight: 9\n"
    )
    result = edited(text)
    assert "  mel_loss_weight: 7\n" in result
    assert "    mel_loss_weight: 8\n" in result
    assert yaml.safe_load(result)["training"]["mel_loss_weight"] == 2.5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("# only a comment\n", "is empty"),
        ("- a\n- b\n", "holds a list"),
        ("just words\n", "holds only str text"),
        ("3.5\n", "holds a single float"),
        ("a: [1\n", "is not YAML: line 2, column 1"),
        ("a: b: c\n", "is not YAML: line 1, column 5"),
        ("a\0b: 1\n", "is not YAML"),
        ("a: 1\n---\nb: 2\n", "is not YAML: line 2, column 1"),
        ("model: {}\n", "no `training:` section"),
        ("training:\n", "line 1: `training:` holds no keys"),
        ("training: [1, 2]\n", "holds no keys of its own"),
        ("a: &t {x: 1}\ntraining: *t\n", "holds no keys of its own"),
        ("training: {a: 1}\ntraining: {a: 2}\n", r"twice \(lines 1 and 2\)"),
        ("training:\n  mel_loss_weight: [1, 2]\n", r"line 2: training\.mel_loss_weight is a list or a mapping"),
        ("training:\n  x: !!python/object/apply:os.system [ls]\n", "not a YAML that can be loaded safely: line 2"),
        ("training:\n  x: 2026-99-99\n", "not a YAML that can be loaded safely"),
        ("a: " + "[" * 5000 + "]" * 5000 + "\ntraining: {x: 1}\n", "nested too deeply"),
        ("a: &a [1]\nb: [" + "*a, " * 40 + "]\ntraining: {x: 1}\n", "more than 32 references"),
        ("training: {mel_loss_weight}\n", "cannot be edited in place"),
    ],
)
def test_a_file_that_is_no_config_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(ExportError, match=message) as refused:
        edited(text)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


comments = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=12).map(
    lambda text: f"# {text}"
)
keys = st.from_regex(r"[a-z][a-z_]{0,10}", fullmatch=True).filter(lambda key: key not in {*WANTED, "null", "y", "n"})
values = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers().map(str),
    st.sampled_from(["true", "null", "'quoted # text'", '"a: b"', "plain words", "[1, 2, {a: b}]", "1e-4", "{}", "~"]),
)


@st.composite
def templates(draw: st.DrawFn) -> tuple[str, str]:
    """A random config and what it must become: the tuned leaves somewhere among other keys, comments, blank lines."""
    end = draw(st.sampled_from(["\n", "\r\n"]))
    indent = " " * draw(st.integers(1, 6))
    before: list[str] = []
    after: list[str] = []

    def line(old: str, new: str | None = None) -> None:
        before.append(old)
        after.append(old if new is None else new)

    def filler(margin: str) -> None:
        for _ in range(draw(st.integers(0, 2))):
            line(draw(st.sampled_from(["", margin + draw(comments)])))

    def section(name: str, names: list[str]) -> None:
        filler("")
        line(f"{name}:{draw(st.sampled_from(['', ' ' + draw(comments)]))}")
        for key in names:
            filler(indent)
            tail = draw(st.sampled_from(["", "  " + draw(comments), "   "]))
            gap = " " * draw(st.integers(1, 3))
            if name == "training" and key in WANTED:
                old = draw(st.sampled_from(["35", "'35'", "1e-4", "-7.25", '"x"', "~"]))
                line(f"{indent}{key}:{gap}{old}{tail}", f"{indent}{key}:{gap}{WANTED[key]}{tail}")
            else:
                line(f"{indent}{key}:{gap}{draw(values)}{tail}")
        filler(indent)

    others = draw(st.lists(keys, unique=True, max_size=4))
    parts = [("training", draw(st.permutations([*others, *WANTED])))]
    parts += [(name, draw(st.lists(keys, unique=True, min_size=1, max_size=3))) for name in ("model", "data")]
    for name, names in draw(st.permutations(parts)):
        section(name, names)
    last = draw(st.sampled_from(["", end]))
    return end.join(before) + last, end.join(after) + last


@settings(max_examples=100, deadline=None)
@given(templates())
def test_everything_but_the_tuned_leaves_keeps_its_bytes(example: tuple[str, str]) -> None:
    before, after = example
    assert edited(before) == after


@settings(max_examples=60, deadline=None)
@given(templates(), st.sets(st.sampled_from(sorted(WANTED)), min_size=1))
def test_added_lines_are_the_only_difference_where_keys_are_missing(example: tuple[str, str], gone: set[str]) -> None:
    kept = [line for line in example[0].splitlines(keepends=True) if not any(f"{key}:" in line for key in gone)]
    text = "".join(kept)
    section = yaml.safe_load(text)["training"]
    if not section:
        with pytest.raises(ExportError, match="holds no keys"):
            edited(text)
        return
    result, added = set_in_section(text, "training", WANTED, "config.yaml")
    assert set(added) == gone
    assert yaml.safe_load(result)["training"] == section | {"mel_loss_weight": 2.5, "gradient_clip_norm": 0.5}
    new = result.splitlines()
    untouched = [line for line in text.splitlines() if not any(f"{key}:" in line for key in WANTED)]
    assert [line for line in new if not any(f"{key}:" in line for key in WANTED)] == untouched
