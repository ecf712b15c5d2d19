"""Nested group codes over ``Z_p``: trellis codes, exact searches in their cosets, chains of three ([T] IV-D)."""

from veridical.quantize.group.chain import NestedChain
from veridical.quantize.group.code import Level, TrellisCode, checked_prime
from veridical.quantize.group.viterbi import MOST_COST, cheapest_words, whole_costs

__all__ = [
    "MOST_COST",
    "Level",
    "NestedChain",
    "TrellisCode",
    "cheapest_words",
    "checked_prime",
    "whole_costs",
]
