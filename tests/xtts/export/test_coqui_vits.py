"""Exports for Coqui's VITS keep the base config, and set its weights in VITS's own units."""

from __future__ import annotations

import dataclasses
import json
import math
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from xtts.export import ExportError, Provenance, TunedConfig
from xtts.export.coqui_units import coqui_weights
from xtts.export.targets.coqui_vits import PROVENANCE_KEY, render_coqui_vits

BASE: dict[str, Any] = {
    "output_path": "/data/صدا",
    "model": "vits",
    "run_name": "mine",
    "max_audio_len": math.inf,
    "audio": {"num_mels": 80, "mel_fmax": None, "sample_rate": 22050},
    "model_args": {"hidden_channels": 192, "use_sdp": True},
    "grad_clip": [1000, 1000],
    "optimizer_params": {"betas": [0.8, 0.99], "eps": 1e-09},
    "mel_loss_alpha": 45.0,
    "kl_loss_alpha": 1.0,
    "dur_loss_alpha": 1.0,
    "my_own_key": [1, {"a": None}],
}


def base_without(key: str) -> str:
    return json.dumps({name: value for name, value in BASE.items() if name != key})


def test_the_base_config_stays_complete_and_in_order(tuned: TunedConfig, provenance: Provenance) -> None:
    written = json.loads(render_coqui_vits(tuned, provenance, json.dumps(BASE)))
    assert list(written) == [PROVENANCE_KEY, *BASE]
    changed = {key for key in BASE if written[key] != BASE[key]}
    assert changed == {"kl_loss_alpha", "grad_clip"}


def test_kl_and_clip_follow_from_the_units(tuned: TunedConfig, provenance: Provenance) -> None:
    written = json.loads(render_coqui_vits(tuned, provenance, json.dumps(BASE)))
    assert written["mel_loss_alpha"] == 45.0
    assert written["kl_loss_alpha"] == pytest.approx(45 * 2.3 * 0.8 / (80 * 3.5), rel=1e-5)
    assert written["grad_clip"] == [1000, pytest.approx(0.6 * 45 * 2.3 / 3.5, rel=1e-5)]


def test_the_formulas_and_the_origin_stand_in_the_file(tuned: TunedConfig, provenance: Provenance) -> None:
    lines = json.loads(render_coqui_vits(tuned, provenance, json.dumps(BASE)))[PROVENANCE_KEY]
    text = "\n".join(lines)
    assert "kl_loss_alpha = mel_loss_alpha x sd x kl_loss_weight / (num_mels x mel_loss_weight)" in text
    assert "= 45 x 2.3 x 0.8 / (80 x 3.5) = 0.295714" in text
    assert "0.6 x 45 x 2.3 / 3.5 = 17.7429" in text
    assert "verdict: better, over seeds 11, 12, 13" in text
    assert "Kept, but unknown to coqui-tts 0.28.0, which ignores them silently: my_own_key." in text
    assert "lr_gen" in next(line for line in lines if line.startswith("Missing in the base file"))


def test_the_converted_loss_is_the_tuned_one_times_a_constant(tuned: TunedConfig) -> None:
    # Both losses, computed from the same errors and the same KL as each trainer computes them.
    rng = np.random.default_rng(0)
    constants = []
    for mean_kl in (0.01, 0.3):
        frames, mels, channels = 50, 80, 192
        raw_error = rng.normal(size=(frames, mels)) * tuned.mel_sd * 0.4
        kl_nats = rng.exponential(mean_kl, size=(frames, channels))
        ours = tuned.mel_loss_weight * np.abs(raw_error / tuned.mel_sd).mean()
        ours += tuned.kl_loss_weight * kl_nats.sum() / raw_error.size
        weights = coqui_weights(tuned, 45.0, 1.0, mels)
        vits = weights.mel_loss_alpha * np.abs(raw_error).mean() + weights.kl_loss_alpha * kl_nats.sum() / frames
        constants.append(vits / ours)
    assert constants[0] == pytest.approx(constants[1], rel=1e-5)
    assert weights.generator_clip / tuned.gradient_clip_norm == pytest.approx(constants[0], rel=1e-5)


