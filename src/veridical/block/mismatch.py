"""How far the law of ``X-`` in one codebook is from the source's: the law of the *block*.

Given the codebook, ``X-`` is a mixture: word ``j`` with the mass ``q_j`` of its operational cell, then the
backward channel. With ``k_j`` its density over the source's, ``g(y) = sum_j q_j k_j(y)`` and

    KL(p_X- || p_X) = E log g(X-)   (nats),     W2^2(p_X-, p_X) <= 2 s2 KL,

the second by Talagrand's inequality for ``N(0, s2 I)``: a bound on the squared W2 distance of the block
law at dimensions where no sample could show it. The masses are known by counting only; the two
ways of using the counts err to opposite sides on average:

* ``lower``: log-density of the counted mixture at outputs of the true one (Gibbs' inequality);
* ``upper``: the divergence of the counted mixture itself (KL is convex in its first law).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veridical.arrays import Array
from veridical.block.channels import CellChannel
from veridical.block.random_coding import RandomCode
from veridical.errors import InvalidSetting

_SCORES = 1 << 21


@dataclass(frozen=True)
class LawMismatch:
    """Divergence of the block law of ``X-`` from the source's, bracketed by two estimates.

    Attributes:
        lower_nats, upper_nats: estimates of ``KL(p_X- || p_X)`` of the block, below and above it
            on average.
        lower_error, upper_error: their standard errors over the drawn outputs.
        w2_squared_bound: ``2 s2 upper / n``: bound on ``W2^2`` per sample.
        words: how many words were counted.
    """

    lower_nats: float
    lower_error: float
    upper_nats: float
    upper_error: float
    w2_squared_bound: float
    words: int


def law_mismatch(
    code: RandomCode, *, counted: int, drawn: int, seed: int, rng: np.random.Generator
) -> LawMismatch:
    """Measure the divergence of a code with a finite codebook (``SphereChannel`` or ``SymbolChannel``).

    Args:
        code: with finite ``common_bits``.
        counted: blocks that are encoded to count the masses, many times ``2^(n(R+Rc))``.
        drawn: outputs at which the density is computed, 2 or more.
        seed: common randomness of the measurement.
        rng: source blocks and private randomness.

    Raises:
        InvalidSetting: unlimited common randomness or a ``CellChannel`` (the law is the source's),
            or too few blocks.
    """
    from scipy.special import logsumexp

    channel = code.generator
    if math.isinf(code.codebook.seed_bits) or isinstance(channel, CellChannel):
        raise InvalidSetting(
            "the law of X- is that of the source, and nothing is to be measured; give a code with "
            "SphereChannel or SymbolChannel and finite common_bits"
        )
    if counted < 2 or drawn < 2:
        raise InvalidSetting(f"counted and drawn must be 2 or more, got {counted} and {drawn}")
    scale = math.sqrt(channel.variance)
    book = code.codebook

    def outputs(n: int, sub: int) -> tuple[Array, NDArray[np.int64]]:
        x = scale * rng.standard_normal((n, book.dimension))
        index = book.encode(x, sub)
        return code.estimator.estimate(index, sub), book.places(index, sub)

    estimates, places = outputs(counted, seed)
    numbers, counts = np.unique(places, return_counts=True)
    words, log_mass = book.words_at(numbers), np.log(counts / counted)

    def divergence(x_mmse: Array) -> tuple[float, float]:
        y = channel.generate(x_mmse, rng, np.zeros(len(x_mmse), dtype=np.int64))
        step = max(1, _SCORES // len(words))
        logs = np.concatenate(
            [
                logsumexp(channel.log_ratio(y[k : k + step], words) + log_mass, axis=1)
                for k in range(0, len(y), step)
            ]
        )
        return float(np.mean(logs)), float(np.std(logs, ddof=1)) / math.sqrt(len(logs))

    upper, upper_error = divergence(estimates[rng.integers(counted, size=drawn)])
    fresh = (seed + 1) % (1 << 64)
    lower, lower_error = divergence(outputs(drawn, fresh)[0])
    bound = 2.0 * channel.variance * max(upper, 0.0) / book.dimension
    return LawMismatch(lower, lower_error, upper, upper_error, bound, len(numbers))
