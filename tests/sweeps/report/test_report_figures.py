"""What report.html computes: cost, importance, comparisons, the safe region, pictures."""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sweeps.report.coordinates import acting_axes, safe_region
from sweeps.report.cost import cost
from sweeps.report.importance import comparison, importances
from sweeps.report.picture import png
from sweeps.run.resources import Machine, plan_resources
from sweeps.trials.event import Event
from sweeps.trials.record import records_from_events
from tests.sweeps.builders import toy_request, trial
from tests.sweeps.report.pages import read
from tests.sweeps.report.report_runs import RATIOS, write_run


def test_early_stopping_saves_what_the_stopped_trials_had_left() -> None:
    events: list[Event] = []
    for trial_id, epochs, status in (("t0001", 9, "finished"), ("t0002", 3, "stopped"), ("t0003", 1, "diverged")):
        events.append({"event": "trial_started", "trial_id": trial_id, "time": 0.0, "params": {}})
        for epoch in range(1, epochs + 1):
            report: Event = {"event": "report", "trial_id": trial_id, "epoch": epoch, "objective": 0.5}
            events.append({**report, "seconds": 600.0 * epoch, "time": 700.0 * epoch})
        events.append({"event": "trial_ended", "trial_id": trial_id, "time": 1.0, "status": status})
    plan = plan_resources(Machine(8, 1 << 34, 1), 3, gpus_per_trial=0.5)
    found = cost(records_from_events(events), plan, epochs=9, wall_seconds=4000.0)
    assert found.device == "gpu"
    assert found.device_hours == pytest.approx(0.5 * (9 + 3 + 1) * 600 / 3600)
    assert found.saved_hours == pytest.approx(0.5 * 6 * 600 / 3600)
    assert found.saved_share == pytest.approx(6 / 19)


def test_importance_finds_an_optimum_inside_the_range_and_tells_noise_from_it() -> None:
    rng = np.random.default_rng(3)
    records = []
    for number in range(1, 61):
        mel, kl, clip = np.exp(rng.uniform(np.log([1, 0.5, 0.3]), np.log([5, 2, 1])))
        params = {"mel_loss_weight": mel, "kl_loss_weight": kl, "gradient_clip_norm": clip}
        value = 0.5 + 0.1 * math.log(mel / kl / 2.2) ** 2 + 0.002 * rng.normal()
        records.append(trial(number, [0.9, value], params=params))
    request = toy_request(Path())
    axes = acting_axes(request, RATIOS)
    found = {one.name: one for one in importances({r.trial_id: r.params for r in records}, axes, comparison(records))}
    assert found["mel/kl"].share > 0.8
    assert found["mel/kl"].low > found["mel/kl"].chance
    assert found["clip/mel"].high < 0.5
    assert all(one.low <= one.share <= one.high for one in found.values())


def test_what_explains_nothing_seldom_passes_for_more_than_chance() -> None:
    rng = np.random.default_rng(4)
    records = [trial(number, [0.9, rng.normal()]) for number in range(1, 31)]
    (axis, *_) = acting_axes(toy_request(Path()), RATIOS)
    useless = [replace(axis, name=f"u{n}", top=f"u{n}", bottom=None) for n in range(60)]
    configs = {record.trial_id: {one.name: rng.normal() for one in useless} for record in records}
    found = importances(configs, useless, comparison(records))
    assert len(found) == 60
    assert sum(one.clear for one in found) <= 7  # 3 are expected


def test_importance_of_words_is_measured_too() -> None:
    words = ("a", "b", "c")
    records = [trial(n, [0.5 + 0.1 * (n % 3) + 0.001 * n], params={"kind": words[n % 3]}) for n in range(1, 25)]
    axis = replace(acting_axes(toy_request(Path()), RATIOS)[0], name="kind", top="kind", bottom=None, formula="")
    (found,) = importances({record.trial_id: record.params for record in records}, [axis], comparison(records))
    assert found.share > 0.8


def test_few_trials_get_no_importance_and_are_told_why(tmp_path: Path) -> None:
    page = read(write_run(tmp_path, trials=9))
    assert "Too few trials can be compared (9; 10 are needed)" in page.text("panel-matters")


def test_trials_are_compared_at_the_last_epoch_that_four_in_five_reached() -> None:
    records = [trial(n, [0.9, 0.8, 0.7] if n <= 8 else [0.9]) for n in range(1, 11)]
    found = comparison(records)
    assert found is not None
    assert (found.epoch, len(found.costs)) == (3, 8)
    fewer = comparison([*records, trial(11, [0.9])])
    assert fewer is not None
    assert (fewer.epoch, len(fewer.costs)) == (1, 11)


def test_the_safe_region_is_all_that_the_limits_allow_and_nothing_else() -> None:
    request = toy_request(Path())
    x, y = acting_axes(request, RATIOS)
    corners = safe_region(request.limits, x, y)
    expected = {(0.5, 1.0), (0.5, 0.3), (2.5, 0.06), (10.0, 0.06), (10.0, 0.2), (2.0, 1.0)}
    assert {(round(a, 6), round(b, 6)) for a, b in corners} == expected
    assert (x.safe, y.safe) == ((0.5, 10.0), (0.06, 1.0))


def test_ratios_are_drawn_only_where_the_trials_have_their_parameters(tmp_path: Path) -> None:
    assert acting_axes(toy_request(tmp_path), ()) == ()
    assert [axis.name for axis in acting_axes(toy_request(tmp_path, "balance"), ())] == ["mel_over_kl", "clip_over_mel"]
    unknown = replace(RATIOS[0], numerator="nothing")
    assert acting_axes(toy_request(tmp_path), [unknown]) == ()


def test_a_picture_is_a_png_with_low_bands_at_the_bottom() -> None:
    values = np.zeros((3, 2), dtype=np.float32)
    values[2, 1] = 1.0  # last in time, high band: the upper right corner
    values[0, 0] = np.nan
    content = png(values)
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = {}, 8
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        kind, body = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        assert struct.unpack(">I", content[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + body)
        chunks[kind], at = body, at + 12 + length
    assert struct.unpack(">IIBBBBB", chunks[b"IHDR"]) == (3, 2, 8, 3, 0, 0, 0)
    assert len(chunks[b"PLTE"]) == 3 * 256
    rows = zlib.decompress(chunks[b"IDAT"])
    assert rows == bytes([0, 0, 0, 255, 0, 0, 0, 0])
    with pytest.raises(ValueError, match="expected"):
        png(np.zeros(4, dtype=np.float32))
