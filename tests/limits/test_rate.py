"""The certified solver against closed forms, a conic solver and the theorems."""

import math

import cvxpy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veridical.errors import InvalidSetting, NotConverged
from veridical.limits import (
    ChiSquared,
    FiniteSource,
    Hellinger,
    JensenShannon,
    KullbackLeibler,
    Renyi,
    SquaredWasserstein,
    TotalVariation,
    bernoulli_rate_bits,
    least_rate,
)
from veridical.limits.divergence import by_name

_SEEDS = st.integers(0, 2**32 - 1)
_MEASURES = ["tv", "w2", "kl", "kl-reverse", "chi2", "hellinger", "js", "renyi"]


def random_problem(seed, n=None):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 9)) if n is None else n
    p, x = rng.dirichlet(np.ones(n)), rng.normal(size=(n, 2))
    d = np.square(x[:, None] - x[None]).sum(-1)
    return p, d, float((p @ d).min()), rng


def check_channel(b, p, d, *, D, P, measure):
    # What the certificate claims: rows sum to one, both constraints hold, the rate is as stated.
    assert b.lower_bits <= b.upper_bits
    np.testing.assert_allclose(b.channel.sum(1), 1.0, atol=1e-12)
    joint = p[:, None] * b.channel
    q = joint.sum(0)
    assert float((joint * np.where(joint > 0, d, 0)).sum()) <= D * (1 + 1e-11)
    if measure is not None:
        assert measure.value(p, q) <= P * (1 + 1e-6) + 1e-9
    on = joint > 0
    rate = float(np.sum(joint[on] * np.log2((joint / (p[:, None] * q + (joint == 0)))[on])))
    assert rate <= b.upper_bits + 1e-9


@given(st.floats(0.02, 0.5), st.floats(0.02, 1.2), st.floats(0.02, 1.2))
@settings(max_examples=30)
def test_bernoulli_closed_form_lies_in_the_bracket(p, x, y):
    # Oracle: [BM] eq. 6; the bracket, itself below 1e-9 bits, contains it within 1e-9.
    D, P = x * 2 * p * (1 - p), y * p
    source = FiniteSource([1 - p, p], 1 - np.eye(2))
    b = least_rate(source, D, P, divergence=TotalVariation(), tolerance_bits=1e-9)
    exact = float(bernoulli_rate_bits(p, D, P))
    assert b.lower_bits - 1e-9 <= exact <= b.upper_bits + 1e-9


@given(_SEEDS, st.sampled_from(_MEASURES), st.floats(0.02, 1.1), st.floats(1e-3, 0.3))
@settings(max_examples=40)
def test_every_measure_is_certified_to_a_millionth_of_a_bit(seed, name, x, P):
    # Oracle: the certificate itself, checked from outside: gap <= 1e-6 bits, channel feasible.
    p, d, top, _ = random_problem(seed)
    measure = by_name(name, cost=d)
    P = P * top if name == "w2" else P
    b = least_rate(FiniteSource(p, d), x * top, P, divergence=measure)
    assert b.gap_bits <= 1e-6
    check_channel(b, p, d, D=x * top, P=P, measure=measure)


def conic_rate(p, d, D, P, name):
    n = p.size
    joint, q = cvxpy.Variable((n, n), nonneg=True), cvxpy.Variable(n, nonneg=True)
    rules = [
        cvxpy.sum(joint, axis=1) == p,
        q == cvxpy.sum(joint, axis=0),
        cvxpy.sum(cvxpy.multiply(joint, d)) <= D,
    ]
    if name == "tv":
        rules.append(0.5 * cvxpy.norm1(p - q) <= P)
    elif name == "js":
        middle = 0.5 * (p + q)
        rules.append(cvxpy.sum(cvxpy.rel_entr(p, middle) + cvxpy.rel_entr(q, middle)) <= 2 * P)
    else:
        plan = cvxpy.Variable((n, n), nonneg=True)
        rules += [
            cvxpy.sum(plan, axis=1) == p,
            cvxpy.sum(plan, axis=0) == q,
            cvxpy.sum(cvxpy.multiply(plan, d)) <= P,
        ]
    product = cvxpy.multiply(p[:, None], cvxpy.vstack([q] * n))
    problem = cvxpy.Problem(cvxpy.Minimize(cvxpy.sum(cvxpy.rel_entr(joint, product))), rules)
    problem.solve(solver=cvxpy.CLARABEL)
    return problem.value / math.log(2)


