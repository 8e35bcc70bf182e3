"""Fixed weights stay what they are; the rivals' KL weight follows their rule exactly, and goes on where it was."""

from __future__ import annotations

import math

import pytest
import torch

from sweeps.storage.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tests.xtts.conftest import Learnable
from tests.xtts.trials import comparable, parameters, watch
from xtts.audio.mel import PATCH_FRAMES
from xtts.data.splits import TEST, VALIDATION
from xtts.errors import SpeechError
from xtts.model.codec import to_patches
from xtts.model.gaussian import Gaussian, kl_divergence
from xtts.model.xtts import Batch, Noise, Xtts, valid_masks
from xtts.trainer import XttsTrainer
from xtts.training.settings import Settings
from xtts.training.weighting import Balancer, LearnedScale

RIVALS = ("sigma_vae", "balancer")
CPU = torch.device("cpu")
EXACT = {"precision": "float64", "batch_frames": 250}


def test_with_fixed_weights_the_loss_is_their_sum(learnable):
    trainer = learnable.training(mel_loss_weight=3.0, kl_loss_weight=0.7, **EXACT)
    watched = watch(trainer)
    metrics = trainer.train_epoch()
    totals = [3.0 * losses["mel"] + 0.7 * losses["kl"] for losses in watched.losses]
    assert metrics["loss"] == pytest.approx(sum(totals) / len(totals), rel=1e-6)
    assert (metrics["train/mel_weight"], metrics["train/kl_weight"]) == (3.0, 0.7)


def test_the_learned_scale_follows_the_mel_error_exactly_and_has_no_gradient():
    scale = LearnedScale(2.5, CPU, torch.float64)
    expected = 0.7
    for step in range(200):
        mel = torch.tensor(0.9 * 0.97**step, dtype=torch.float64, requires_grad=True)
        weights = scale.weights({"mel": mel, "kl": torch.ones((), dtype=torch.float64)})
        assert weights.mel == 2.5
        assert float(weights.kl) == pytest.approx(2.5 * expected, rel=1e-14)
        assert not weights.kl.requires_grad
        expected = max(0.05, 0.95 * expected + 0.05 * float(mel.detach()))
    assert expected == 0.05


def test_a_trial_with_a_learned_scale_is_weighted_by_it(learnable):
    trainer = learnable.training(weighting="sigma_vae", kl_loss_weight=9.0, **EXACT)
    watched = watch(trainer)
    scale, steps = 0.7, 0
    for _ in range(2):
        metrics = trainer.train_epoch()
        weights, totals = [], []
        for losses in watched.losses[steps:]:
            weights.append(2.5 * scale)
            totals.append(2.5 * (losses["mel"] + scale * losses["kl"]))
            scale = max(0.05, 0.95 * scale + 0.05 * losses["mel"])
        steps += len(totals)
        assert metrics["train/mel_weight"] == 2.5
        assert metrics["train/kl_weight"] == pytest.approx(sum(weights) / len(weights), rel=1e-6)
        assert metrics["loss"] == pytest.approx(sum(totals) / len(totals), rel=1e-6)
    assert steps >= 10


def first_step(trainer: XttsTrainer) -> tuple[Batch, Noise]:
    """What the first training step of a trial is given."""
    watched = watch(trainer)
    trainer.train_epoch()
    return watched.batches[0], watched.noises[0]


def gradients_where_losses_meet(model: Xtts, batch: Batch, noise: Noise) -> dict[str, torch.Tensor]:
    """Gradient of each raw loss in the posterior's output and the prior's hidden states, as one vector."""
    patches = to_patches(batch.mel, PATCH_FRAMES)
    raw = torch.cat([*unbounded(model.posterior(patches))], dim=-1).detach().requires_grad_()
    q = Gaussian.from_raw(raw)
    voice = model.voice(batch.reference, batch.reference_count)
    hidden = model.prior(q.at(noise.posterior), noise.history_kept, model.text_at_patches(batch), voice)[0]
    hidden = hidden.detach().requires_grad_()
    frame_real, patch_real = valid_masks(batch, PATCH_FRAMES)
    values = frame_real.sum() * model.mels
    error = (model.decoder(q.at(noise.posterior), hidden) - patches).abs().unflatten(-1, (PATCH_FRAMES, -1)).sum(-1)
    losses = {
        "mel": (error * frame_real.unflatten(1, (-1, PATCH_FRAMES))).sum() / values,
        "kl": (kl_divergence(q, Gaussian.from_raw(model.prior.out(hidden))) * patch_real).sum() / values,
    }
    return {
        name: torch.cat([part.flatten() for part in torch.autograd.grad(loss, [raw, hidden], retain_graph=True)])
        for name, loss in losses.items()
    }