def test_raw_mel_weights_need_no_sd(tuned: TunedConfig) -> None:
    raw = dataclasses.replace(tuned, params={**tuned.params, "mel_normalisation": "none"})
    assert coqui_weights(raw, 45.0, 1.0, 80).kl_loss_alpha == pytest.approx(45 * 0.8 / (80 * 3.5), rel=1e-5)


def test_a_second_export_replaces_the_first(tuned: TunedConfig, provenance: Provenance) -> None:
    once = render_coqui_vits(tuned, provenance, json.dumps(BASE, ensure_ascii=False))
    assert "صدا" in once
    assert render_coqui_vits(tuned, provenance, once).count(PROVENANCE_KEY) == 1


def test_a_searched_learning_rate_is_left_out_and_said_so(tuned: TunedConfig, provenance: Provenance) -> None:
    searched = dataclasses.replace(tuned, searched=frozenset({"learning_rate"}))
    assert "lr_gen and lr_disc belong to another network" in render_coqui_vits(searched, provenance, json.dumps(BASE))


@pytest.mark.parametrize("key", ["mel_loss_alpha", "kl_loss_alpha", "grad_clip", "audio", "model_args"])
def test_a_base_without_a_needed_key_is_refused(tuned: TunedConfig, provenance: Provenance, key: str) -> None:
    with pytest.raises(ExportError, match=f"the base file has no {key}"):
        render_coqui_vits(tuned, provenance, base_without(key))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "xtts"}, "model is 'xtts', not 'vits'"),
        ({"model": None}, "model is None"),
        ({"grad_clip": 5.0}, "needs a list of two numbers"),
        ({"grad_clip": [5.0]}, "needs a list of two numbers"),
        ({"grad_clip": [5.0, "x"]}, "needs a list of two numbers"),
        ({"mel_loss_alpha": 0}, "mel_loss_alpha is 0"),
        ({"mel_loss_alpha": "45"}, "not a number"),
        ({"kl_loss_alpha": math.inf}, "not a number"),
        ({"audio": []}, "audio is not an object"),
        ({"audio": {"num_mels": 0}}, "not a number of mel bands"),
    ],
)
def test_a_base_with_a_wrong_value_is_refused(
    tuned: TunedConfig, provenance: Provenance, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ExportError, match=message):
        render_coqui_vits(tuned, provenance, json.dumps(BASE | change))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON: line 1"),
        ('{"model": "vits", // a comment\n}', "line 1, column 19.*without comments"),
        ("training: {}", "not JSON"),
        ("[1, 2]", "holds a list"),
        ('{"model": "vits", "model": "vits"}', "duplicate key 'model'"),
        ("[" * 100_000, "nested too deeply|recursion"),
        ("1" * 5000, "cannot be read|Exceeds|digits"),
    ],
)
def test_a_base_that_is_no_config_is_refused_in_one_line(
    tuned: TunedConfig, provenance: Provenance, text: str, message: str
) -> None:
    with pytest.raises(ExportError, match=message) as refused:
        render_coqui_vits(tuned, provenance, text)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


def test_coqui_itself_reads_the_values_back(tuned: TunedConfig, provenance: Provenance) -> None:
    # coqui-tts wants torchaudio and torchcodec, which not every machine has.
    try:
        config_class = import_module("TTS.tts.configs.vits_config").VitsConfig
    except ImportError:
        pytest.skip("coqui-tts is not installed")
    base = config_class().to_dict()
    text = render_coqui_vits(tuned, provenance, json.dumps(base))
    config = config_class()
    config.from_dict(json.loads(text))
    assert "Loaded again and compared with coqui-tts" in text
    assert config.grad_clip == pytest.approx([1000, 17.7429])
    assert config.to_dict() == base | {key: json.loads(text)[key] for key in ("kl_loss_alpha", "grad_clip")}
    assert "Missing in the base file" not in text
