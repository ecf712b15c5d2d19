"""Chains of lattices: nestedness, number of cosets, fine decoders, shaping, refusals."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veridical.errors import InvalidSetting
from veridical.quantize.lattice import (
    Cosets,
    Lattice,
    NestedChain,
    barnes_wall16,
    checkerboard,
    construction_a,
    cubic,
    gosset,
    hexagonal,
    leech24,
    self_similar,
)
from veridical.quantize.lattice.nested import coordinates

SMALL = [
    (cubic(3), 1, 2), (cubic(4), 3, 2), (hexagonal(), 1, 2), (hexagonal(), 1, 3),
    (checkerboard(4), 1, 2), (checkerboard(4), 2, 2), (checkerboard(4), 3, 2),
    (checkerboard(5), 2, 3), (gosset(), 3, 2), (gosset(), 4, 2), (gosset(), 6, 2), (gosset(), 1, 4),
]  # fmt: skip
small = pytest.mark.parametrize(
    ("family", "k", "q"), SMALL, ids=[f"{f.name}-{k}-{q}" for f, k, q in SMALL]
)


def all_symbols(code):
    return np.array(list(itertools.product(range(code.modulus), repeat=code.k)))


def classes(code, numerators):
    """Numbers of distinct classes of points ``numerators / q`` modulo the lattice."""
    base = Lattice(code.family)
    # Multiplied by q, differences must lie in q times the lattice: compare coordinates modulo q.
    z = numerators @ np.linalg.inv(np.array(code.family.basis))
    del base
    return len({tuple(row) for row in np.rint(z).astype(int) % code.modulus})


@small
def test_number_of_cosets_and_nesting(family, k, q):
    # Oracles: q^k distinct classes modulo L2; the representatives lie in L2/q; sums of two are one
    # of them again (L3 is a lattice); Rc = (k/n) log2 q.
    code = construction_a(family, k, q)
    t = code.representatives(all_symbols(code))
    assert code.count == q**k == classes(code, t)
    assert Lattice(family).contains(t).all()
    sums = np.concatenate([t, t + t[np.random.default_rng(0).permutation(len(t))]])
    assert classes(code, sums) == q**k
    assert code.common_bits == pytest.approx(k / family.dimension * math.log2(q))


@small
def test_fine_decoder_against_all_cosets(family, k, q):
    # Oracle: the nearest of the nearest points of every coset of L2; distances to 1e-12.
    code = construction_a(family, k, q)
    base, axis = Lattice(family), np.array(family.axis)
    y = np.random.default_rng(1).normal(size=(60, family.dimension)) * 2
    y[:20] = np.rint(4 * y[:20]) / 4
    best = np.full(len(y), np.inf)
    for t in code.representatives(all_symbols(code)) / q:
        miss = (y - t - base.nearest_units(y - t)) * axis
        np.minimum(best, np.sum(np.square(miss), axis=1), out=best)
    fine = code.nearest_fine(y)
    np.testing.assert_allclose(
        np.sum(np.square((y - fine / q) * axis), axis=1), best, rtol=0, atol=1e-12
    )
    assert classes(code, np.concatenate([fine, code.representatives(all_symbols(code))])) == q**k


@pytest.mark.parametrize("family", [barnes_wall16(), leech24()], ids=lambda f: f.name)
def test_codes_grow_around_the_turned_lattice(family):
    # Oracles: at k = n/2 the fine lattice is a copy of L2 with half the squared lengths (second
    # moment within 4 standard errors of the published one); its neighbours lie on
    # either side of it; the nearest point of L3 is nowhere farther than that of a sublattice.
    n = family.dimension
    rng = np.random.default_rng(2)
    y = rng.random((160, n)) * family.period
    axis = np.array(family.axis)
    misses, half = [], None
    for k in (0, n // 2, n // 2 + 2, n) if n == 24 else (0, 6, 8, 10, 16):
        code = construction_a(family, k)
        assert code.count == 2**k if k else code.count == 1
        p = code.nearest_fine(y) / code.modulus
        misses.append(np.sum(np.square((y - p) * axis), axis=1))
        half = misses[-1] if k == n // 2 else half
    assert all(np.all(b <= a + 1e-12) for a, b in itertools.pairwise(misses))
    half = half / n / (family.volume * 2.0 ** (-n / 2)) ** (2 / n)
    assert abs(half.mean() - family.normalised_second_moment) < 4 * half.std() / math.sqrt(160)


@pytest.mark.parametrize("family", [cubic(2), hexagonal(), checkerboard(4), gosset(), barnes_wall16()], ids=lambda f: f.name)  # fmt: skip
@settings(max_examples=25)
@given(
    st.integers(0, 2**32 - 1), st.sampled_from([0, 2, 3, 5]), st.sampled_from([0, 1, 2, 3, None])
)
def test_points_lie_in_the_fine_lattice_and_shaped_ones_in_the_coarse_cell(
    family, seed, shaping, q
):
    # Oracles: index in L2 exactly; q (p - half step) in L2 for cosets; the index survives adding
    # any point of L1; a second encoding of a point gives the point.
    rng = np.random.default_rng(seed)
    code = None if q is None else self_similar(family, max(q, 1))
    chain = NestedChain(Lattice(family, 0.7), code, shaping)
    x = rng.normal(size=(12, family.dimension)) * (0.6 * max(shaping, 2))
    u = chain.encode(x, seed)
    assert chain.middle.contains(u).all()
    t = chain.offsets(seed, 12)
    if code is not None:
        shift = chain.half_step if shaping else 0.0
        whole = (u + t - shift) * code.modulus
        assert np.abs(whole - np.rint(whole)).max() < 1e-9
        assert chain.middle.contains(np.rint(whole).astype(np.int64)).all()
    if shaping:
        basis = np.array(family.basis)
        far = u + shaping * rng.integers(-5, 6, (12, family.dimension)) @ basis
        assert np.array_equal(chain.reduced(far, t), u)
        # No point of L1 is nearer to p than 0 is.
        p = (u + t) / shaping
        away = p - Lattice(family).nearest_units(p)
        axis = np.array(family.axis)
        np.testing.assert_allclose(
            np.sum(np.square(away * axis), axis=1), np.sum(np.square(p * axis), axis=1), atol=1e-9
        )
    else:
        again = chain.encode(chain.points(u, seed), seed)
        assert np.array_equal(again, u)


@pytest.mark.statistical
@pytest.mark.parametrize("q", [1, 4, None])
def test_dither_makes_the_error_uniform(q):
    # Oracle: with dither the error is uniform in the cell whatever x is: covariance of 20,000
    # errors at one fixed x is second_moment * I, each entry within 4.5 standard errors; without
    # common randomness they are all equal.
    lattice = Lattice(checkerboard(4), 0.9)
    chain = NestedChain(lattice, None if q is None else self_similar(checkerboard(4), q))
    x = np.tile([[0.31, -0.2, 0.05, 1.1]], (20_000, 1))
    e = x - chain.points(chain.encode(x, 5), 5)
    covariance = e.T @ e / len(e)
    spread = np.std(e[:, :, None] * e[:, None, :], axis=0) / math.sqrt(len(e))
    if q == 1:
        assert np.ptp(e, axis=0).max() == 0
    elif q is None:
        assert np.all(np.abs(covariance - lattice.second_moment * np.eye(4)) < 4.5 * spread)
    else:
        assert len(np.unique(np.round(e, 9), axis=0)) == 4**4


@pytest.mark.parametrize("family", [hexagonal(), checkerboard(5), gosset(), leech24()], ids=lambda f: f.name)  # fmt: skip
@given(st.integers(0, 2**32 - 1))
def test_coordinates_are_whole_and_exact(family, seed):
    # Oracle: u = z B in integers, far from 0 too.
    z = np.random.default_rng(seed).integers(-(10**6), 10**6, (5, family.dimension))
    u = z @ np.array(family.basis)
    assert np.array_equal(coordinates(Lattice(family), u), z)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: Cosets(gosset(), 0), "modulus"),
        (lambda: Cosets(gosset(), 2, ((1,) * 7,)), "length 8"),
        (lambda: Cosets(gosset(), 2, ((2,) * 8,)), "from 0 to 1"),
        (lambda: Cosets(gosset(), 2, ((1,) * 8, (1,) * 8)), "dependent modulo 2"),
        (lambda: Cosets(cubic(2), 6, ((1, 0), (1, 3))), "dependent modulo 3"),
        (lambda: Cosets(cubic(2), 1, ((0, 0),)), "no room"),
        (lambda: construction_a(gosset(), 9), "from 0 to 8"),
        (lambda: construction_a(gosset(), -1), "from 0 to 8"),
        (lambda: construction_a(gosset(), 1.5), "from 0 to 8"),
        (lambda: NestedChain(Lattice(gosset()), self_similar(cubic(8), 2)), "inconsistent chain"),
        (lambda: NestedChain(Lattice(gosset()), None, -1), "shaping"),
        (lambda: NestedChain(Lattice(gosset()), None, 1.5), "shaping"),
        (
            lambda: NestedChain.of(None, Lattice(gosset()), Lattice(gosset(), 0.3)),
            "L2 .* is not a whole multiple of L3",
        ),
        (
            lambda: NestedChain.of(
                Lattice(gosset(), 1.5), Lattice(gosset()), Lattice(gosset(), 0.5)
            ),
            "L1 .* is not a whole multiple of L2",
        ),
        (
            lambda: NestedChain.of(None, Lattice(gosset()), Lattice(cubic(8), 0.5)),
            "inconsistent chain",
        ),
        (
            lambda: construction_a(leech24(), 3, 32).nearest_fine(np.zeros((1, 24))),
            "more than 4096",
        ),
        (
            lambda: NestedChain(Lattice(gosset()), None).points(np.eye(8, dtype=int), 0),
            "another design",
        ),
    ],
)
def test_bad_chains_are_refused(call, match):
    with pytest.raises(InvalidSetting, match=match):
        call()


def test_a_chain_of_three_lattices():
    # Oracle: the ratios of the scales.
    chain = NestedChain.of(Lattice(gosset(), 6.0), Lattice(gosset(), 2.0), Lattice(gosset(), 0.5))
    assert chain.shaping == 3
    assert chain.common_bits == pytest.approx(2.0)
    assert NestedChain(Lattice(gosset()), None).common_bits == math.inf