def unbounded(gaussian: Gaussian) -> Gaussian:
    """The network's output that from_raw made this of."""
    return Gaussian(gaussian.mean, 6.0 * torch.atanh(gaussian.log_sd / 6.0))


def test_the_balancers_first_weight_gives_each_loss_its_share_of_the_gradient(learnable):
    settings = {"mel_loss_weight": 2.0, "kl_loss_weight": 0.5, **EXACT}
    trainer = learnable.training(**settings)
    model, (batch, noise) = trainer.model, first_step(learnable.training(**settings))
    norms = {name: float(vector.norm()) for name, vector in gradients_where_losses_meet(model, batch, noise).items()}
    balancer = Balancer(2.0, 0.5, CPU, torch.float64)
    with balancer.watching(model):
        losses = model.losses(batch, noise)
    weights = balancer.weights(losses)
    shares = weights.mel * norms["mel"], float(weights.kl) * norms["kl"]
    assert weights.mel == 2.0
    assert shares[0] / sum(shares) == pytest.approx(2.0 / 2.5, rel=1e-9)


def test_the_balancers_norms_are_a_running_mean_with_encodecs_memory(learnable):
    trainer = learnable.training(**EXACT)
    batch, noise = first_step(learnable.training(**EXACT))
    balancer = Balancer(2.5, 1.0, CPU, torch.float64)
    seen, count = {"mel": 0.0, "kl": 0.0}, 0.0
    for scale in (1.0, 3.0, 0.2):
        with balancer.watching(trainer.model):
            losses = trainer.model.losses(batch, noise)
        norms = gradients_where_losses_meet(trainer.model, batch, noise)
        count = 0.999 * count + 1.0
        for name, factor in (("mel", 1.0), ("kl", scale)):
            seen[name] = 0.999 * seen[name] + factor * float(norms[name].norm())
        weights = balancer.weights({"mel": losses["mel"], "kl": scale * losses["kl"]})
        means = {name: total / count for name, total in seen.items()}
        assert float(weights.kl) == pytest.approx(means["mel"] / means["kl"], rel=1e-9)


def test_every_parameter_gets_the_gradient_of_the_weighted_total(learnable):
    trainer = learnable.training(**EXACT)
    batch, noise = first_step(learnable.training(**EXACT))
    model, balancer = trainer.model, Balancer(2.5, 1.0, CPU, torch.float64)
    with balancer.watching(model):
        losses = model.losses(batch, noise)
    weights = balancer.weights(losses)
    balancer.backward(weights.mel * losses["mel"] + weights.kl * losses["kl"])
    cut = {name: one.grad for name, one in model.named_parameters() if one.grad is not None}
    model.zero_grad()
    plain = model.losses(batch, noise)
    (weights.mel * plain["mel"] + weights.kl * plain["kl"]).backward()
    whole = {name: one.grad for name, one in model.named_parameters() if one.grad is not None}
    assert cut.keys() == whole.keys()
    for name, gradient in whole.items():
        torch.testing.assert_close(cut[name], gradient, rtol=1e-9, atol=1e-14)


def test_half_precision_finds_nearly_the_same_balance(learnable):
    trainer = learnable.training(batch_frames=250)
    batch, noise = first_step(learnable.training(batch_frames=250))
    found = []
    for half in (False, True):
        balancer = Balancer(2.5, 1.0, CPU, torch.float32)
        with torch.autocast("cpu", torch.bfloat16, enabled=half), balancer.watching(trainer.model):
            losses = trainer.model.losses(batch, noise)
        weights = balancer.weights(losses)
        balancer.backward(weights.mel * losses["mel"] + weights.kl * losses["kl"])
        found.append(float(weights.kl))
    assert found[0] != found[1]
    assert found[1] == pytest.approx(found[0], rel=0.02)