@pytest.mark.parametrize("name", ["tv", "w2", "js"])
@pytest.mark.parametrize("seed", [1, 2])
def test_against_a_conic_solver(name, seed):
    # Oracle: cvxpy with Clarabel, whose own accuracy allows 1e-5 bits.
    p, d, top, _ = random_problem(seed, n=6)
    D, P = 0.3 * top, {"tv": 0.05, "w2": 0.05 * top, "js": 0.002}[name]
    b = least_rate(FiniteSource(p, d), D, P, divergence=by_name(name, cost=d))
    assert b.rate_bits == pytest.approx(conic_rate(p, d, D, P, name), abs=1e-5)


def test_the_trap():
    # Oracle: 0.22306 bits, not the relaxation's 0.19707; 1e-5.
    source = FiniteSource([0.9, 0.1], 1 - np.eye(2))
    b = least_rate(source, 0.05, 0.0, divergence=TotalVariation())
    assert b.rate_bits == pytest.approx(0.22306, abs=1e-5)


@given(_SEEDS, st.sampled_from(["tv", "w2", "kl"]))
@settings(max_examples=15)
def test_theorem_1_monotone_and_convex(seed, name):
    # Oracle: [BM] Theorem 1: decreasing in D and P, midpoint below the mean; brackets, 1e-9.
    p, d, top, rng = random_problem(seed)
    measure, source = by_name(name, cost=d), FiniteSource(p, d)
    scale = top if name == "w2" else 1.0
    ends = [
        (float(rng.uniform(0.05, 0.9)) * top, float(rng.uniform(0.002, 0.2)) * scale)
        for _ in range(2)
    ]
    middle = tuple(0.5 * (a + b) for a, b in zip(*ends, strict=True))
    most = tuple(max(a, b) for a, b in zip(*ends, strict=True))
    first, second, mid, far = (
        least_rate(source, D, P, divergence=measure) for D, P in (*ends, middle, most)
    )
    assert mid.lower_bits <= 0.5 * (first.upper_bits + second.upper_bits) + 1e-9
    assert far.lower_bits <= min(first.upper_bits, second.upper_bits) + 1e-9


@given(_SEEDS)
@settings(max_examples=15)
def test_equal_laws_cost_rate_and_theorem_2(seed):
    # Oracle: [BM] Theorem 2, R(D, 0) <= R(D/2, inf) for squared error, the reproductions of the
    # right side on the source's own points only, which makes it larger; and R(., 0) >= R(., inf).
    p, d, top, rng = random_problem(seed)
    source, D = FiniteSource(p, d), float(rng.uniform(0.05, 0.9)) * top
    same = least_rate(source, D, 0.0, divergence=TotalVariation())
    half, free = least_rate(source, D / 2), least_rate(source, D)
    assert same.lower_bits <= half.upper_bits + 1e-9
    assert same.upper_bits >= free.lower_bits - 1e-9


@given(_SEEDS)
@settings(max_examples=15)
def test_relabelling_changes_nothing(seed):
    # Oracle: a permutation of the alphabet; both brackets overlap.
    p, d, top, rng = random_problem(seed)
    order = rng.permutation(p.size)
    first = least_rate(FiniteSource(p, d), 0.3 * top, 0.02, divergence=TotalVariation())
    again = FiniteSource(p[order], d[np.ix_(order, order)])
    second = least_rate(again, 0.3 * top, 0.02, divergence=TotalVariation())
    assert first.lower_bits <= second.upper_bits + 1e-12
    assert second.lower_bits <= first.upper_bits + 1e-12


@given(_SEEDS)
@settings(max_examples=15)
def test_data_processing(seed):
    # Oracle: merging two reconstructions with equal columns is a processing that loses nothing: a
    # copied column changes no rate; the brackets overlap.
    p, d, top, _ = random_problem(seed)
    first = least_rate(FiniteSource(p, d), 0.3 * top)
    second = least_rate(FiniteSource(p, np.column_stack([d, d[:, 0]])), 0.3 * top)
    assert first.lower_bits <= second.upper_bits + 1e-9
    assert second.lower_bits <= first.upper_bits + 1e-9


