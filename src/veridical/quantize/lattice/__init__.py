"""Lattices with fast exact nearest-point decoders."""

from veridical.quantize.lattice.cosets import Cosets, construction_a, self_similar
from veridical.quantize.lattice.families import (
    Family,
    barnes_wall16,
    checkerboard,
    cubic,
    gosset,
    hexagonal,
    leech24,
)
from veridical.quantize.lattice.lattice import Lattice, lattice_blocks
from veridical.quantize.lattice.nested import NestedChain

__all__ = [
    "Cosets",
    "Family",
    "Lattice",
    "NestedChain",
    "barnes_wall16",
    "checkerboard",
    "construction_a",
    "cubic",
    "gosset",
    "hexagonal",
    "lattice_blocks",
    "leech24",
    "self_similar",
]