def test_to_the_balancer_the_scale_of_a_loss_is_nothing(learnable):
    """A KL ten times as large gets a tenth of the weight, and the trial learns the same."""
    ends = []
    for factor in (1.0, 10.0):
        trainer = learnable.training(weighting="balancer", **EXACT)
        losses = trainer.model.losses

        def scaled(batch: Batch, noise: Noise, losses=losses, factor=factor) -> dict[str, torch.Tensor]:
            found = losses(batch, noise)
            return found | {"kl": factor * found["kl"]}

        trainer.model.losses = scaled
        metrics = trainer.train_epoch()
        ends.append((parameters(trainer), metrics["train/kl_weight"] * factor))
    torch.testing.assert_close(ends[0][0], ends[1][0], rtol=1e-6, atol=1e-9)
    assert ends[0][1] == pytest.approx(ends[1][1], rel=1e-6)


@pytest.mark.parametrize("weighting", RIVALS)
def test_a_rival_learns_otherwise_from_the_same_beginning(learnable, weighting):
    default, rival = learnable.training(), learnable.training(weighting=weighting)
    assert torch.equal(parameters(default), parameters(rival))
    watched_default, watched_rival = watch(default), watch(rival)
    default.train_epoch()
    metrics = rival.train_epoch()
    for one, other in zip(watched_default.noises, watched_rival.noises, strict=True):
        assert torch.equal(one.posterior, other.posterior)
    assert not torch.equal(parameters(default), parameters(rival))
    assert math.isfinite(metrics["objective"])
    assert metrics["train/mel_weight"] == 2.5
    assert 0.0 < metrics["train/kl_weight"] < math.inf


@pytest.mark.parametrize("weighting", ["fixed", *RIVALS])
def test_a_trial_goes_on_from_a_checkpoint_as_if_it_had_never_stopped(learnable, tmp_path, weighting):
    whole = learnable.training(weighting=weighting)
    whole.train_epoch()
    save_checkpoint(tmp_path / "last", Checkpoint(whole.state_dict(), {}))
    expected = whole.train_epoch()
    resumed = learnable.training(weighting=weighting)
    resumed.load_state_dict(load_checkpoint(tmp_path / "last").state)
    assert comparable(resumed.train_epoch()) == comparable(expected)
    assert torch.equal(parameters(resumed), parameters(whole))


def test_after_a_step_the_balancer_leaves_the_model_as_it_was(learnable):
    trainer = learnable.training(weighting="balancer")
    watched = watch(trainer)
    trainer.train_epoch()
    trainer.model.zero_grad()
    sum(trainer.model.losses(watched.batches[0], watched.noises[0]).values()).backward()
    assert all(one.grad is not None and one.grad.any() for one in trainer.model.text.parameters())


@pytest.mark.parametrize("weighting", RIVALS)
def test_a_rival_that_diverges_says_where(learnable, weighting):
    trainer = learnable.training(weighting=weighting)
    losses, steps = trainer.model.losses, iter(range(1, 1000))

    def spoiled(batch: Batch, noise: Noise) -> dict[str, torch.Tensor]:
        found = losses(batch, noise)
        return found | {"mel": found["mel"] * math.nan} if next(steps) == 2 else found

    trainer.model.losses = spoiled
    metrics = trainer.train_epoch()
    assert metrics["diverged"] == {"step": 2, "term": "mel", "value": "nan"}


def test_rivals_are_named_with_what_they_add_to_the_default(learnable):
    rivals = XttsTrainer.rivals()
    assert tuple(rivals) == RIVALS
    for name, params in rivals.items():
        assert Settings.of({**XttsTrainer.default_params(), **params}).weighting == name


def test_a_confirmation_learns_the_same_and_is_judged_on_the_test_split(learnable: Learnable):
    searched = learnable.training()
    confirmed = learnable.training(**XttsTrainer.confirmation_params())
    first, second = searched.train_epoch(), confirmed.train_epoch()
    assert torch.equal(parameters(searched), parameters(confirmed))
    speech = learnable.aligned.speech
    assert not set(speech.indices(TEST)) & set(speech.indices(VALIDATION))
    assert first["loss"] == second["loss"]
    for name in ("objective", "val/next", "val/mel", "mean_frame_error", "text_use"):
        assert first[name] != second[name]
    assert len(second["evaluations"]) == len(first["evaluations"])
    assert second["evaluations"][-1]["objective"] == second["objective"]


@pytest.mark.parametrize(
    ("name", "value", "known"),
    [("weighting", "sigma", "fixed, sigma_vae, balancer"), ("evaluate_on", "train", "validation, test")],
)
def test_what_is_not_known_is_refused_with_what_is(name, value, known):
    with pytest.raises(SpeechError, match=f"{name} '{value}': expected one of {known}"):
        Settings.of({name: value})
