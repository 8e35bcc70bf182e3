"""A clip gives the same result alone and next to longer ones, whatever stands in the padding."""

from __future__ import annotations

import pytest
import torch

from tests.xtts.model.made_clips import (
    MELS,
    PATCH,
    Noise,
    made_clip,
    made_model,
    made_noise,
    noise_together,
    together,
)
from xtts.model.free_running import run_freely, with_true_history

CLIPS = [(37, 9, 6), (12, 4, 2), (5, 11, 0), (63, 6, 9), (16, 1, 1)]
"""Frames, tokens and reference patches; one ends in part of a patch, one has no reference, one a single token."""


def clips(dtype: torch.dtype = torch.float64):
    return [made_clip(*size, seed=seed, dtype=dtype) for seed, size in enumerate(CLIPS)]


@pytest.mark.parametrize("rubbish", [0, 31])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_batch_loses_what_its_clips_lose_alone(dtype, rubbish):
    model, alone = made_model(dtype), clips(dtype)
    noises = [made_noise(clip, seed) for seed, clip in enumerate(alone)]
    values = [int(clip.frame_count) * MELS for clip in alone]
    each = [model.losses(clip, noise) for clip, noise in zip(alone, noises, strict=True)]
    batch = model.losses(together(alone, rubbish), noise_together(noises, rubbish))
    for term in ("mel", "kl"):
        expected = sum(one[term] * count for one, count in zip(each, values, strict=True)) / sum(values)
        torch.testing.assert_close(batch[term], expected, atol=1e-5 if dtype == torch.float32 else 1e-12, rtol=0)


@pytest.mark.parametrize("rubbish", [0, 31])
def test_a_clip_contributes_the_same_loss_next_to_any_longer_one(rubbish):
    """Told from the batch's loss by taking the other clip's own away."""
    model = made_model()
    for seed, size in enumerate(CLIPS):
        clip, longer = made_clip(*size, seed=seed), made_clip(80, 14, 12, seed=99)
        noises = [made_noise(clip, seed), made_noise(longer, 99)]
        counts = [int(one.frame_count) * MELS for one in (clip, longer)]
        both = model.losses(together([clip, longer], rubbish), noise_together(noises, rubbish))
        other = model.losses(longer, noises[1])
        alone = model.losses(clip, noises[0])
        for term, own in alone.items():
            found = (both[term] * sum(counts) - other[term] * counts[1]) / counts[0]
            torch.testing.assert_close(found, own, atol=1e-10, rtol=0)


def test_padding_changes_no_gradient():
    model, alone = made_model(), clips()
    noises = [made_noise(clip, seed) for seed, clip in enumerate(alone)]

    def gradients(batch, noise):
        model.zero_grad()
        losses = model.losses(batch, noise)
        (2.5 * losses["mel"] + losses["kl"]).backward()
        return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}

    batch = gradients(together(alone, 31), noise_together(noises, 31))
    each = [gradients(clip, noise) for clip, noise in zip(alone, noises, strict=True)]
    values = [int(clip.frame_count) * MELS for clip in alone]
    for name, gradient in batch.items():
        expected = sum(one[name] * count for one, count in zip(each, values, strict=True)) / sum(values)
        torch.testing.assert_close(gradient, expected, atol=1e-11, rtol=1e-9, msg=name)


@pytest.mark.parametrize("every", [3, 8, 1000])
@pytest.mark.parametrize("rubbish", [0, 31])
def test_a_clip_runs_freely_as_it_does_alone(every, rubbish):
    model, alone = made_model(), clips()
    batch = run_freely(model, with_true_history(model, together(alone, rubbish)), every)
    for row, clip in enumerate(alone):
        own = run_freely(model, with_true_history(model, clip), every)
        torch.testing.assert_close(batch[row : row + 1, : own.shape[1]], own, atol=2e-6, rtol=0)


@pytest.mark.parametrize("rubbish", [0, 31])
def test_a_clip_has_the_same_prior_posterior_and_states_as_alone(rubbish):
    model, alone = made_model(), clips()
    batch = with_true_history(model, together(alone, rubbish))
    for row, clip in enumerate(alone):
        own = with_true_history(model, clip)
        patches = own.hidden.shape[1]
        for name in ("patches", "text", "hidden"):
            torch.testing.assert_close(getattr(batch, name)[row, :patches], getattr(own, name)[0], atol=1e-10, rtol=0)
        for name in ("prior", "posterior"):
            for found, expected in zip(getattr(batch, name), getattr(own, name), strict=True):
                torch.testing.assert_close(found[row, :patches], expected[0], atol=1e-10, rtol=0)


def test_every_clip_of_a_batch_is_on_its_own():
    """Another clip in the neighbouring row moves nothing."""
    model, first = made_model(), made_clip(37, 9, 6, seed=0)
    rows = [
        run_freely(model, with_true_history(model, together([first, made_clip(37, 9, 6, seed=n)])), 8)[0]
        for n in (1, 2)
    ]
    torch.testing.assert_close(rows[0], rows[1], atol=1e-12, rtol=0)


def test_the_padded_frames_of_a_last_patch_are_not_counted():
    """Three of the last patch's four frames are padding: the decoder may say anything there."""
    model, clip = made_model(), made_clip(9, 4, 2, seed=0)
    noise = made_noise(clip, 0)
    before = model.losses(clip, noise)["mel"]

    def loud(latents, hidden, decode=model.decoder.forward):
        out = decode(latents, hidden).clone()
        out[:, -1, MELS:] += 100.0
        return out

    model.decoder.forward = loud
    torch.testing.assert_close(model.losses(clip, noise)["mel"], before, atol=1e-12, rtol=0)
    model.decoder.forward = lambda latents, hidden: 0.0 * hidden.sum() + torch.zeros(1, 3, MELS * PATCH)
    torch.testing.assert_close(model.losses(clip, noise)["mel"], clip.mel[:, :9].abs().mean(), atol=1e-12, rtol=0)


def test_where_a_speaker_has_no_other_clip_the_prompt_holds_nothing():
    model = made_model()
    clip = made_clip(37, 9, 0, seed=0)
    other = made_clip(37, 9, 0, seed=5)
    same = model.voice(clip.reference, clip.reference_count)
    torch.testing.assert_close(same, model.voice(other.reference, other.reference_count), atol=1e-12, rtol=0)
    assert (same - model.voice(clip.reference, torch.tensor([1]))).abs().max() > 1e-3


def test_noise_of_padding_is_drawn_but_means_nothing():
    model, alone = made_model(), clips()[:2]
    batch = together(alone)
    noise = noise_together([made_noise(clip, 0) for clip in alone])
    other = Noise(noise.posterior.clone(), noise.history_kept.clone())
    other.posterior[1, 3:] = 17.0
    other.history_kept[1, 3:] = False
    for term, value in model.losses(batch, noise).items():
        torch.testing.assert_close(model.losses(batch, other)[term], value, atol=1e-12, rtol=0)
