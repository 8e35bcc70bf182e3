"""Each column is taken for what it holds: by its header, by its values, or as --columns says."""

from pathlib import Path

import pytest

from tests.xtts.made_speech import write_clip, write_metadata
from xtts.data.columns import parse_columns
from xtts.data.layouts import read_layout
from xtts.errors import SpeechError

COUNT = 24
TEXTS = [f"the {['red', 'blue', 'low'][n % 3]} {['cat', 'dog'][n % 2]} number {n} is here" for n in range(COUNT)]
IDS = [f"clip{n:03d}" for n in range(COUNT)]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "wavs").mkdir()
    for id in IDS:
        (tmp_path / f"wavs/{id}.wav").touch()
    return tmp_path


def rows(folder, *columns, header=None, **options):
    lines = ["|".join(map(str, fields)) for fields in zip(*columns, strict=True)]
    write_metadata(folder, [header, *lines] if header else lines)
    return read_layout(folder, **options)


SPEAKERS = {
    "names": [("ann", "bob")[n % 2] for n in range(COUNT)],
    "numbers": [1000 + n % 12 for n in range(COUNT)],
    "codes": [f"speaker{n % 12:02d}" for n in range(COUNT)],
    "one number": [0] * COUNT,
    "one name": ["ann"] * COUNT,
}
NO_SPEAKERS = {
    "seconds": [f"{len(text) / 14 + n % 3 * 0.01:.2f}" for n, text in enumerate(TEXTS)],
    "characters": list(map(len, TEXTS)),
    "language": ["en"] * COUNT,
    "languages": [("en-US", "fa")[n % 2] for n in range(COUNT)],
    "empty": [""] * COUNT,
    "checksums": [f"{n * 2654435761 % 2**32:08x}" for n in range(COUNT)],
    "splits": ["train" if n % 10 else "val" for n in range(COUNT)],
}


@pytest.mark.parametrize("text_last", [True, False])
@pytest.mark.parametrize("kind", SPEAKERS)
def test_speakers_are_found_on_either_side_of_the_text(folder, kind, text_last):
    speakers = SPEAKERS[kind]
    columns = (IDS, speakers, TEXTS) if text_last else (IDS, TEXTS, speakers)
    layout = rows(folder, *columns)
    assert [row.text for row in layout.rows] == TEXTS
    assert [row.speaker for row in layout.rows] == [str(speaker) for speaker in speakers]
    assert "speaker" in layout.columns[0]


@pytest.mark.parametrize("kind", NO_SPEAKERS)
def test_what_is_neither_text_nor_speaker_is_not_read_and_said_to_be(folder, kind):
    layout = rows(folder, [f"{id}.wav" for id in IDS], TEXTS, NO_SPEAKERS[kind])
    assert [row.text for row in layout.rows] == TEXTS
    assert {row.speaker for row in layout.rows} == {"speaker"}
    assert "not read" in layout.columns[0]


def test_raw_and_normalised_texts_stay_what_they_are(folder):
    normalised = [text.replace("number", "nr") for text in TEXTS]
    assert [row.text for row in rows(folder, IDS, TEXTS, normalised).rows] == normalised
    figures = [n % 6 for n in range(COUNT)]
    words = [["zero", "one", "two", "three", "four", "five"][n % 6] for n in range(COUNT)]
    assert [row.text for row in rows(folder, IDS, figures, words).rows] == words


def test_what_may_be_two_things_is_refused_until_the_columns_are_named(folder):
    others = [f"eine ganz andere sprache {chr(97 + n)} {n}" for n in range(COUNT)]
    with pytest.raises(SpeechError, match=r"metadata.csv:1: .*--columns, for instance") as caught:
        rows(folder, IDS, TEXTS, others)
    assert "\n" not in str(caught.value)
    named = rows(folder, IDS, TEXTS, others, columns=parse_columns("id,-,text"))
    assert [row.text for row in named.rows] == others


@pytest.mark.parametrize(
    "header",
    [
        "wav_filename|transcript|speaker",
        "Audio_File|Text|Speaker_Name",
        "audio_file | text | speaker_id",
        "file_name|sentence|client_id",
        "datei|satz|sprecher",
    ],
)
def test_other_headers_are_headers(folder, header):
    layout = rows(folder, [f"wavs/{id}.wav" for id in IDS], TEXTS, SPEAKERS["names"], header=header)
    assert len(layout.rows) == COUNT
    assert {row.speaker for row in layout.rows} == {"ann", "bob"}


