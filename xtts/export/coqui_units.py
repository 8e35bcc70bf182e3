"""Our loss weights in the units of Coqui's VITS.

|      | ours                                          | VITS (TTS/tts/layers/losses.py, VitsGeneratorLoss)        |
|------|-----------------------------------------------|-----------------------------------------------------------|
| mel  | mean |error| of a mel value, in sd            | mean |error| of a mel value, in nats: sd x ours           |
| kl   | nats per mel value                            | nats per frame, summed over its channels: num_mels x ours |

So w_mel mel + w_kl kl = (w_mel / sd) mel_vits + (w_kl / num_mels) kl_vits. Only the ratio of the two carries over:
VITS also has adversarial and duration terms (weight 1) whose balance with the mel no sweep of ours has measured.
Therefore mel_loss_alpha stays as the base file has it, kl_loss_alpha follows from the ratio, and the generator's clip
is scaled by what the whole loss was scaled by, mel_loss_alpha sd / w_mel.
"""

from __future__ import annotations

from dataclasses import dataclass

from xtts.export.tuned import TunedConfig


@dataclass(frozen=True)
class CoquiWeights:
    """The generator's weights and clip in VITS's units, and the arithmetic behind them in words."""

    mel_loss_alpha: float
    kl_loss_alpha: float
    generator_clip: float
    formulas: tuple[str, ...]


def coqui_weights(tuned: TunedConfig, mel_loss_alpha: float, kl_loss_alpha: float, num_mels: int) -> CoquiWeights:
    """Convert, with the base file's `mel_loss_alpha` as the anchor; its `kl_loss_alpha` is for comparison only."""
    mel, kl, clip = tuned.mel_loss_weight, tuned.kl_loss_weight, tuned.gradient_clip_norm
    sd = tuned.mel_sd if tuned.standardised else 1.0
    new_kl = _short(mel_loss_alpha * sd * kl / (num_mels * mel))
    new_clip = _short(clip * mel_loss_alpha * sd / mel)
    other_mel = _short(kl_loss_alpha * num_mels * mel / (sd * kl))
    formulas = (
        f"Tuned: mel_loss_weight {mel:g}, kl_loss_weight {kl:g}, gradient_clip_norm {clip:g}; sd of the mel {sd:g}.",
        "Units: our mel loss is in sd of the mel, VITS's in nats (sd times ours); our KL is nats per mel value, VITS's "
        f"nats per frame of {num_mels} mel values, summed over its channels ({num_mels} times ours).",
        f"mel_loss_alpha = {mel_loss_alpha:g}, as in the base file: its balance with VITS's adversarial terms was not "
        "part of the sweep; only the ratio of mel and KL carries over.",
        "kl_loss_alpha = mel_loss_alpha x sd x kl_loss_weight / (num_mels x mel_loss_weight) = "
        f"{mel_loss_alpha:g} x {sd:g} x {kl:g} / ({num_mels} x {mel:g}) = {new_kl:g}",
        f"The same ratio with the base file's kl_loss_alpha {kl_loss_alpha:g} kept: mel_loss_alpha = "
        f"{kl_loss_alpha:g} x {num_mels} x {mel:g} / ({sd:g} x {kl:g}) = {other_mel:g}",
        "grad_clip[1], the generator's = gradient_clip_norm x mel_loss_alpha x sd / mel_loss_weight = "
        f"{clip:g} x {mel_loss_alpha:g} x {sd:g} / {mel:g} = {new_clip:g}: the clip in proportion to the loss. "
        "Gradient norms depend on the network too: where grad_norm_1 is always or never above it, set it so that it "
        "clips some steps.",
        "grad_clip[0], the discriminator's, is as in the base file.",
    )
    return CoquiWeights(mel_loss_alpha, new_kl, new_clip, formulas)


def _short(value: float) -> float:
    return float(f"{value:.6g}")
