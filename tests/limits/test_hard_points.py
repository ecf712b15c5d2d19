"""Points at which an interior path goes astray: small D and P, forbidden pairs, infeasible pairs, huge numbers."""

import math

import numpy as np
import pytest
from scipy.stats import norm

import veridical
from veridical.errors import InvalidSetting
from veridical.limits import (
    FiniteSource,
    TotalVariation,
    gaussian_distortion_kl,
    gaussian_rate_bits,
    least_distortion,
    least_rate,
    vector_gaussian_distortion,
)
from veridical.limits.certificate import lower_bound
from veridical.limits.divergence import by_name
from veridical.limits.family import JensenShannonFamily, PowerFamily
from veridical.limits.finite import normal_form
from veridical.limits.interior import Point
from veridical.limits.plans import cheapest_plan, round_on_tree
from veridical.limits.search import search
from veridical.sources.alphabet import discretise


def points(seed, n):
    rng = np.random.default_rng(seed)
    p, x = rng.dirichlet(np.ones(n)), rng.normal(size=n)
    return p, np.square(x[:, None] - x), rng


@pytest.mark.parametrize(
    "name", ["tv", "w2", "kl", "kl-reverse", "chi2", "hellinger", "js", "renyi"]
)
@pytest.mark.parametrize("P", [0.0, 1e-16, 1e-9])
def test_small_distortion_and_perception_are_certified(name, P):
    # Oracle: the certificate (1e-6 bits); R decreases in P from R(D, 0), brackets overlap within 1e-6.
    p, d, _ = points(3, 6)
    D = 1e-3 * float(p @ d @ p)
    b = least_rate(FiniteSource(p, d), D, P, divergence=by_name(name, cost=d))
    same = least_rate(FiniteSource(p, d), D, 0.0, divergence=TotalVariation())
    assert b.gap_bits <= 1e-6
    assert b.lower_bits <= same.upper_bits + 1e-9


@pytest.mark.parametrize("seed", range(12))
def test_tiny_transport_costs_are_certified(seed):
    # Oracles: the certificate (1e-6 bits); the price times P bounds what P gains over equality of laws (1e-6 bits).
    rng = np.random.default_rng([79, seed])
    n, P = int(rng.integers(2, 40)), 10 ** rng.uniform(-16, -10)
    p, x = rng.dirichlet(np.ones(n)), rng.normal(size=(n, 1 + seed % 2))
    d = np.square(x[:, None] - x[None]).sum(-1)
    D = float(p @ d @ p) * 10 ** rng.uniform(-8, 0)
    b = least_rate(FiniteSource(p, d), D, P, divergence=by_name("w2", cost=d))
    same = least_rate(FiniteSource(p, d), D, 0.0, divergence=TotalVariation())
    assert 0.0 <= b.gap_bits <= 1e-6
    assert same.lower_bits - 1e-6 <= b.upper_bits + b.slope_perception * P
    assert b.lower_bits <= same.upper_bits


@pytest.mark.parametrize(("seed", "n"), [(2, 24), (5, 24), (0, 96)])
def test_an_ascent_that_leads_nowhere_is_left(seed, n):
    # Oracles: the certificate (1e-6 bits), and a third of the 580 to 590 steps that the ascent takes to its end.
    rng = np.random.default_rng([2013, seed])
    p, random = rng.dirichlet(np.ones(n)), n == 96
    d = rng.uniform(size=(n, n)) if random else 0.0
    x = rng.normal(size=(n, 1 if random else 2))
    cost = np.square(x[:, None] - x[None]).sum(-1)
    d = d if random else cost
    least, most = float(np.sum(cheapest_plan(d, p, p)[0] * d)), float(p @ d @ p)
    D = least + (1e-5 if random else 1e-8) * (most - least)
    P = 1e-7 * float(p @ cost @ p)
    b = least_rate(FiniteSource(p, d), D, P, divergence=by_name("w2", cost=cost))
    assert b.gap_bits <= 1e-6
    assert b.iterations < 200


def test_equal_laws_against_sinkhorn():
    # Oracle: the symmetric Sinkhorn iteration at a multiplier; its own D and rate (exact to 1e-10), 1e-6 bits.
    p, d, _ = points(7, 5)
    lam, f = 40.0 / float(p @ d @ p), np.zeros(5)
    for _ in range(20_000):
        f = 0.5 * (f - np.log(np.exp(f - lam * d + np.log(p)).sum(1)))
    joint = np.exp(f[:, None] + f - lam * d) * p[:, None] * p
    assert np.abs(joint.sum(0) - p).max() < 1e-12
    rate = float(np.sum(joint * np.log2(joint / np.outer(p, p))))
    b = least_rate(FiniteSource(p, d), float(np.sum(joint * d)), 0.0, divergence=TotalVariation())
    assert b.rate_bits == pytest.approx(rate, abs=1e-6)


@pytest.mark.parametrize("name", ["tv", "kl", "chi2", "w2"])
def test_forbidden_pairs_at_equal_laws(name):
    # Oracle: the certificate, and that no forbidden pair is used.
    p, cost, rng = points(11, 6)
    d = rng.uniform(size=(6, 6))
    d[rng.uniform(size=(6, 6)) < 0.25] = np.inf
    np.fill_diagonal(d, 0.1)
    b = least_rate(FiniteSource(p, d), 0.2, 0.0, divergence=by_name(name, cost=cost))
    assert b.gap_bits <= 1e-6
    assert np.all(b.channel[np.isinf(d)] == 0)


