"""`diagnose` on 220 damaged inputs: a diagnosis or one line, no traceback, no hang; rules and page included."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from sweeps.common.errors import RequestError
from tests.sweeps.external.test_stream import damaged
from tests.xtts_sweep.test_diagnose import coqui
from tests.xtts_sweep.test_diagnose_endings import KEYS, PIPER
from xtts_sweep.diagnosis.diagnose import diagnose
from xtts_sweep.diagnosis.page import write_page
from xtts_sweep.diagnosis.read_logs import Followed

TIMES = 20
MOST_SECONDS = 30.0
WILD = (1e300, -5, "nan", "inf", 2**70, 0, 1e-320)
ROWS = [{"step": at, "train/loss": 184 / (at + 1), "val/mel": 1 + 1 / (at + 1), "epoch": at // 3} for at in range(60)]
CONSOLE = "".join(f"Epoch {at}/9 STEP: {at} train loss: {9 - at} | val_mel: 1.{at}\n" for at in range(9))


def wild_table(rng: random.Random) -> str:
    return "step,loss,val_mel\n" + "\n".join(",".join(str(rng.choice(WILD)) for _ in "abc") for _ in range(60))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, bytes]]:
    """The files of each kind of input, by their path in the run's folder."""
    place = tmp_path_factory.mktemp("whole")

    def events(name: str, **options: int) -> dict[str, bytes]:
        folder = coqui(place / name, **options)
        return {f"{name}/{file.name}": file.read_bytes() for file in folder.iterdir()}

    first, second = events("version_0", epochs=8), events("version_1", start=6)
    state = json.dumps({"log_history": ROWS})
    texts = {
        "csv": {"metrics.csv": "step,loss,val_mel\n" + "\n".join(f"{at},{184 / (at + 1)},{at}" for at in range(60))},
        "tsv": {"metrics.tsv": wild_table(random.Random(1)).replace(",", "\t")},
        "wild": {"metrics.csv": wild_table(random.Random(0))},
        "jsonl": {"metrics.jsonl": "\n".join(map(json.dumps, ROWS))},
        "state": {"checkpoint-30/trainer_state.json": state[:4000], "checkpoint-60/trainer_state.json": state},
        "console": {"train.log": CONSOLE},
        "crash in the log": {"train.log": CONSOLE + PIPER},
        "crash apart": {"out.log": CONSOLE, "train.err": KEYS, "stdout": KEYS + PIPER, "sweep.yaml": "a: [1"},
    }
    found = {name: {path: text.encode() for path, text in files.items()} for name, files in texts.items()}
    return {
        **found,
        "events": first,
        "resumed folders": first | second,
        "crash above": first | second | {"run.log": PIPER.encode()},
    }


KINDS = ("csv", "tsv", "wild", "jsonl", "state", "console", "events", "resumed folders")
CRASHES = ("crash in the log", "crash apart", "crash above")


@pytest.mark.parametrize("kind", KINDS + CRASHES)
def test_damaged_logs_get_a_diagnosis_or_one_line(
    kind: str, tmp_path: Path, inputs: Mapping[str, Mapping[str, bytes]]
) -> None:
    rng = random.Random(kind)
    for number in range(TIMES):
        folder = tmp_path / str(number)
        spoiled = rng.sample(sorted(inputs[kind]), rng.randint(1, len(inputs[kind])))
        for path, content in inputs[kind].items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(damaged(content, rng) if path in spoiled else content)
        began = time.monotonic()
        followed: Followed | None = {} if rng.random() < 0.3 else None
        try:
            for _ in range(2 if followed is not None else 1):
                found = diagnose(folder, settings={"mel_loss_weight": 35.0}, followed=followed)
        except RequestError:
            continue
        assert json.dumps(found.as_dict(), allow_nan=False)
        assert found.lines("fa")
        write_page(found, tmp_path / "page.html", "en")
        assert time.monotonic() - began < MOST_SECONDS
