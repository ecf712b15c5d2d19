"""Lattices: decoders against two independent searches, figures against the published tables."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veridical.errors import InvalidSetting
from veridical.quantize.lattice import (
    Lattice,
    barnes_wall16,
    checkerboard,
    cubic,
    gosset,
    hexagonal,
    leech24,
)
from veridical.quantize.lattice.golay import golay_words

FAMILIES = [
    cubic(1), cubic(3), hexagonal(), checkerboard(2), checkerboard(3), checkerboard(4),
    checkerboard(7), gosset(), barnes_wall16(), leech24(),
]  # fmt: skip
BY_NAME = {family.name: family for family in FAMILIES}
names = pytest.mark.parametrize("name", list(BY_NAME))


def closer_point_exists(family, y, radius_squared):
    """Depth-first search of all lattice points strictly closer than a radius (Fincke and Pohst).

    It knows the triangular basis only, nothing of the structure that the decoders use.
    """
    basis, axis = np.array(family.basis), np.array(family.axis)
    d = family.dimension

    # With an upper triangular basis, the first coordinates of z settle the first coordinates of u.
    # Rows are reversed, so that the coarse last coordinates, fixed first, prune the search.
    order = np.arange(d)[::-1]
    gram = (basis * axis) @ (basis * axis).T
    lower = np.linalg.cholesky(gram[np.ix_(order, order)])
    t = np.linalg.solve(lower, (basis[order] * axis) @ (y * axis))

    def search(level, z, rest):
        if level < 0:
            return True
        center = t[level] - sum(lower[j, level] * z[j] for j in range(level + 1, d))
        reach = math.sqrt(rest) / lower[level, level]
        middle = center / lower[level, level]
        for value in range(math.ceil(middle - reach), math.floor(middle + reach) + 1):
            left = rest - (center - lower[level, level] * value) ** 2
            if left > 0 and search(level - 1, {**z, level: value}, left):
                return True
        return False

    return search(d - 1, {}, radius_squared)


def least_distances(family, y):
    """Squared distances by plain enumeration of all cosets of ``period Z^d`` or of ``4 D24``."""
    axis = np.array(family.axis)
    if family.name == "Leech":
        words = golay_words()
        best = np.full(len(y), np.inf)
        for t in (0, 1):
            for some in np.array_split(words, 128):
                quarter = (y[None] - (t + 2 * some)[:, None]) / 4
                whole = np.rint(quarter)
                miss = np.abs(quarter - whole)
                wrong = (np.sum(whole, axis=2) + t) % 2
                cost = np.sum(np.square(miss), axis=2) + wrong * (1 - 2 * np.max(miss, axis=2))
                np.minimum(best, 2 * np.min(cost, axis=0), out=best)
        return best
    m = family.period
    spread = [range(m // row[i]) for i, row in enumerate(family.basis)]
    best = np.full(len(y), np.inf)
    for z in itertools.product(*spread):
        base = np.array(z) @ np.array(family.basis)
        rest = (y - base) / m
        miss = (rest - np.rint(rest)) * m * axis
        np.minimum(best, np.sum(np.square(miss), axis=1), out=best)
    return best


def squared_miss(family, y, u):
    return np.sum(np.square((y - u) * np.array(family.axis)), axis=1)


@names
def test_no_point_is_closer_than_the_decoded_one(name):
    # Oracle: exhaustive tree search over the basis; 1e-9 keeps the decoded point itself out. 40
    # points (8 for the Leech lattice), wide and narrow, at a fixed seed.
    family = BY_NAME[name]
    rng = np.random.default_rng(1)
    for spread in (0.8, 6.0):
        y = rng.normal(size=(4 if name == "Leech" else 20, family.dimension)) * spread
        u = Lattice(family).nearest_units(y)
        assert Lattice(family).contains(u).all()
        for point, miss in zip(y, squared_miss(family, y, u), strict=True):
            assert not closer_point_exists(family, point, miss * (1 - 1e-9))
            assert closer_point_exists(family, point, miss * (1 + 1e-9) + 1e-12)


@pytest.mark.parametrize("name", ["Z3", "A2", "D2", "D3", "D4", "D7", "E8"])
@given(st.data())
def test_decoder_agrees_with_enumeration_of_cosets(name, data):
    # Oracle: every coset of period Z^d, rounded coordinate by coordinate. Multiples of 1/4 hold
    # many ties; sums of their squares times axis^2 are exact but for A2 (1e-12).
    family = BY_NAME[name]
    numbers = st.one_of(
        st.integers(-40, 40).map(lambda k: k / 4), st.floats(-1e3, 1e3, allow_subnormal=False)
    )
    row = st.lists(numbers, min_size=family.dimension, max_size=family.dimension)
    y = np.array(data.draw(st.lists(row, min_size=1, max_size=4)))
    u = Lattice(family).nearest_units(y)
    assert Lattice(family).contains(u).all()
    np.testing.assert_allclose(
        squared_miss(family, y, u), least_distances(family, y), rtol=1e-9, atol=1e-12
    )


def test_leech_agrees_with_all_golay_words():
    # Oracle: both halves of all 4096 words. Random points; multiples of 1/2, where ties abound and
    # single precision cannot tell the words apart; holes of the lattice. 1e-12.
    rng = np.random.default_rng(2)
    family = leech24()
    y = np.concatenate([
        rng.normal(size=(60, 24)) * 4,
        rng.integers(-16, 16, (60, 24)) / 2,
        rng.integers(-4, 5, (40, 24)) * 1.0,
        np.zeros((1, 24)), np.ones((1, 24)), np.full((1, 24), 0.5),
    ])  # fmt: skip
    u = Lattice(family).nearest_units(y)
    assert Lattice(family).contains(u).all()
    np.testing.assert_allclose(
        squared_miss(family, y, u), least_distances(family, y), rtol=0, atol=1e-12
    )


def test_golay_code():
    # Oracle: weight distribution of the extended binary Golay code, unique up to equivalence, and
    # linearity.
    words = golay_words()
    assert np.bincount(words.sum(axis=1)).nonzero()[0].tolist() == [0, 8, 12, 16, 24]
    assert np.bincount(words.sum(axis=1))[[0, 8, 12, 16, 24]].tolist() == [1, 759, 2576, 759, 1]
    known = {word.tobytes() for word in words}
    assert all(((words[5] + word) % 2).tobytes() in known for word in words[::37])


@names
@given(st.integers(0, 2**32 - 1), st.integers(-(2**20), 2**20))
def test_translation(name, seed, far):
    # Oracle: Q(x + v) = Q(x) + v exactly for v of period Z^d (ties included: multiples of 1/8 are
    # exact), and the same distance for any lattice vector.
    family = BY_NAME[name]
    lattice = Lattice(family)
    rng = np.random.default_rng(seed)
    y = rng.integers(-64, 64, (6, family.dimension)) / 8
    u = lattice.nearest_units(y)
    v = family.period * (rng.integers(-3, 4, (6, family.dimension)) + far)
    assert np.array_equal(lattice.nearest_units(y + v), u + v)
    v = rng.integers(-9, 10, (6, family.dimension)) @ np.array(family.basis)
    moved = lattice.nearest_units(y + v)
    np.testing.assert_allclose(
        squared_miss(family, y + v, moved), squared_miss(family, y, u), rtol=1e-12, atol=1e-12
    )


@names
def test_documented_ties(name):
    # Oracle: the rules in the docstrings, and that a decoder does not depend on the batch.
    family = BY_NAME[name]
    y = np.random.default_rng(3).integers(-8, 9, (200, family.dimension)) / 2
    lattice = Lattice(family)
    whole = lattice.nearest_units(y)
    assert np.array_equal(whole, np.concatenate([lattice.nearest_units(row[None]) for row in y]))


def test_tie_rules_by_hand():
    # Oracle: worked by hand from the rules.
    assert Lattice(cubic(2)).nearest_units(np.array([[0.5, -0.5]])).tolist() == [[1, 0]]
    deep = np.array([[0.5, 0.5, 0.5, 0.5]])
    assert Lattice(checkerboard(4)).nearest_units(deep).tolist() == [[1, 1, 1, 1]]
    assert Lattice(checkerboard(3)).nearest_units(np.array([[1.0, 0, 0]])).tolist() == [[2, 0, 0]]
    tie = np.full((1, 8), 0.5)  # between 0 and (1, ..., 1) in doubled coordinates
    assert Lattice(gosset()).nearest_units(tie).tolist() == [[0] * 8]
    half = np.zeros((1, 24))
    half[0, :2] = 2.0  # between 0 and (4, 4, 0, ...)
    out = Lattice(leech24()).nearest_units(half)
    assert float(np.sum((half - out) ** 2)) == 8.0


PUBLISHED = {
    # name: determinant (volume^2), kissing number, G, packing radius, covering radius, density.
    # Conway and Sloane, tables 1.2, 1.5, 2.3, 4.13, 21.1; density of D_4, E8, Leech: pi^2/16,
    # pi^4/384, pi^12/12!.
    "Z": (1.0, 2, 0.083333, 0.5, 0.5, 1.0),
    "A2": (0.75, 6, 0.0801875, 0.5, 3**-0.5, math.pi / 12**0.5),
    "D3": (4.0, 12, 0.0787451, 0.5**0.5, 1.0, math.pi / 18**0.5),
    "D4": (4.0, 24, 0.0766032, 0.5**0.5, 1.0, math.pi**2 / 16),
    "E8": (1.0, 240, 0.0716821, 0.5**0.5, 1.0, math.pi**4 / 384),
    "BW16": (256.0, 4320, 0.068298, 1.0, 3**0.5, math.pi**8 / math.factorial(8) / 16),
    "Leech": (1.0, 196560, 0.065771, 1.0, 2**0.5, math.pi**12 / math.factorial(12)),
}


@pytest.mark.statistical
@pytest.mark.parametrize("name", list(PUBLISHED))
def test_figures_are_the_published_ones_and_those_of_the_lattice(name):
    # Oracles: the tables, to their digits; the determinant of the basis; the second moment of
    # sampled cells within 4 standard errors (0.5 to 1 %: another lattice would be off by more);
    # no sample outside the covering radius. The scale enters with its powers.
    family = BY_NAME[name]
    det, kissing, moment, packing, covering, density = PUBLISHED[name]
    scale = 1.7
    lattice = Lattice(family, scale)
    assert (lattice.volume / scale**family.dimension) ** 2 == pytest.approx(det, rel=1e-12)
    basis = np.array(family.basis) * family.axis
    assert np.linalg.det(basis @ basis.T) == pytest.approx(det, rel=1e-6)
    assert family.kissing_number == kissing
    assert family.normalised_second_moment == pytest.approx(moment, abs=1e-6)
    assert lattice.packing_radius / scale == pytest.approx(packing, rel=1e-12)
    assert lattice.covering_radius / scale == pytest.approx(covering, rel=1e-12)
    assert lattice.packing_density == pytest.approx(density, rel=1e-12)
    n = 24_000 // family.dimension if name == "Leech" else 40_000 // family.dimension
    e = lattice.sample_cell(n, np.random.default_rng(4))
    squares = np.sum(np.square(e), axis=1) / family.dimension
    error = np.std(squares) / math.sqrt(n)
    assert abs(np.mean(squares) - lattice.second_moment) < 4 * error
    assert squares.max() * family.dimension <= lattice.covering_radius**2 * (1 + 1e-12)
    # Reduced points reduce to themselves, and cells are centred.
    np.testing.assert_allclose(lattice.reduce(e), e, atol=1e-12)
    spread = np.std(e, axis=0) / math.sqrt(n)
    assert np.all(np.abs(np.mean(e, axis=0)) < 4.5 * spread)


@pytest.mark.parametrize("name", ["A2", "D3", "D4", "E8", "BW16"])
def test_kissing_number_by_counting(name):
    # Oracle: count of points at twice the packing radius among small whole vectors.
    family = BY_NAME[name]
    lattice = Lattice(family)
    if name == "BW16":
        # Shape (2, 2, 0, ...) by counting pairs, and words of weight 8 with an even number of -1.
        from veridical.quantize.lattice.barnes_wall import REED_MULLER

        assert np.sum(REED_MULLER.sum(axis=1) == 8) * 2**7 + 4 * 120 == 4320
        shape = np.zeros((1, 16), dtype=int)
        shape[0, :2] = (2, -2)
        assert lattice.contains(shape).all()
        return
    d = family.dimension
    grid = np.array(list(itertools.product(range(-2, 3), repeat=d))) if d < 8 else None
    if grid is None:
        pairs = [s * np.eye(8, dtype=int)[i] * 2 + t * np.eye(8, dtype=int)[j] * 2
                 for i in range(8) for j in range(i) for s in (-1, 1) for t in (-1, 1)]  # fmt: skip
        grid = np.array(pairs + list(itertools.product((-1, 1), repeat=8)))
    norms = np.sum(np.square(lattice.points(grid)), axis=1)
    least = np.abs(norms - 4 * lattice.packing_radius**2) < 1e-9
    assert np.sum(least & lattice.contains(grid)) == family.kissing_number


@names
def test_huge_magnitudes(name):
    # Oracle: 2^49 units away, multiples of 1/4 are still exact; farther away is refused.
    family = BY_NAME[name]
    lattice = Lattice(family)
    y = np.random.default_rng(5).integers(-8, 8, (5, family.dimension)) / 4
    far = family.period * 2**45
    assert np.array_equal(lattice.nearest_units(y + far), lattice.nearest_units(y) + far)
    for bad in (1e300, -1e17, math.inf, -math.inf, math.nan):
        x = np.zeros((2, family.dimension))
        x[1, -1] = bad
        with pytest.raises(InvalidSetting, match="finite and closer"):
            lattice.nearest(x)
    tiny = Lattice(family, 2.0**-460)
    assert np.array_equal(
        tiny.nearest(y * 2.0**-460 * lattice.axis), lattice.nearest(y * lattice.axis)
    )


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: cubic(0), "dimension"),
        (lambda: cubic(2.0), "dimension"),
        (lambda: checkerboard(1), "dimension"),
        (lambda: checkerboard(True), "dimension"),
        (lambda: Lattice("E8"), "gosset"),
        (lambda: Lattice(gosset(), 0.0), "scale"),
        (lambda: Lattice(gosset(), -1.0), "scale"),
        (lambda: Lattice(gosset(), math.nan), "scale"),
        (lambda: Lattice(gosset(), True), "scale"),
        (lambda: Lattice(gosset()).nearest(np.zeros((3, 7))), "multiple of 8"),
        (lambda: Lattice(gosset()).nearest(np.zeros(8)), "multiple of 8"),
        (lambda: Lattice(gosset()).nearest("x"), "numbers"),
        (lambda: Lattice(gosset()).contains(np.zeros((1, 8))), "integer array"),
        (lambda: Lattice(gosset()).sample_cell(-1, np.random.default_rng(0)), "n must"),
    ],
)
def test_bad_input_is_refused(call, match):
    with pytest.raises(InvalidSetting, match=match):
        call()


def test_empty_batches_and_frozen_settings():
    lattice = Lattice(leech24(), 2.0)
    assert lattice.nearest(np.zeros((0, 24))).shape == (0, 24)
    assert lattice.sample_cell(0, np.random.default_rng(0)).shape == (0, 24)
    with pytest.raises(AttributeError):
        lattice.scale = 1.0
