"""Every layout is read, and a malformed one is named with its file and line."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.xtts.made_speech import write_metadata
from xtts.data.exclusion import UNUSABLE_REASONS
from xtts.data.layouts import read_layout
from xtts.data.metadata_file import parse_lines
from xtts.data.text import normalise
from xtts.errors import SpeechError


def folder_with(tmp_path, lines, metadata="metadata.csv"):
    (tmp_path / "wavs").mkdir(parents=True, exist_ok=True)
    write_metadata(tmp_path, lines, metadata)
    return tmp_path


def rows_of(folder, val_data=None):
    return {row.id: row for row in read_layout(folder, val_data).rows}


def complaint(folder, val_data=None):
    with pytest.raises(SpeechError) as caught:
        read_layout(folder, val_data)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_normalised_text_of_ljspeech_is_taken(tmp_path):
    rows = rows_of(folder_with(tmp_path, ["a|No. 1|number one", "b|Dr. Who|doctor who"]))
    assert {id: row.text for id, row in rows.items()} == {"a": "number one", "b": "doctor who"}


def test_two_columns_are_id_and_text(tmp_path):
    assert rows_of(folder_with(tmp_path, ["a|one", "b|two"]))["b"].text == "two"


def test_an_empty_normalised_text_falls_back_to_the_raw_one(tmp_path):
    assert rows_of(folder_with(tmp_path, ["a|one|", "b|2|two"]))["a"].text == "one"


def test_quotes_are_part_of_an_ljspeech_text(tmp_path):
    assert rows_of(folder_with(tmp_path, ['a|"one', "b|two"]))["a"].text == '"one'


def test_windows_line_ends_blank_lines_and_a_byte_order_mark_are_no_matter(tmp_path):
    folder = folder_with(tmp_path, [])
    (folder / "metadata.csv").write_bytes("\ufeffa|one\r\n\r\nb|دو\r\n".encode())
    assert {id: row.text for id, row in rows_of(folder).items()} == {"a": "one", "b": "دو"}


def test_only_a_newline_ends_a_line(tmp_path):
    assert rows_of(folder_with(tmp_path, ["a|one\u2028two\x0b\x85three", "b|four"])).keys() == {"a", "b"}


def test_a_coqui_header_names_the_columns(tmp_path):
    lines = ["text|emotion_name|audio_file|speaker_name", "one|sad|wavs/x/a.wav|ann", '"say ""two"""|glad|b.FLAC|bob']
    rows = rows_of(folder_with(tmp_path, lines))
    assert {id: (row.text, row.speaker) for id, row in rows.items()} == {
        "wavs/x/a": ("one", "ann"),
        "b": ('say "two"', "bob"),
    }
    assert {row.base for row in rows.values()} == {str(tmp_path)}


def test_without_a_speaker_column_speakers_come_from_the_ids(tmp_path):
    rows = rows_of(folder_with(tmp_path, ["LJ016-0244|a", "p248_065_mic1|b", "p9_001|c", "anything|d"]))
    assert [rows[id].speaker for id in ("LJ016-0244", "p248_065_mic1", "p9_001", "anything")] == [
        "LJ",
        "p248",
        "p9",
        "speaker",
    ]


def test_train_and_eval_metadata_in_one_folder_are_two_parts(tmp_path):
    folder_with(tmp_path, ["a|one"], "metadata_train.csv")
    folder_with(tmp_path, ["b|two"], "metadata_eval.csv")
    assert {row.id: row.part for row in read_layout(tmp_path).rows} == {"a": "train", "b": "eval"}
    assert read_layout(tmp_path, tmp_path).has_eval_part


def test_recordings_of_the_parts_may_lie_in_folders_of_their_own(tmp_path):
    for part in ("train", "eval"):
        (tmp_path / f"wavs_{part}").mkdir()
        write_metadata(tmp_path, [f"{part}|text"], f"metadata_{part}.csv")
    assert {Path(row.base).name for row in read_layout(tmp_path).rows} == {"wavs_train", "wavs_eval"}


def test_a_train_and_an_eval_folder_may_use_the_same_ids(tmp_path):
    train = folder_with(tmp_path / "train", ["a|one"], "metadata_train.csv")
    held_out = folder_with(tmp_path / "eval", ["a|two"])
    assert {row.id: row.text for row in read_layout(train, held_out).rows} == {"a": "one", "eval/a": "two"}


def test_a_second_eval_set_is_refused(tmp_path):
    train = folder_with(tmp_path / "train", ["a|one"], "metadata_train.csv")
    folder_with(train, ["b|two"], "metadata_eval.csv")
    assert "second eval set" in complaint(train, folder_with(tmp_path / "eval", ["c|three"]))


def test_metadata_that_could_be_either_is_refused(tmp_path):
    folder_with(tmp_path, ["a|one"], "metadata_train.csv")
    assert "metadata_eval.csv" in complaint(folder_with(tmp_path, ["b|two"]))


