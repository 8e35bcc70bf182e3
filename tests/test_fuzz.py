"""Damaged files from outside: each is read, refused in one line or left out, never a traceback and never a hang."""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sweeps.common.budget import parse_duration
from sweeps.common.errors import RequestError
from sweeps.run.config import sweep_yaml
from sweeps.run.folder import RunFolder, check_name, write_sweep_yaml
from sweeps.storage.checkpoint import Checkpoint, UnreadableCheckpointError, load_checkpoint, save_checkpoint
from sweeps.trials.journal import Journal, read
from sweeps.tuner.api import plan_for, read_run, rewrite_files
from sweeps.tuner.train import read_config
from tests.sweeps.builders import toy_request, trial_events
from tests.toy_trainer import ToyTrainer
from tests.xtts.made_speech import write_clip, write_ljspeech
from xtts.data.build_dataset import build_dataset
from xtts.errors import SpeechError

few = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    phases=(Phase.generate,),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
many = settings(few, max_examples=200)
words = st.text(alphabet="aé ک\0\n\"'{}[]:<>-1.e&*!|", max_size=12)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), words)
trees = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
    max_leaves=6,
)


def read_or_refused(read_it: Callable[[], object]) -> None:
    """Whatever is not one of the errors that people are told in one line is a bug."""
    with contextlib.suppress(RequestError, SpeechError):
        read_it()


@pytest.fixture
def finished(tmp_path: Path) -> RunFolder:
    """A run folder of two trials that have ended."""
    request = toy_request(tmp_path, epochs=2)
    folder = RunFolder(tmp_path / "toy")
    folder.path.mkdir()
    write_sweep_yaml(folder, sweep_yaml(request, plan_for(request)))
    events = [{"event": "sweep_started", "trial_id": None, "time": 1.0}]
    events += [dict(event) for number in (1, 2) for event in trial_events(number, [0.5, 0.4])]  # type: ignore[misc]
    folder.trials_jsonl.write_text("".join(json.dumps(event) + "\n" for event in events), "utf-8")
    return folder


@many
@given(data=st.data())
def test_a_journal_with_any_line_in_it_is_read_or_refused(finished: RunFolder, data: st.DataObject) -> None:
    lines = finished.trials_jsonl.read_bytes().splitlines(keepends=True)
    known = [json.loads(line) for line in lines]
    event = dict(data.draw(st.sampled_from(known)))
    event[data.draw(st.sampled_from(sorted(event)))] = data.draw(trees)
    line = data.draw(st.one_of(st.binary(max_size=60), st.just(json.dumps(event).encode())))
    damaged = finished.trials_jsonl.with_name("damaged.jsonl")
    at = data.draw(st.integers(0, len(lines)))
    damaged.write_bytes(b"".join([*lines[:at], line + b"\n", *lines[at:]]))
    read_or_refused(lambda: read(damaged))
    read_or_refused(lambda: Journal(damaged).close())


@settings(few, max_examples=20)  # each writes all files of a run
@given(data=st.data())
def test_a_run_with_any_event_in_its_journal_is_reported_or_refused(finished: RunFolder, data: st.DataObject) -> None:
    whole = finished.trials_jsonl.read_bytes()
    known = [json.loads(line) for line in whole.splitlines()]
    at = data.draw(st.integers(0, len(known) - 1))
    known[at][data.draw(st.sampled_from(sorted(known[at])))] = data.draw(trees)
    finished.trials_jsonl.write_text("".join(json.dumps(event) + "\n" for event in known), "utf-8")
    try:
        read_or_refused(lambda: rewrite_files(read_run(finished.path)))
    finally:
        finished.trials_jsonl.write_bytes(whole)


@many
@given(data=st.data())
def test_a_sweep_yaml_with_any_value_in_it_is_read_or_refused(finished: RunFolder, data: st.DataObject) -> None:
    whole = finished.sweep_yaml.read_text("utf-8")
    content: Any = yaml.safe_load(whole)
    place, key = content, data.draw(st.sampled_from(sorted(content)))
    while isinstance(place[key], dict) and place[key] and data.draw(st.booleans()):
        place, key = place[key], data.draw(st.sampled_from(sorted(place[key], key=str)))
    place[key] = data.draw(trees)
    finished.sweep_yaml.write_text(yaml.safe_dump(content), "utf-8")
    try:
        read_or_refused(lambda: read_run(finished.path))
    finally:
        finished.sweep_yaml.write_text(whole, "utf-8")


@few
@given(tree=trees, raw=st.one_of(st.none(), st.binary(max_size=80)))
def test_any_best_config_is_read_or_refused(tmp_path: Path, tree: object, raw: bytes | None) -> None:
    path = tmp_path / "best_config.yaml"
    content = {"training": tree} if raw is None else None
    path.write_bytes(yaml.safe_dump(content).encode() if raw is None else raw)
    read_or_refused(lambda: read_config(path, ToyTrainer, {}))


@many
@given(text=st.one_of(words, st.text(max_size=20)))
def test_any_name_or_duration_is_read_or_refused(text: str) -> None:
    read_or_refused(lambda: parse_duration(text))
    read_or_refused(lambda: check_name(text))


@few
@given(data=st.data())
def test_a_damaged_checkpoint_is_told_from_a_whole_one(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "last.safetensors"
    trainer = ToyTrainer(ToyTrainer.default_params(), "", 1)
    save_checkpoint(path, Checkpoint(trainer.state_dict(), {"trial_id": "t0001"}))
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    path.write_bytes(bytes(content[: data.draw(st.integers(at, len(content)))]))
    with contextlib.suppress(UnreadableCheckpointError):
        assert isinstance(load_checkpoint(path), Checkpoint)


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small folder of speech; its first clip is damaged by each example anew."""
    return write_ljspeech(tmp_path_factory.mktemp("speech"))


@few
@given(data=st.data())
def test_a_recording_with_any_header_is_used_or_left_out(speech: Path, data: st.DataObject) -> None:
    damaged = speech / "wavs" / "clip000.wav"
    write_clip(damaged, 0.5, seed=1)
    content = bytearray(damaged.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, 43))
        size = data.draw(st.sampled_from([1, 2, 4]))
        content[at : at + size] = struct.pack("<I", data.draw(st.integers(0, 2**32 - 1)))[:size]
    damaged.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    clips = len(list((speech / "wavs").iterdir()))

    def prepare() -> None:
        prepared = build_dataset(speech, accept_unusable=True)
        assert len(prepared) in (clips - 1, clips)

    read_or_refused(prepare)
