"""Design of codes on a user's own vectors: basis, reverse water-filling, one code for each class of rates."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array, check_rng, is_number
from veridical.block.lattice import LatticeCodec, lattice_codec
from veridical.block.transform import (
    Front,
    TransformCodec,
    TransformEncoder,
    TransformEstimator,
    TransformGenerator,
)
from veridical.block.trellis import TrellisCodec, trellis_codec
from veridical.errors import InvalidSetting
from veridical.interpolate import Calibration
from veridical.quantize.lattice import Family
from veridical.quantize.trellis import Trellis
from veridical.transport import weighted_points

__all__ = ["transform_codec", "water_filling"]


_LEAST_RATE, _MOST_RATE = 0.1, 8.0
_LEAST_WITH_SEED = 0.6
"""Of a lattice that the seed shifts: its coder does not know the shape of large cells."""
_WIDTH, _MOST_CLASSES = 0.25, 8
_FEWEST_VECTORS = 64
_FEWEST_NUMBERS = 8_000
_MOST_NUMBERS = 120_000
_CONSTANT = 1e-12
_LEVELS = 1025
_ENOUGH, _OUTLIER = 256, 0.1
"""Vectors that tell, and the share of one of them: the greatest of as many of a normal or a Laplace law stays below."""


def transform_codec(
    samples: ArrayLike,
    method: Trellis | Family,
    *,
    rate_bits: float,
    common_bits: float = 0.0,
    rng: np.random.Generator,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> TransformCodec:
    """A codec of vectors from samples of them: half give the basis, a quarter the codes, a quarter the prices.

    Args:
        samples: shape ``(n, d)``, 64 or more.
        method: trellis, or family of lattices, of the codes.
        rate_bits: ``R`` per vector, of the entropy coder.
        common_bits: ``Rc`` per *component that is sent*; see ``trellis_codec`` and ``lattice_codec``.
        rng: source of all random choices.
        progress: called with the number of codes done and to do.

    Warns:
        UserWarning: heavy tails, with figures, where the samples are many enough to tell.

    Raises:
        InvalidSetting: bad samples, or a rate below 0.1 or above 8 bits for the strongest component.
    """
    check_rng(rng)
    x, _ = weighted_points(samples, name="samples")
    if len(x) < _FEWEST_VECTORS:
        raise InvalidSetting(
            f"{len(x)} vectors are too few for a transform code; give {_FEWEST_VECTORS} or more"
        )
    if not is_number(rate_bits) or not rate_bits > 0:
        raise InvalidSetting(f"rate_bits must be more than 0, got {rate_bits!r}")
    x = x[rng.permutation(len(x))]
    half, quarter = len(x) // 2, len(x) // 4
    mean = x[:half].mean(axis=0)
    basis = _basis(x[:half])
    # Variances on other vectors than those of the basis: neither too great nor too small in its directions.
    fit, held = x[half : half + quarter], x[half + quarter :]
    variances = np.mean(np.square((fit - mean) @ basis), axis=0)
    order = np.argsort(-variances, kind="stable")
    order = order[variances[order] > _CONSTANT * max(float(np.sum(variances)), 1e-300)]
    if not order.size:
        raise InvalidSetting("the samples are all the same; nothing is to be coded")
    shifted = isinstance(method, Family) and common_bits != 0
    least = _LEAST_WITH_SEED if shifted else _LEAST_RATE
    rates = water_filling(variances[order], float(rate_bits), least)
    front = Front(mean, basis[:, order], np.sqrt(variances[order]))
    z = front.components(fit)
    codes, sizes, first = [], _class_sizes(rates), 0
    for number, size in enumerate(sizes):
        progress(number, len(sizes))
        part = slice(first, first + size)
        stream = z[: max(1, _MOST_NUMBERS // size), part].ravel()
        codes.append(_code(method, stream, float(np.mean(rates[part])), common_bits, rng))
        first += size
    progress(len(sizes), len(sizes))
    encoder = TransformEncoder(front, sizes, tuple(codes), _spread(z, sizes), len(z))
    rest = z[:, first:]
    quantiles = np.quantile(rest, np.linspace(0, 1, _LEVELS)) if rest.size else np.zeros(2)
    draft = TransformCodec(
        encoder, TransformEstimator(encoder), TransformGenerator(encoder, quantiles),
        Calibration(0.0, 0.0), float(rate_bits),
    )  # fmt: skip
    return _priced(draft, held, rng)


def _basis(x: Array) -> Array:
    """Karhunen-Loeve, or the coordinates where no correlation is to be seen: turned ones would lose their laws for nothing."""
    n, d = x.shape
    S = np.cov(x.T).reshape(d, d)
    s = np.sqrt(np.diag(S))
    # The greatest of d^2 / 2 correlations of independent columns stays below this but for once in 60.
    least = (math.sqrt(2 * math.log(max(d * d, 2))) + 1) / math.sqrt(n)
    seen = np.abs(S) > least * np.outer(s, s)
    np.fill_diagonal(seen, val=False)
    return np.linalg.eigh(S)[1] if np.any(seen) else np.eye(d)


def water_filling(variances: Array, rate_bits: float, least: float) -> Array:
    """Rates ``1/2 log2(l_i / t)`` of the strongest components that sum to ``R``.

    Args:
        variances: ``l``, falling, positive, shape ``(k,)``.
        rate_bits: ``R``.
        least: bits of a component that is sent.

    Returns:
        Shape ``(m,)``, ``m <= k``, falling.

    Raises:
        InvalidSetting: less than the least or more than 8 bits for the strongest.
    """
    logs = 0.5 * np.log2(variances)
    levels = (np.cumsum(logs) - rate_bits) / np.arange(1, logs.size + 1)
    good = np.flatnonzero(logs - levels >= least)
    rates = logs[: good[-1] + 1] - levels[good[-1]] if good.size else np.zeros(1)
    if not least <= rates[0] <= _MOST_RATE:
        raise InvalidSetting(
            f"{rate_bits:g} bits give the strongest component {rates[0]:.3g}, and codes take {least} to "
            f"{_MOST_RATE:g} bits each; ask for another rate per vector"
        )
    return rates


def _class_sizes(rates: Array) -> tuple[int, ...]:
    """Neighbours within a quarter of a bit share a code: 0.5 % of the error at most, more where the rates span over 2 bits."""
    width = max(_WIDTH, float(rates[0] - rates[-1]) / _MOST_CLASSES)
    sizes: list[int] = []
    first = math.inf
    for rate in rates:
        if rate < first - width or not sizes:
            sizes.append(0)
            first = float(rate)
        sizes[-1] += 1
    return tuple(sizes)


def _code(
    method: Trellis | Family, stream: Array, rate: float, common: float, rng: np.random.Generator
) -> TrellisCodec | LatticeCodec:
    """The code of a class on its own numbers; too few of them are taken for normal ones."""
    source = stream if stream.size >= _FEWEST_NUMBERS else None
    if isinstance(method, Trellis):
        return trellis_codec(
            method.states, rate_bits=rate, common_bits=common, source=source, rng=rng
        )
    return lattice_codec(method, rate_bits=rate, common_bits=common, source=source, rng=rng)


def _spread(z: Array, sizes: tuple[int, ...]) -> Array:
    """See :class:`TransformEncoder`."""
    ends = [*np.cumsum(sizes), z.shape[1]]
    parts = np.split(np.square(z), ends[:-1], axis=1)
    return np.array([float(np.std(p.mean(axis=1))) if p.size else 0.0 for p in parts])


def _priced(draft: TransformCodec, x: Array, rng: np.random.Generator) -> TransformCodec:
    """The codec with error, transport cost and rate on vectors that made no part of it; warns of heavy tails."""
    seed = int(rng.integers(1 << 62))
    index = draft.encode(x, seed=seed)
    x_mmse = draft.decode(index, rng, realism=0.0, seed=seed)
    x_real = draft.generator.generate(x_mmse, rng, index)
    errors = np.sum(np.square(x - x_mmse), axis=1)
    share = float(np.max(errors) / np.sum(errors)) if np.any(errors) else 0.0
    if len(x) >= _ENOUGH and share > _OUTLIER:
        warnings.warn(
            f"heavy tails: one of {len(x)} vectors that made no part of the design has {share:.0%} of their error, "
            f"{np.mean(errors):.4g} with it and {np.mean(np.delete(errors, np.argmax(errors))):.4g} without, so that "
            "prices hold for these samples only; transform or clip the samples",
            stacklevel=5,
        )
    price = Calibration(
        float(np.mean(errors)),
        float(np.mean(np.sum(np.square(x_real - x_mmse), axis=1))),
    )
    bits = 8 * len(draft.to_bytes(index, seed=seed))
    return replace(draft, calibration=price, rate_bits=bits / len(x))
