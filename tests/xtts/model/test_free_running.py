"""Running freely with a key-value cache gives what running the whole prior anew for every patch gives."""

from __future__ import annotations

import pytest
import torch

from tests.xtts.model.made_clips import PATCH, made_clip, made_model, together
from tests.xtts.model.run_anew import run_anew
from xtts.model.free_running import HORIZONS, run_freely, with_true_history


@pytest.mark.parametrize("every", [1, 3, HORIZONS, 1000])
@pytest.mark.parametrize("patches", [1, 7, 8, 21])
def test_the_cache_changes_nothing(patches, every):
    model = made_model()
    batch = together([made_clip(patches * PATCH, 9, 6, seed=1), made_clip(min(patches, 5) * PATCH - 1, 4, 0, seed=2)])
    found = run_freely(model, with_true_history(model, batch), every)
    torch.testing.assert_close(found, run_anew(model, batch, every), atol=2e-6, rtol=0)


def test_the_cache_changes_nothing_in_single_precision():
    model = made_model(torch.float32)
    batch = made_clip(40 * PATCH, 9, 6, seed=1, dtype=torch.float32)
    found = run_freely(model, with_true_history(model, batch), 1000)
    torch.testing.assert_close(found, run_anew(model, batch, 1000), atol=1e-5, rtol=0)


def test_one_patch_ahead_is_what_the_prior_says_after_true_history():
    model, batch = made_model(), made_clip(21 * PATCH, 9, 6, seed=1)
    history = with_true_history(model, batch)
    expected = model.decoder(history.prior.mean, history.hidden)
    torch.testing.assert_close(run_freely(model, history, 1), expected, atol=2e-6, rtol=0)
    torch.testing.assert_close(run_freely(model, history)[:, ::HORIZONS], expected[:, ::HORIZONS], atol=2e-6, rtol=0)


def test_running_freely_leaves_the_true_history_as_it_was():
    """One pass over the clip serves the horizons and the whole clips after them."""
    model, batch = made_model(), made_clip(21 * PATCH, 9, 6, seed=1)
    history = with_true_history(model, batch)
    first = run_freely(model, history)
    run_freely(model, history, 1000)
    torch.testing.assert_close(run_freely(model, history), first, atol=0, rtol=0)
