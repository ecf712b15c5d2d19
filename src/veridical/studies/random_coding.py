"""Random codes of Gaussian blocks: measured at small n, the exact law to n = 10^4, the limit.

Every point is a mean over codebooks drawn anew, because the price list is exact on that average
([T] eqs 54-71); its error is the spread over codebooks. What one codebook costs in realism is shown
apart: the divergence of the *block* law of ``X-`` from the source, as a bound on ``W2^2``, and for
blocks of two the exact W2 of the block beside that of single samples, which under-reports it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from veridical.arrays import Array
from veridical.block.channels import SphereChannel, SymbolChannel
from veridical.block.mismatch import law_mismatch
from veridical.block.random_coding import block_price, random_code
from veridical.limits import gaussian_distortion, gaussian_transport_cost
from veridical.measure import exact_w2_squared, mean_with_error
from veridical.studies.records import Record, Run

_RATE = 0.5
_COMMON = (0.0, 0.5, 1.0, math.inf)
_REALISM = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
_PLANE, _SINGLE = 2, 12
_SHARES = np.linspace(0.0, 1.0, 61)


@dataclass(frozen=True, kw_only=True)
class _Size:
    """Block lengths, codebooks for each, blocks of each codebook, and what the law is measured with."""

    lengths: tuple[int, ...]
    codebooks: int
    blocks: int
    law_lengths: tuple[int, ...]
    counted: int
    drawn: int
    transport: int
    curve: int


_SIZES = {
    "quick": _Size(lengths=(2, 4, 8), codebooks=12, blocks=20, law_lengths=(2, 4),
                   counted=1 << 11, drawn=200, transport=200, curve=6),
    "full": _Size(lengths=(2, 4, 8, 12, 16, 20, 24), codebooks=24, blocks=80,
                  law_lengths=(2, 4, 6, 8, 10, 12), counted=1 << 16, drawn=800, transport=600, curve=25),
}  # fmt: skip


def compute(run: Run) -> Record:
    """Distortion along the knob for each length and each ``Rc``, law of the block, lines and limits."""
    size = _SIZES[run.preset]
    even = np.unique(np.round(np.geomspace(1, 5000, size.curve)).astype(np.int64)) * 2
    curve = np.union1d(even, size.lengths)
    arrays: dict[str, Any] = {
        "lengths": np.array(size.lengths), "common": np.array(_COMMON), "realism": _REALISM,
        "curve": curve, "law_lengths": np.array(size.law_lengths), "shares": _SHARES,
    }  # fmt: skip
    measured = np.empty((len(_COMMON), len(size.lengths), len(_REALISM), 4))
    for i, Rc in enumerate(_COMMON):
        for j, n in enumerate(size.lengths):
            measured[i, j] = _distortions(n, Rc, size)
            run.progress(i * len(size.lengths) + j + 1, len(_COMMON) * len(size.lengths) + 2)
    arrays["measured"] = measured
    # Lines: least D at P = 0 and d, for the exact law and its limit; D(P) at two lengths.
    arrays["law_at_zero"] = np.array(
        [[_price(int(n), Rc).distortion_for(0.0) for n in curve] for Rc in _COMMON]
    )
    arrays["limit_at_zero"] = np.array([float(gaussian_distortion(_RATE, 0.0, r)) for r in _COMMON])
    shown = (size.lengths[0], size.lengths[len(size.lengths) // 2], size.lengths[-1])
    arrays["shown"] = np.array(shown)
    arrays["law_perception"], arrays["law_distortion"] = _curves(shown)
    C = float(gaussian_transport_cost(_RATE, 0.5))
    arrays["limit_perception"] = C * _SHARES**2
    arrays["limit_distortion"] = gaussian_distortion(_RATE, C * _SHARES**2, 0.5)
    arrays["mismatch"] = _mismatches(size)
    run.progress(1, 1)
    arrays["block_perception"] = _block_perception(size)
    arrays["single_perception"] = _single_perception(size)
    off = np.abs(measured[..., 0] - measured[..., 2]) / measured[..., 1]
    facts = {
        "rate_bits": _RATE,
        "codebooks": size.codebooks,
        "blocks_of_each": size.blocks,
        "largest_deviation_in_standard_errors": float(np.max(off)),
        "points": int(off.size),
        "law_above_limit_and_falling": bool(np.all(np.diff(arrays["law_at_zero"], axis=1) < 0)
                                            and np.all(arrays["law_at_zero"] > arrays["limit_at_zero"][:, None])),
    }  # fmt: skip
    return Record("random-coding", facts, arrays)


def _price(n: int, Rc: float) -> Any:
    return block_price(n, _RATE * n, Rc * n)


def _curves(lengths: tuple[int, ...]) -> tuple[Array, Array]:
    """``P`` and ``D(P)`` of the exact law at ``Rc = 1/2``, a row for each length."""
    prices = [_price(n, 0.5) for n in lengths]
    P = np.array([p.transport_cost * _SHARES**2 for p in prices])
    D = np.array(
        [[p.distortion_for(float(x)) for x in row] for p, row in zip(prices, P, strict=True)]
    )
    return P, D


def _distortions(n: int, Rc: float, size: _Size) -> Array:
    """For each realism: mean ``D``, its error over codebooks, ``D`` and ``P`` of the price list."""
    # More blocks of short codes, which vary more; fewer of long ones, which take their time.
    blocks = size.blocks * max(1, 16 // n)
    blocks = max(10, min(blocks, int(2.0 ** (22 - _RATE * n) / n)))
    values = np.empty((size.codebooks, len(_REALISM)))
    for k in range(size.codebooks):
        code = random_code(n, _RATE, Rc, codebook_seed=1000 * n + k)
        rng = np.random.default_rng([n, k, 17])
        x = rng.standard_normal((blocks, n))
        index = code.encode(x, seed=k)
        for m, a in enumerate(_REALISM):
            x_hat = code.decode(index, rng, realism=float(a), seed=k)
            values[k, m] = np.mean(np.square(x - x_hat))
    price = _price(n, Rc)
    rows = []
    for m, a in enumerate(_REALISM):
        D = mean_with_error(values[:, m])
        rows.append(
            [
                D.value,
                D.standard_error,
                price.distortion_at(float(a)),
                price.perception_at(float(a)),
            ]
        )
    return np.array(rows)


def _mismatches(size: _Size) -> Array:
    """KL of the block in nats (lower, upper, error), for each channel, ``Rc`` in 0 and 1/2, and n."""
    out = np.empty((2, 2, len(size.law_lengths), 3))
    for i, channel in enumerate((SphereChannel, SymbolChannel)):
        for j, Rc in enumerate((0.0, 0.5)):
            for k, n in enumerate(size.law_lengths):
                parts = [
                    law_mismatch(
                        random_code(n, _RATE, Rc, codebook_seed=50 * n + c, channel=channel),
                        counted=size.counted, drawn=size.drawn, seed=c,
                        rng=np.random.default_rng([n, c, 23]),
                    )
                    for c in range(2 if size.codebooks < 20 else 4)
                ]  # fmt: skip
                upper = mean_with_error([p.upper_nats for p in parts])
                out[i, j, k] = (
                    np.mean([p.lower_nats for p in parts]),
                    upper.value,
                    upper.standard_error,
                )
    return out


def _block_perception(size: _Size) -> Array:
    """Blocks of two, ``Rc = 1/2``: per sample, ``W2^2`` of the block and of single samples, by realism.

    Columns: price list, block, its error, single samples, their error. The distance of ``m`` samples
    is biased by about ``1/m`` in the plane and on the line; twice the distance less that of the
    halves removes it.
    """
    n, books = _PLANE, min(size.codebooks, 10)
    block, single = np.empty((books, len(_REALISM))), np.empty((books, len(_REALISM)))
    for k in range(books):
        code = random_code(n, _RATE, 0.5, codebook_seed=9000 + k)
        rng = np.random.default_rng([k, 29])
        x = rng.standard_normal((size.transport, n))
        index = code.encode(x, seed=k)
        fresh = rng.standard_normal((size.transport, n))
        for m, a in enumerate(_REALISM):
            y = code.decode(index, rng, realism=float(a), seed=k)
            block[k, m] = _debiased(y, fresh) / n
            # One coordinate of each block, so that samples are independent.
            single[k, m] = np.mean([_debiased(y[:, [c]], fresh[:, [c]]) for c in range(n)])
    price = _price(n, 0.5)
    rows = []
    for m, a in enumerate(_REALISM):
        b, s = mean_with_error(block[:, m]), mean_with_error(single[:, m])
        rows.append(
            [price.perception_at(float(a)), b.value, b.standard_error, s.value, s.standard_error]
        )
    return np.array(rows)


def _single_perception(size: _Size) -> Array:
    """Longer blocks, ``Rc = 1/2``: price list, ``W2^2`` of single samples and its error, by realism."""
    n, values = _SINGLE, np.empty((size.codebooks, len(_REALISM)))
    for k in range(size.codebooks):
        code = random_code(n, _RATE, 0.5, codebook_seed=5000 + k)
        rng = np.random.default_rng([k, 37])
        x = rng.standard_normal((size.transport, n))
        index = code.encode(x, seed=k)
        for m, a in enumerate(_REALISM):
            y = np.sort(code.decode(index, rng, realism=float(a), seed=k).ravel())
            # On the line the monotone plan is optimal; the source's quantiles are exact.
            values[k, m] = np.mean(np.square(y - _normal_quantiles(y.size)))
    price = _price(n, 0.5)
    rows = []
    for m, a in enumerate(_REALISM):
        single = mean_with_error(values[:, m])
        rows.append([price.perception_at(float(a)), single.value, single.standard_error])
    return np.array(rows)


def _normal_quantiles(count: int) -> Array:
    from scipy.special import ndtri

    return ndtri((np.arange(count) + 0.5) / count)


def _debiased(x: Array, y: Array) -> float:
    half = len(x) // 2

    def distance(a: Array, b: Array) -> float:
        return exact_w2_squared(a, b, splits=2).value

    return 2.0 * distance(x, y) - 0.5 * (
        distance(x[:half], y[:half]) + distance(x[half:], y[half:])
    )
