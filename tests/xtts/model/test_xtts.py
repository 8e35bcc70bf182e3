"""The model's presets, its raw losses and what each of its parts learns from."""

from __future__ import annotations

import pytest
import torch

from tests.xtts.model.made_clips import MELS, PATCH, made_clip, made_model, made_noise, noise_together, together
from xtts.audio.mel import MELS as REAL_MELS
from xtts.audio.mel import PATCH_FRAMES
from xtts.errors import SpeechError
from xtts.model.codec import to_patches
from xtts.model.model_config import PRESETS, model_config
from xtts.model.xtts import Xtts, valid_masks


@pytest.mark.parametrize(("name", "low", "high"), [("tiny", 1, 3), ("small", 10, 20), ("base", 50, 80)])
def test_presets_have_the_sizes_they_are_named_for(name, low, high):
    model = Xtts(model_config(name), 40, REAL_MELS, PATCH_FRAMES)
    assert low <= sum(parameter.numel() for parameter in model.parameters()) / 1e6 <= high


def test_the_largest_preset_has_the_gpt_of_xtts_v2():
    shape = PRESETS["xtts"]
    assert (shape.width, shape.layers, shape.heads, shape.voice_latents) == (1024, 30, 16, 32)


def test_an_unknown_preset_is_refused_with_those_there_are():
    with pytest.raises(SpeechError, match=r"huge.*tiny, small, base, xtts"):
        model_config("huge")


def test_losses_are_means_over_real_values():
    """By hand, from the model's parts."""
    model, clip = made_model(), made_clip(26, 9, 6, seed=0)
    noise = made_noise(clip, 0)
    patches = to_patches(clip.mel, PATCH)
    q = model.posterior(patches)
    latents = q.mean + q.log_sd.exp() * noise.posterior
    voice = model.voice(clip.reference, clip.reference_count)
    hidden, p, _ = model.prior(latents, noise.history_kept, model.text_at_patches(clip), voice)
    decoded = model.decoder(latents, hidden).view(1, -1, MELS)[:, :26]
    normal = [torch.distributions.Normal(one.mean, one.log_sd.exp()) for one in (q, p)]
    losses = model.losses(clip, noise)
    torch.testing.assert_close(losses["mel"], (decoded - clip.mel[:, :26]).abs().mean(), atol=1e-12, rtol=0)
    expected = torch.distributions.kl_divergence(*normal).sum() / (26 * MELS)
    torch.testing.assert_close(losses["kl"], expected, atol=1e-12, rtol=0)


def test_every_part_learns_and_the_decoder_from_the_mel_alone():
    model = made_model()
    clips = [made_clip(26, 9, 6, seed=0), made_clip(12, 4, 3, seed=1)]
    batch = together(clips)
    noise = noise_together([made_noise(clip, seed) for seed, clip in enumerate(clips)])

    def learning(term):
        model.zero_grad()
        losses = model.losses(batch, noise)
        losses[term].backward()
        return {n for n, p in model.named_parameters() if p.grad is not None and bool((p.grad != 0).any())}

    both = {name for name, _ in model.named_parameters()}
    by_mel, by_kl = learning("mel"), learning("kl")
    assert by_mel | by_kl == both
    assert {name for name in both if name.startswith("decoder.")} == by_mel - by_kl
    assert {name for name in both if name.startswith("prior.out.")} == by_kl - by_mel


def test_patches_hold_their_frames_in_order():
    mel = torch.arange(8.0 * MELS).view(1, 8, MELS)
    patches = to_patches(mel, PATCH)
    assert patches.shape == (1, 2, PATCH * MELS)
    assert torch.equal(patches.view(1, 8, MELS), mel)


def test_a_patch_with_one_real_frame_is_real():
    batch = together([made_clip(9, 3, 1, seed=0), made_clip(4, 3, 1, seed=1)])
    frames, patches = valid_masks(batch, PATCH)
    assert frames.sum(1).tolist() == [9, 4]
    assert patches.tolist() == [[True, True, True], [True, False, False]]
