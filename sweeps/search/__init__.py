"""Which config to try next, and which trial to stop: sampler, Gaussian process, acquisition, ASHA."""
