"""What a place may see: the latents before it, the text at it and before it, the voice; never what is yet to come."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.xtts.model.made_clips import (
    PATCH,
    SYMBOLS,
    Noise,
    made_clip,
    made_model,
    made_noise,
    together,
    with_mel_changed,
    with_steps_changed,
)
from xtts.model.free_running import HORIZONS, run_freely, with_true_history

PATCHES = 21


@pytest.fixture(scope="module")
def model():
    return made_model()


@pytest.fixture(scope="module")
def clip():
    return made_clip(PATCHES * PATCH, 9, 6, seed=0)


def moved(before, after):
    """Which patches of [1, patches, ...] differ."""
    return ((before - after).abs().flatten(2).amax(2)[0] > 1e-9).tolist()


def only_from(first):
    return [patch >= first for patch in range(PATCHES)]


@pytest.mark.parametrize("patch", [0, 7, 8, PATCHES - 2])
def test_later_sound_changes_no_earlier_state_prior_or_prediction(model, clip, patch):
    before, after = (with_true_history(model, one) for one in (clip, with_mel_changed(clip, patch)))
    assert moved(before.hidden, after.hidden) == only_from(patch + 1)
    assert moved(before.prior.mean, after.prior.mean) == only_from(patch + 1)
    assert moved(before.prior.log_sd, after.prior.log_sd) == only_from(patch + 1)
    decoded = [model.decoder(one.prior.mean, one.hidden) for one in (before, after)]
    assert moved(*decoded) == only_from(patch + 1)


def test_a_posterior_sees_its_own_patch_alone(model, clip):
    before, after = (with_true_history(model, one).posterior for one in (clip, with_mel_changed(clip, 5)))
    only_five = [patch == 5 for patch in range(PATCHES)]
    assert moved(before.mean, after.mean) == only_five
    assert moved(before.log_sd, after.log_sd) == only_five


@pytest.mark.parametrize("patch", [0, 7, PATCHES - 2])
def test_later_latents_change_no_earlier_state_in_training(model, clip, patch):
    noise = made_noise(clip, 0, kept=1.0)
    other = noise.posterior.clone()
    other[:, patch] += 1.0
    text, voice = model.text_at_patches(clip), model.voice(clip.reference, clip.reference_count)
    states = [model.prior(latents, noise.history_kept, text, voice)[0] for latents in (noise.posterior, other)]
    assert moved(*states) == only_from(patch + 1)


@pytest.mark.parametrize("patch", [0, 7, PATCHES - 1])
def test_the_text_of_later_patches_changes_no_earlier_state(model, clip, patch):
    before, after = (with_true_history(model, one) for one in (clip, with_steps_changed(clip, patch)))
    assert moved(before.text, after.text) == only_from(patch)
    assert moved(before.hidden, after.hidden) == only_from(patch)
    runs = [run_freely(model, one, 1000) for one in (before, after)]
    assert moved(*runs) == only_from(patch)


def test_a_token_changes_the_states_of_the_whole_text_and_no_posterior(model, clip):
    """The text is known before anything is said, so every token stands in the light of all others."""
    tokens = clip.tokens.clone()
    tokens[:, -1] = (tokens[:, -1] + 1) % SYMBOLS
    other = replace(clip, tokens=tokens)
    states = [model.text(one.tokens, one.token_count) for one in (clip, other)]
    assert all(moved(*states))
    before, after = (with_true_history(model, one) for one in (clip, other))
    assert all(moved(before.hidden, after.hidden))
    assert not any(moved(before.posterior.mean, after.posterior.mean))


def test_tokens_are_told_apart_by_their_place(model):
    """Two equal tokens in a row of equal tokens have different states: the text is no bag of letters."""
    tokens = torch.tensor([[1, 2, 3, 4, 4, 3, 2, 1]])
    states = model.text(tokens, torch.tensor([8]))
    assert (states[0, :4] - states[0, 4:].flip(0)).abs().amax(1).min() > 1e-3


def test_a_hidden_history_is_seen_by_nobody(model, clip):
    """Where a patch does not see the latent before it, no later patch sees that latent either."""
    noise = made_noise(clip, 0, kept=1.0)
    kept = noise.history_kept.clone()
    kept[:, 8] = False
    other = noise.posterior.clone()
    other[:, 7] += 1.0
    text, voice = model.text_at_patches(clip), model.voice(clip.reference, clip.reference_count)
    hidden = [model.prior(latents, kept, text, voice)[0] for latents in (noise.posterior, other)]
    assert not any(moved(*hidden))
    seen = [model.prior(latents, noise.history_kept, text, voice)[0] for latents in (noise.posterior, other)]
    assert moved(*seen) == only_from(8)


def test_without_any_history_only_text_and_voice_count(model, clip):
    nothing = Noise(made_noise(clip, 0).posterior, torch.zeros(1, PATCHES, dtype=torch.bool))
    text, voice = model.text_at_patches(clip), model.voice(clip.reference, clip.reference_count)
    hidden = [
        model.prior(latents, nothing.history_kept, text, voice)[0]
        for latents in (nothing.posterior, nothing.posterior * 3 + 1)
    ]
    assert not any(moved(*hidden))


def test_the_voice_prompt_is_heard_everywhere(model, clip):
    other = replace(clip, reference=clip.reference + 1.0)
    before, after = (with_true_history(model, one) for one in (clip, other))
    assert all(moved(before.hidden, after.hidden))
    assert not any(moved(before.posterior.mean, after.posterior.mean))


def test_patch_t_is_predicted_t_mod_8_plus_1_patches_ahead(model, clip):
    """The last true patch that a prediction depends on stands exactly so far before it."""
    changed = [with_mel_changed(clip, patch) for patch in range(PATCHES)]
    run = run_freely(model, with_true_history(model, together([clip, *changed])))
    for place in range(PATCHES):
        ahead = place % HORIZONS + 1
        heard = [moved(run[:1], run[1 + patch : 2 + patch])[place] for patch in range(PATCHES)]
        assert heard == [patch <= place - ahead for patch in range(PATCHES)]


def test_a_whole_clip_run_freely_hears_nothing_of_the_clip(model, clip):
    other = replace(clip, mel=clip.mel * -2.0 + 1.0)
    runs = [run_freely(model, with_true_history(model, one), 1000) for one in (clip, other)]
    assert not any(moved(*runs))
