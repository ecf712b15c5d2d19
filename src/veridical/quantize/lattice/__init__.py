"""Lattices with fast exact nearest-point decoders."""

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

__all__ = [
    "Family",
    "Lattice",
    "barnes_wall16",
    "checkerboard",
    "cubic",
    "gosset",
    "hexagonal",
    "lattice_blocks",
    "leech24",
]
