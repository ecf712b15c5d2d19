"""Tests of the law of blocks: single symbols, neighbours, means of blocks, and nearness to the code.

The first is all that a per-symbol perception sees. The last knows the code: words of few bits leave blocks
nearer to the words of ``G3`` than blocks of the source are. The root of that distance, ``f``, is
1-Lipschitz, so that ``(E f(X-) - E f(X))^2 / n`` bounds the perception of the block law from below.
"""

from __future__ import annotations

import math

import numpy as np

from veridical.arrays import Array
from veridical.block.group_design import GroupDesign
from veridical.measure import mean_with_error
from veridical.quantize.group import cheapest_words, whole_costs


def block_law(design: GroupDesign, x_real: Array, fresh: Array) -> list[list[float]]:
    """Five tests of the law of blocks, each ``[statistic, standard error, value for the source]``."""
    source = design.codec.encoder.source
    s = source.symbols(x_real)
    centre = source.law @ source.points
    y, z = x_real - centre, fresh - centre
    v = source.variance
    seen = np.bincount(s.ravel(), minlength=source.law.size) / s.size
    # Variation of frequencies that s.size independent draws would have on average.
    floor = float(np.sum(np.sqrt(2 / math.pi * source.law * (1 - source.law) / s.size))) / 2
    blocks = len(y)
    marginal = [0.5 * float(np.sum(np.abs(seen - source.law))), floor, floor]
    tests = [marginal]
    pairs = mean_with_error(np.mean(y[:, 1:] * y[:, :-1], axis=1) / v)
    tests.append([pairs.value, pairs.standard_error, 0.0])
    means = y.shape[1] * float(np.mean(np.square(y.mean(axis=1)))) / v
    tests.append([means, math.sqrt(2 / blocks), 1.0])
    near, far = _distances(design, y + centre), _distances(design, z + centre)
    mine, theirs = mean_with_error(near), mean_with_error(far)
    tests.append([mine.value / theirs.value, mine.standard_error / theirs.value, 1.0])
    root, other = mean_with_error(np.sqrt(near)), mean_with_error(np.sqrt(far))
    gap, error = root.value - other.value, math.hypot(root.standard_error, other.standard_error)
    tests.append([gap**2, 2 * abs(gap) * error + error**2, 0.0])
    return tests


def _distances(design: GroupDesign, x: Array) -> Array:
    """Squared distance per symbol of each block to the nearest word of ``G3``."""
    encoder, chain = design.codec.encoder, design.codec.chain
    costs = design.letters.distortion[encoder.source.symbols(x)]
    whole = whole_costs(costs, chain.n)
    words = cheapest_words(chain.codes[2], whole, np.zeros(x.shape, dtype=np.int64))[1]
    distance = np.take_along_axis(costs, words[..., None], axis=2)[..., 0]
    return np.mean(distance, axis=1)
