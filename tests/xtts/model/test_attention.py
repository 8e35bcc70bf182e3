"""Rotary places tell distances and nothing else."""

from __future__ import annotations

import torch

from xtts.model.attention import rotary_table, rotate


def test_attention_scores_depend_on_distance_alone():
    draw = torch.Generator().manual_seed(0)
    query, key = (torch.randn(1, 1, 1, 8, generator=draw, dtype=torch.float64).expand(1, 1, 40, 8) for _ in range(2))
    table = rotary_table(torch.arange(40), 8)
    scores = (rotate(query, table) @ rotate(key, table).transpose(2, 3))[0, 0]
    for distance in (-7, 0, 1, 12):
        along = scores.diagonal(distance)
        torch.testing.assert_close(along, along[:1].expand_as(along), atol=1e-5, rtol=0)
    assert scores[0].std() > 0.01


def test_turning_keeps_lengths_and_the_first_place_as_it_is():
    states = torch.randn(1, 2, 9, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    turned = rotate(states, rotary_table(torch.arange(9), 8))
    torch.testing.assert_close(turned.norm(dim=-1), states.norm(dim=-1), atol=1e-6, rtol=0)
    torch.testing.assert_close(turned[:, :, 0], states[:, :, 0], atol=0, rtol=0)


def test_a_table_of_single_places_is_part_of_the_whole_one():
    """A rollout asks for the places it stands at; they must be those of the full pass."""
    whole, some = rotary_table(torch.arange(50), 8), rotary_table(torch.tensor([3, 47]), 8)
    for full, part in zip(whole, some, strict=True):
        torch.testing.assert_close(part, full[[3, 47]], atol=0, rtol=0)