@given(_SEEDS, st.sampled_from([name for name in _MEASURES if name != "w2"]))
@settings(max_examples=40)
def test_merging_symbols_hides_differences(seed, name):
    # Oracle: data processing: no divergence grows when both laws pass through one map; 1e-12.
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 9))
    p, q = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(n))
    to = np.concatenate([[0, 1], rng.integers(0, 2, n - 2)])
    merged = [np.bincount(to, law, 2) for law in (p, q)]
    measure = by_name(name)
    assert measure.value(*merged) <= measure.value(p, q) * (1 + 1e-12) + 1e-12


@given(_SEEDS)
@settings(max_examples=10)
def test_more_reconstructions_never_cost_rate(seed):
    # Oracle: a code may leave the new symbol unused; brackets, 1e-9.
    p, d, top, rng = random_problem(seed)
    fewer = least_rate(FiniteSource(p, d), 0.3 * top)
    wider = np.column_stack([d, rng.uniform(0, d.max(), p.size)])
    more = least_rate(FiniteSource(p, wider), 0.3 * top)
    assert more.lower_bits <= fewer.upper_bits + 1e-9


@pytest.mark.parametrize("scale", [1e-6, 1e6])
@pytest.mark.parametrize("name", ["tv", "w2", "chi2"])
def test_units_do_not_matter(scale, name):
    # Oracle: the same problem in another unit; brackets (1e-6) overlap.
    p, d, top, _ = random_problem(5, n=7)
    P = 0.02 * top if name == "w2" else 0.02
    first = least_rate(FiniteSource(p, d), 0.2 * top, P, divergence=by_name(name, cost=d))
    other = least_rate(
        FiniteSource(p, d * scale), 0.2 * top * scale, P, divergence=by_name(name, cost=d)
    )
    assert first.lower_bits <= other.upper_bits + 1e-12
    assert other.lower_bits <= first.upper_bits + 1e-12


def test_zero_mass_rectangles_and_both_ends():
    # Oracles: entropy at D=0, zero from the best constant on, a symbol without mass changes nothing
    # (brackets overlap), and Shannon's rate of a source with an erasure-like column, by symmetry.
    p, d = np.array([0.5, 0.3, 0.2, 0.0]), 1.0 - np.eye(4)
    entropy = float(-np.sum(p[:3] * np.log2(p[:3])))
    for P in (0.0, 0.1, math.inf):
        b = least_rate(FiniteSource(p, d), 0.0, P, divergence=TotalVariation())
        assert b.lower_bits - 1e-9 <= entropy <= b.upper_bits + 1e-9
    assert least_rate(FiniteSource(p, d), 0.5).upper_bits == 0.0
    assert least_rate(FiniteSource(p, d), 99.0, 0.0, divergence=TotalVariation()).upper_bits == 0.0
    small = least_rate(FiniteSource(p[:3], d[:3, :3]), 0.2, 0.05, divergence=TotalVariation())
    large = least_rate(FiniteSource(p, d), 0.2, 0.05, divergence=TotalVariation())
    assert small.lower_bits <= large.upper_bits + 1e-12
    assert large.lower_bits <= small.upper_bits + 1e-12
    erasure = np.array([[0.0, np.inf, 1.0], [np.inf, 0.0, 1.0]])
    # Rate 1 - D: send the bit with probability 1 - D, an erasure otherwise.
    assert least_rate(FiniteSource([0.5, 0.5], erasure), 0.3).rate_bits == pytest.approx(
        0.7, abs=1e-6
    )


@pytest.mark.parametrize("n", [2, 5, 32])
def test_shannon_of_the_uniform_source(n):
    # Oracle: log n - H(D) - D log(n - 1), Hamming; 1e-6 bits.
    D = 0.4 * (1 - 1 / n)
    exact = (
        math.log2(n) + D * math.log2(D) + (1 - D) * math.log2(1 - D) - D * math.log2(max(n - 1, 1))
    )
    b = least_rate(FiniteSource(np.full(n, 1 / n), 1 - np.eye(n)), D)
    assert b.rate_bits == pytest.approx(exact, abs=1e-6)


