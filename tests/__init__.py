"""Tests mirror the packages: tests/sweeps/search has the tests of sweeps/search."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The checkout"""
