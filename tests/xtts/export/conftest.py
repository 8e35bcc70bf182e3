"""A tuned config and its provenance, as a confirmed sweep leaves them."""

from __future__ import annotations

import pytest

from xtts.export import Provenance, TunedConfig


@pytest.fixture
def tuned() -> TunedConfig:
    params = {"mel_loss_weight": 3.5, "kl_loss_weight": 0.8, "gradient_clip_norm": 0.6, "learning_rate": 1e-4}
    return TunedConfig(params, mel_mean=-5.27, mel_sd=2.3, model="small")


@pytest.fixture
def provenance() -> Provenance:
    return Provenance(
        objective=0.5437,
        best_epoch=7,
        verdict="better",
        seeds=(11, 12, 13),
        interval=(-0.021, -0.004),
        data="demo speech",
        data_fingerprint="9f3ac1",
        date="2026-11-23",
        version="0.1.0",
        run="evening",
        model="small",
    )
