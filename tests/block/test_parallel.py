"""Vector Gaussians by parallel random codes: allocation by brute force, prices measured."""

import itertools
import math

import numpy as np
import pytest

from veridical.block.cosine import conveyed_share
from veridical.block.parallel import allocate_bits, vector_code
from veridical.errors import InvalidSetting
from veridical.limits import oblivious_distortion, vector_gaussian_distortion

SPECTRUM = (4.0, 1.0, 0.25)


def price(n, index, seeds):
    u = [conveyed_share(n, b) for b in index]
    v = [conveyed_share(n, b + c) for b, c in zip(index, seeds, strict=True)]
    d = sum(s * (1 - a) for s, a in zip(SPECTRUM, u, strict=True))
    C = sum(s * (1 + a - 2 * math.sqrt(a * b)) for s, a, b in zip(SPECTRUM, u, v, strict=True))
    return d, C


def ways(total, parts):
    return [w for w in itertools.product(range(total + 1), repeat=parts) if sum(w) == total]


@pytest.mark.parametrize("perception", [0.0, 0.3, None])
def test_allocation_is_the_best_of_all(perception):
    # Oracle: every way to share 6 index bits and 5 seed bits among three components at n=6; 1e-12.
    found = allocate_bits(SPECTRUM, 6, 6, 5, perception=perception)
    d, C = price(6, found.index_bits, found.seed_bits)
    assert (found.price.mmse, found.price.transport_cost) == pytest.approx((d, C), abs=1e-12)

    def value(pair):
        if perception is None:
            return pair
        return pair[0] + max(math.sqrt(pair[1]) - math.sqrt(perception), 0) ** 2

    best = min(value(price(6, b, c)) for b in ways(6, 3) for c in ways(5, 3))
    assert value((d, C)) == pytest.approx(best, abs=1e-12)


def test_the_penalty_of_ignoring_perception_tends_to_the_limit():
    # Oracle: the programme of the room of limits at R=1, unlimited common randomness, P=0: 21 %. The
    # codes' penalty grows with n towards it (n = 8, 16, 24: 2, 7, 10 %), and neither code is better
    # than its limit.
    spectrum = (4.0, 1.0, 0.25, 0.05)
    limit = vector_gaussian_distortion(spectrum, 1.0, 0.0, math.inf).distortion
    free = oblivious_distortion(spectrum, 1.0, 0.0, math.inf)
    penalties = []
    for n in (8, 16, 24):
        joint = allocate_bits(spectrum, n, n, math.inf, perception=0.0).price.distortion_for(0.0)
        water = allocate_bits(spectrum, n, n, math.inf, perception=None).price.distortion_for(0.0)
        assert joint > limit
        assert water > free
        penalties.append(water / joint - 1)
    assert 0 < penalties[0] < penalties[1] < penalties[2] < free / limit - 1


@pytest.mark.statistical
@pytest.mark.parametrize("seed_bits", [40, math.inf])
def test_measured_prices(seed_bits):
    # Oracle: the price list, over 25 codebooks of 60 blocks, 4 standard errors (about 2 %).
    allocation = allocate_bits(SPECTRUM, 8, 8, seed_bits, perception=0.0)
    assert min(allocation.index_bits[:2]) > 0
    rows = []
    for k in range(25):
        code = vector_code(allocation, codebook_seed=10 * k)
        rng = np.random.default_rng(k)
        x = rng.standard_normal((60, 8, 3)) * np.sqrt(SPECTRUM)
        index = code.encode(x, seed=k)
        assert index.shape == (60, 3)
        mmse = code.decode(index, rng, realism=0.0, seed=k)
        out = code.decode(index, rng, perception=0.4, seed=k)
        rows.append([np.mean(np.sum((x - y) ** 2, axis=2)) for y in (mmse, out)])
    expected = (allocation.price.mmse, allocation.price.distortion_for(0.4))
    for column, value in zip(np.transpose(rows), expected, strict=True):
        assert abs(column.mean() - value) < 4 * column.std(ddof=1) / 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], 4, 4), "eigenvalues"), (([1.0, math.nan], 4, 4), "eigenvalues"),
        (([1.0, 0.0], 4, 4), "eigenvalues"), (([1.0, 2.0], 4, 25), "index_bits"),
        (([1.0, 2.0], 4, 1.5), "index_bits"), (([1.0, 2.0], 4, 4, -1), "seed_bits"),
        (([1.0, 2.0], 4, 4, math.nan), "seed_bits"), (([1.0] * 9, 4, 24), "ways"),
    ],
)  # fmt: skip
def test_bad_allocations(arguments, message):
    with pytest.raises(InvalidSetting, match=message):
        allocate_bits(*arguments, perception=0.0)


def test_bad_blocks_and_indices():
    code = vector_code(allocate_bits([2.0, 1.0], 4, 4, 2, perception=None))
    with pytest.raises(InvalidSetting, match="blocks of vectors"):
        code.encode(np.zeros((3, 2, 4)))
    with pytest.raises(InvalidSetting, match="one column"):
        code.decode(np.zeros((3, 3), dtype=np.int64), np.random.default_rng(0))
    with pytest.raises(InvalidSetting):
        allocate_bits([1.0], 4, 4, perception=-1.0)