def test_a_tolerance_out_of_reach_says_so_with_its_bracket():
    # Oracle: no double arithmetic proves 1e-17 bits; the exception carries a valid bracket.
    p, d, top, _ = random_problem(3, n=5)
    with pytest.raises(NotConverged) as caught:
        least_rate(
            FiniteSource(p, d), 0.3 * top, 0.01, divergence=TotalVariation(), tolerance_bits=1e-17
        )
    assert 0 <= caught.value.best.lower_bits <= caught.value.best.upper_bits < 3


def test_infeasible_pairs_name_the_nearest():
    # Oracle: d = [[1, 0], [0, 1]] with P=0 and p=(0.9, 0.1): the least distortion is 0.8.
    source = FiniteSource([0.9, 0.1], np.eye(2))
    with pytest.raises(InvalidSetting, match=r"nearest feasible is distortion 0\.8 "):
        least_rate(source, 0.5, 0.0, divergence=TotalVariation())
    with pytest.raises(InvalidSetting, match="least possible is 2"):
        least_rate(FiniteSource([0.5, 0.5], np.full((2, 2), 2.0)), 1.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: FiniteSource([0.5, 0.6], 1 - np.eye(2)),
        lambda: FiniteSource([1.5, -0.5], 1 - np.eye(2)),
        lambda: FiniteSource([0.5, np.nan], 1 - np.eye(2)),
        lambda: FiniteSource([0.5, 0.5], np.eye(3)),
        lambda: FiniteSource([0.5, 0.5], -np.eye(2)),
        lambda: FiniteSource([0.5, 0.5], [0.0, 1.0]),
        lambda: least_rate(FiniteSource([0.5, 0.5], np.eye(2)), -1.0),
        lambda: least_rate(FiniteSource([0.5, 0.5], np.eye(2)), 1.0, 0.1),
        lambda: least_rate(
            FiniteSource([0.5, 0.5], np.eye(2)), 1.0, -0.1, divergence=TotalVariation()
        ),
        lambda: least_rate(
            FiniteSource([0.5, 0.5], np.ones((2, 3))), 0.5, 0.1, divergence=TotalVariation()
        ),
        lambda: least_rate(
            FiniteSource([0.5, 0.5], np.eye(2)),
            0.5,
            0.1,
            divergence=SquaredWasserstein(np.ones((3, 3))),
        ),
        lambda: Renyi(-1.0),
        lambda: by_name("w2"),
        lambda: by_name("wasserstein"),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(InvalidSetting):
        call()


def test_measures_against_their_definitions():
    # Oracle: the textbook sums; 1e-12.
    p, q = np.array([0.2, 0.3, 0.5]), np.array([0.4, 0.4, 0.2])
    assert TotalVariation().value(p, q) == pytest.approx(0.3, abs=1e-12)
    assert KullbackLeibler().value(p, q) == pytest.approx(np.sum(q * np.log(q / p)), abs=1e-12)
    assert KullbackLeibler(reverse=True).value(p, q) == pytest.approx(
        np.sum(p * np.log(p / q)), abs=1e-12
    )
    assert ChiSquared().value(p, q) == pytest.approx(np.sum((p - q) ** 2 / q), abs=1e-12)
    assert Hellinger().value(p, q) == pytest.approx(1 - np.sum(np.sqrt(p * q)), abs=1e-12)
    middle = 0.5 * (p + q)
    halves = np.sum(p * np.log(p / middle) + q * np.log(q / middle)) / 2
    assert JensenShannon().value(p, q) == pytest.approx(halves, abs=1e-12)
    apart = JensenShannon().value(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    assert apart == pytest.approx(math.log(2), abs=1e-12)
    assert Renyi(3.0).value(p, q) == pytest.approx(np.log(np.sum(p**3 / q**2)) / 2, abs=1e-12)
    cost = np.square(np.subtract.outer(np.arange(3.0), np.arange(3.0)))
    # In one dimension the monotone coupling is optimal: 0.2 and then 0.1 + 0.2 move by one.
    assert SquaredWasserstein(cost).value(p, q) == pytest.approx(0.5, abs=1e-9)
