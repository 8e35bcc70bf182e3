"""XTTS with Gaussian latents and aligned text: posterior, causal prior, decoder, text encoder and voice prompt."""
