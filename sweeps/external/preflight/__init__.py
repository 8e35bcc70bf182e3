"""Tries out what a sweep of an external trainer relies on, with a few short runs, before hours are spent.

Is the program deterministic for a seed? Does the objective stay where it is when only the loss weights move? Does each
searched parameter do anything at all? What does an epoch cost in time and disk?
"""

from sweeps.external.preflight.check import preflight
from sweeps.external.preflight.kept import checked_before, keep
from sweeps.external.preflight.result import Preflight

__all__ = ["Preflight", "checked_before", "keep", "preflight"]