def test_the_training_folder_is_no_eval_folder(tmp_path):
    folder_with(tmp_path, ["a|one"])
    assert "--val-data" in complaint(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (lambda path: None, "no such folder"),
        (lambda path: path.write_text("x"), "not a folder"),
        (lambda path: path.mkdir(), "holds no metadata.csv"),
        (lambda path: (path / "metadata.csv").mkdir(parents=True), "holds no metadata.csv"),
    ],
    ids=["nothing", "a file", "an empty folder", "a folder named metadata.csv"],
)
def test_what_is_no_data_folder_is_said_to_be(tmp_path, make, wanted):
    make(tmp_path / "data")
    message = complaint(tmp_path / "data")
    assert wanted in message
    assert str(tmp_path / "data") in message


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "file/below"])
def test_a_name_that_no_folder_can_have_is_one_line(tmp_path, name):
    (tmp_path / "file").write_text("x")
    assert complaint(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "line", "wanted"),
    [
        (b"", None, "empty"),
        (b"\n \n\r\n", None, "empty"),
        (b"audio_file|text\n", None, "only a header"),
        (b"a|one\nb|two\nc\n", 3, "1 column where the lines before have 2"),
        (b"a|one\nb|two|three\n", 2, "3 columns"),
        (b"a b c\n", 1, "1 column"),
        (b"a|b|c|d\n", 1, "4 columns"),
        (b"a|one\n|two\n", 2, "no id"),
        (b"a|one\n\nb|\xff\xfe\n", 3, "not UTF-8"),
        ("a|one\n".encode("utf-16"), 1, "not UTF-8"),
        ("a|one\n".encode("utf-16-le"), 1, "unprintable"),
        (b"a\0b|one\n", 1, "unprintable"),
        (b"audio_file|speaker_name\na|b\n", 1, "text"),
        (b"audio_file|text|text\na|b|c\n", 1, "text"),
        (b"audio_file|text\na.wav|one\nb.wav\n", 3, "1 column where the header has 2"),
        (b"audio_file|text\n|one\n", 2, "no id"),
    ],
)
def test_malformed_metadata_is_named_with_its_line(tmp_path, content, line, wanted):
    folder_with(tmp_path, [])
    (tmp_path / "metadata.csv").write_bytes(content)
    message = complaint(tmp_path)
    assert wanted in message
    assert f"{tmp_path / 'metadata.csv'}:" in message
    assert line is None or f"metadata.csv:{line}:" in message


def test_a_folder_without_recordings_is_named(tmp_path):
    write_metadata(tmp_path, ["a|one"])
    assert "no folder wavs" in complaint(tmp_path)


@pytest.mark.parametrize(
    "name", ["../a", "x/../../a", "/etc/passwd", "..", "C:\\a", "C:a", "..\\a", "x\\..\\..\\a", "\\\\host\\a"]
)
def test_an_id_that_leads_out_of_the_folder_is_left_out(tmp_path, name):
    layout = read_layout(folder_with(tmp_path, ["a|one", f"{name}|two"]))
    assert [row.id for row in layout.rows] == ["a"]
    assert [(exclusion.id, exclusion.reason) for exclusion in layout.exclusions] == [(name, "outside_folder")]


def test_a_row_that_is_repeated_word_for_word_counts_once(tmp_path):
    layout = read_layout(folder_with(tmp_path, ["a|one", "b|two", "a|one"]))
    assert [row.id for row in layout.rows] == ["a", "b"]
    assert [(exclusion.id, exclusion.reason) for exclusion in layout.exclusions] == [("a", "repeated_id")]


def test_an_id_with_two_texts_is_left_out_altogether(tmp_path):
    layout = read_layout(folder_with(tmp_path, ["a|one", "b|two", "a|three", "a|one"]))
    assert [row.id for row in layout.rows] == ["b"]
    assert [exclusion.reason for exclusion in layout.exclusions] == ["repeated_id"] * 3
    assert any("metadata.csv:1" in exclusion.detail for exclusion in layout.exclusions)


def test_a_recording_in_both_parts_belongs_to_the_eval_set(tmp_path):
    folder_with(tmp_path, ["a|one", "b|two"], "metadata_train.csv")
    folder_with(tmp_path, ["a|uno"], "metadata_eval.csv")
    layout = read_layout(tmp_path)
    assert {row.id: row.part for row in layout.rows} == {"a": "eval", "b": "train"}
    assert [(exclusion.id, exclusion.reason) for exclusion in layout.exclusions] == [("a", "in_eval")]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=200),
        st.text(alphabet="ab|./\\\n\r\"'\0 ک", max_size=120).map(str.encode),
        st.text(alphabet="ab|/.\n", max_size=120).map(lambda body: b"audio_file|text\n" + body.encode()),
    )
)
def test_any_metadata_is_read_or_refused_in_one_line_and_no_row_vanishes(tmp_path, content):
    folder_with(tmp_path, [])
    (tmp_path / "metadata.csv").write_bytes(content)
    refusal = ""
    try:
        layout = read_layout(tmp_path)
    except SpeechError as error:
        refusal = str(error)
    assert "\n" not in refusal
    if refusal:
        return
    lines = parse_lines(tmp_path, content)
    assert len(layout.rows) + len(layout.exclusions) == len(lines) - ("audio_file" in lines[0].fields)
    assert {exclusion.reason for exclusion in layout.exclusions} <= UNUSABLE_REASONS.keys()


def test_the_names_of_version_0_1_still_read_a_data_set(data):
    from xtts.corpus.layouts import read_layout as old
    from xtts.text import normalise as old_normalise

    rows = old(data).rows
    assert [row.id for row in rows][:2] == ["clip000", "clip001"]
    assert old_normalise(rows[0].text) == normalise(rows[0].text)


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff\ufeff1|one here\n2|two here\n",
        "1|one here\r\n\ufeff2|two here\r\n",  # two exports, joined
        "1|one here\n2|two here\n\x1a",
        "1|one here\n2|two here\x1a\n",
    ],
)
def test_marks_of_other_programs_in_a_file_are_no_part_of_its_lines(tmp_path, content):
    folder = folder_with(tmp_path, [])
    (folder / "metadata.csv").write_bytes(content.encode())
    assert {id: row.text for id, row in rows_of(folder).items()} == {"1": "one here", "2": "two here"}