@pytest.mark.parametrize("name", ["tv", "kl", "w2"])
def test_infeasible_pairs_name_a_pair_that_is_feasible(name):
    # Oracle: the pair named is solved when it is asked for (a little above the digits that are printed).
    p, cost, rng = points(5, 4)
    d = rng.uniform(size=(4, 4))
    D, measure = 1.02 * float(p @ d.min(1)), by_name(name, cost=cost)
    with pytest.raises(InvalidSetting, match="nearest feasible") as caught:
        least_rate(FiniteSource(p, d), D, 1e-3, divergence=measure)
    named = str(caught.value).split("distortion ")[-1].split(" at this perception")[0]
    assert (
        least_rate(FiniteSource(p, d), 1.0001 * float(named), 1e-3, divergence=measure).gap_bits
        <= 1e-6
    )


def test_numbers_that_overflow_or_are_not_real_are_refused():
    with pytest.raises(InvalidSetting, match="overflow"):
        FiniteSource([0.5, 0.5], 1.7e308 * (1 - np.eye(2)))
    with pytest.raises(InvalidSetting, match="complex"):
        FiniteSource([0.5, 0.5], (1 + 1j) * (1 - np.eye(2)))
    # Oracle: the entropy, whatever the unit; 1e-6.
    b = least_rate(FiniteSource([0.5, 0.5], 1e300 * (1 - np.eye(2))), 0.0)
    assert b.rate_bits == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("name", ["tv", "w2", "kl", "chi2"])
def test_the_dual_point_that_is_kept_proves_the_lower_end(name):
    # Oracle: the dual value itself, evaluated again at the point (1e-12 nats); a tiny P takes the way by equal laws.
    p, d, _ = points(3, 6)
    measure = by_name(name, cost=d)
    form = normal_form(FiniteSource(p, d), 1e-3 * float(p @ d @ p), 1e-12, measure)
    found = search(form, measure, 1e-7, 200)
    even = np.full(p.size, 1.0 / p.size)
    point = Point(form.p, form.d, form.distortion, found.a, found.lam, 1.0, even, even)
    assert found.lower > 0.5
    assert lower_bound(form, point, found.mu) == pytest.approx(found.lower, abs=1e-12)


def test_tree_rounding_keeps_marginals_and_zeros():
    # Oracle: the marginals themselves, 1e-15; entries outside the allowed pairs stay zero.
    rng = np.random.default_rng(0)
    allowed = rng.uniform(size=(6, 7)) < 0.7
    allowed[0] = allowed[:, 0] = True
    exact = rng.uniform(size=(6, 7)) * allowed
    exact /= exact.sum()
    near = exact * (1 + 1e-6 * rng.normal(size=exact.shape))
    mended = round_on_tree(near, exact.sum(1), exact.sum(0), allowed)
    np.testing.assert_allclose(mended.sum(1), exact.sum(1), atol=1e-15)
    np.testing.assert_allclose(mended.sum(0), exact.sum(0), atol=1e-15)
    assert np.all(mended[~allowed] == 0)


@pytest.mark.parametrize(
    ("family", "bend"),
    [*((PowerFamily(c), c or 1.0) for c in (0.0, 0.5, 1.0, 2.0)), (JensenShannonFamily(), 0.25)],
)
def test_small_divergences_keep_their_digits(family, bend):
    # Oracle: the second-order term, half the curvature times chi-squared, relative 1e-6 at a change of 1e-9.
    p = np.array([0.2, 0.3, 0.5])
    q = p + 1e-9 * np.array([1.0, -2.0, 1.0])
    expected = 0.5 * bend * float(np.sum(np.square(q - p) / p))
    assert family.value(p, q) == pytest.approx(expected, rel=1e-6)


def test_gaussian_closed_forms_at_their_edges():
    # Oracles: 1/2 log2(1/D); D at P = 0 in the limit; the scalar formula for equal eigenvalues at a high rate.
    assert float(gaussian_rate_bits(1e-17, np.inf)) == pytest.approx(
        0.5 * math.log2(1e17), rel=1e-14
    )
    assert float(gaussian_distortion_kl(1.0, 1e-18)) == pytest.approx(0.2679491924, abs=1e-8)
    b = vector_gaussian_distortion([1.0, 1.0], 60.0, 0.0, 2.0)
    assert b.distortion == pytest.approx(2 * (2.0**-60 + 2.0**-62), rel=1e-6)


def test_common_randomness_is_tight_for_two_points():
    # Oracle: published for this bracket: .0700 to .0716 at Rc = .1 (2e-4); at Rc = .4 it closes at .0571.
    b = least_distortion([0, 1], [0.9, 0.1], 0.2, 0.0, 0.1)
    assert b.lower_distortion == pytest.approx(0.0700, abs=2e-4)
    assert b.upper_distortion <= 0.0718
    c = least_distortion([0, 1], [0.9, 0.1], 0.2, 0.0, 0.4)
    assert c.upper_distortion - c.lower_distortion < 1e-5
    # The fair coin, one bit of common randomness: it closes too.
    coin = least_distortion([0, 1], [0.5, 0.5], 0.3, 0.0, 1.0)
    assert coin.upper_distortion - coin.lower_distortion < 1e-5


def test_discretised_normal():
    # Oracle: E|X - X_n|^2 by Monte Carlo (fixed seed) lies below the bound, and near a third of it inside.
    found = discretise(norm(), 50, -8.0, 8.0)
    x = np.random.default_rng(0).normal(size=200_000)
    error = float(np.mean(np.square(x - found.alphabet.nearest(x))))
    assert 0.3 * found.root_error**2 < error <= found.root_error**2
    with pytest.raises(InvalidSetting):
        discretise(norm(), 50, 1.0, 1.0)


def test_the_room_is_an_attribute_of_the_package():
    assert veridical.limits.least_rate is least_rate
