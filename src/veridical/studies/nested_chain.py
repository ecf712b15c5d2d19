"""[T] Fig. 10 as a record: the chain ``L1 < L2 < L3`` of a lattice code in the plane, and a code at work.

The hexagonal lattice with ``L1 = 3 L2`` (R = log2 3 bits a dimension, fixed length) and ``L3 = L2 / 2`` (Rc = 1 bit).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from veridical.block.lattice import lattice_codec
from veridical.quantize.lattice import hexagonal
from veridical.studies.records import Record

_SHAPING = 3


def _hexagon(side: float) -> NDArray[np.float64]:
    """Corners of a cell whose circumscribed circle has a radius, closed, shape ``(7, 2)``."""
    turn = np.arange(7) * math.pi / 3
    return side * np.stack([np.cos(turn), np.sin(turn)], axis=1)


def compute() -> Record:
    """The chain, 400 samples of N(0, I) coded with the seeds of four cosets, and what is decoded."""
    rng = np.random.default_rng(10)
    codec = lattice_codec(
        hexagonal(), rate_bits=math.log2(_SHAPING), common_bits=1.0, fixed_length=True,
        samples=8_000, rng=rng,
    )  # fmt: skip
    chain = codec.chain
    q = 1 if chain.cosets is None else chain.cosets.modulus
    # All points of L3 in the picture, and which coset of L2 each belongs to.
    reach = 4 * _SHAPING * q
    a, b = (g.ravel() for g in np.meshgrid(*[np.arange(-reach, reach + 1)] * 2))
    whole = np.stack([a, b], axis=1)[(a - b) % 2 == 0]
    points = (whole / q + chain.half_step) * chain.middle.axis
    coset = (whole[:, 0] % q) * q + ((whole[:, 1] - whole[:, 0]) // 2) % q
    near = np.max(np.abs(points), axis=1) < 1.35 * _SHAPING * chain.middle.scale
    x = rng.standard_normal((400, 2))
    index = codec.encode(x, seed=3)
    p = chain.points(index, 3)
    x_mmse = codec.decode(index, rng, realism=0.0, seed=3)
    x_real = codec.decode(index, rng, realism=1.0, seed=3)
    radius = chain.middle.covering_radius
    facts = {
        "rate_bits": codec.rate_bits, "common_bits": chain.common_bits, "shaping": _SHAPING,
        "cosets": q * q, "mmse": codec.calibration.mmse,
        "transport_cost": codec.calibration.transport_cost,
    }  # fmt: skip
    arrays = {
        "points": points[near], "coset": coset[near].astype(np.float64),
        "cell1": _hexagon(_SHAPING * radius), "cell2": _hexagon(radius), "cell3": _hexagon(radius / q),
        "x": x, "p": p, "x_mmse": x_mmse, "x_real": x_real,
        "drawn_coset": _coset_of(p, points, coset),
    }  # fmt: skip
    return Record("t10", facts, arrays)


def _coset_of(
    p: NDArray[np.float64], points: NDArray[np.float64], coset: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The coset of each coded point, by finding it among the points of ``L3``."""
    far = np.sum(np.square(p[:, None] - points[None]), axis=2)
    return coset[np.argmin(far, axis=1)].astype(np.float64)