@pytest.mark.parametrize("given", ["id", "id,text,text", "id,what,text", "text,speaker", "id,speaker,speaker,text"])
def test_columns_that_cannot_be_are_refused(given):
    with pytest.raises(SpeechError, match="--columns"):
        parse_columns(given)


def test_the_number_of_named_columns_is_that_of_the_file(folder):
    with pytest.raises(SpeechError, match="2 columns, but --columns names 3"):
        rows(folder, IDS, TEXTS, columns=parse_columns("id,speaker,text"))


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        (['{}|"he said ""yes"""', "{}|plain", '{}|a "b" c'], ['he said "yes"', "plain", 'a "b" c']),
        (['"{}"|"one"', '"{}"|"two"', '"{}"|"three ""x"""'], ["one", "two", 'three "x"']),
        (['{}|"a lone quote', "{}|b", "{}|c"], ['"a lone quote', "b", "c"]),
        (['{}|"Go," he said, "now"', "{}|b", "{}|c"], ['"Go," he said, "now"', "b", "c"]),
        (['{}|"a ""b"" | c"', "{}|b", "{}|c"], ['a "b" | c', "b", "c"]),
        (['{}|"first ""line""\nsecond"', "{}|b", "{}|c"], ['first "line" second', "b", "c"]),
    ],
)
def test_quotes_are_read_as_csv_writes_them_and_stay_where_it_does_not(folder, lines, wanted):
    write_metadata(folder, [line.format(id) for line, id in zip(lines, IDS, strict=False)])
    layout = read_layout(folder)
    assert [row.text for row in layout.rows] == wanted
    assert [row.id for row in layout.rows] == IDS[:3]


SPELLINGS = {
    "folder in front": lambda folder, id: f"{folder.name}/wavs/{id}.wav",
    "another folder in front": lambda folder, id: f"DUMMY/{id}.wav",
    "absolute": lambda folder, id: f"{folder}/wavs/{id}.wav",
    "backslashes": lambda folder, id: f".\\wavs\\{id}.wav",
    "suffix in capitals": lambda folder, id: f"{id}.WAV",
    "no suffix": lambda folder, id: f"wavs/{id}",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_recordings_are_found_as_other_trainers_name_them(tmp_path, spelling):
    from xtts.data.recordings import find_recordings

    folder = tmp_path / "voice"
    for id in IDS:
        write_clip(folder / f"wavs/{id}.wav", 0.06)
    write_metadata(folder, [f"{SPELLINGS[spelling](folder, id)}|{text}" for id, text in zip(IDS, TEXTS, strict=True)])
    found = find_recordings(read_layout(folder), (folder,))
    assert not found.exclusions
    assert [Path(path).name for path in found.paths] == [f"{id}.wav" for id in IDS]


def test_names_in_another_unicode_form_or_with_joiners_are_found(tmp_path):
    from xtts.data.recordings import find_recordings

    on_disk = ["cafe\u0301", "می\u200cروم", "کتابها"]
    in_file = ["caf\u00e9", "میروم", "کتاب\u200cها"]
    for name in on_disk:
        write_clip(tmp_path / f"{name}.wav", 0.06)  # next to metadata.csv
    write_metadata(tmp_path, [f"{name}|text {n}" for n, name in enumerate(in_file)])
    assert len(find_recordings(read_layout(tmp_path), (tmp_path,)).paths) == 3


def test_one_recording_under_two_names_is_one_clip(tmp_path):
    from xtts.data.recordings import find_recordings

    write_clip(tmp_path / "wavs/a.wav")
    write_metadata(tmp_path, ["a|one", "wavs/a.wav|one"])
    found = find_recordings(read_layout(tmp_path), (tmp_path,))
    assert len(found.paths) == 1
    assert [exclusion.reason for exclusion in found.exclusions] == ["repeated_id"]


def test_what_lies_outside_is_read_where_that_is_allowed_and_listed(tmp_path):
    from xtts.data.recordings import find_recordings

    folder = tmp_path / "voice"
    write_clip(folder / "wavs/a.wav", 0.06)
    write_clip(tmp_path / "store/b.wav", 0.06)
    (folder / "wavs/c.wav").symlink_to(tmp_path / "store/b.wav")
    write_metadata(folder, ["a|one", f"{tmp_path}/store/b.wav|two", "c|three"])
    refused = find_recordings(read_layout(folder), (folder,))
    assert [exclusion.reason for exclusion in refused.exclusions] == ["outside_folder"] * 2
    allowed = find_recordings(read_layout(folder, allow_outside=True), (folder,), allow_outside=True)
    assert len(allowed.paths) == 3
    assert len(allowed.outside) == 2
