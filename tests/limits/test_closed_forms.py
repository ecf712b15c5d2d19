"""Closed forms against printed numbers, brute force, limits and each other."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.sparse import eye_array, kron

from veridical.errors import InvalidSetting
from veridical.limits import (
    bernoulli_distortion,
    bernoulli_perception,
    bernoulli_rate_bits,
    bernoulli_thresholds,
    binary_entropy_bits,
    circle_block_distortion,
    circle_distortion,
    circle_mmse,
    circle_w2_squared,
    conditional_distortion,
    gaussian_distortion,
    gaussian_distortion_kl,
    gaussian_ecsq,
    gaussian_rate_bits,
    gaussian_transport_cost,
)

_HALF = st.floats(0.01, 0.5)
_UNIT = st.floats(0.0, 1.0)


def information_bits(joint):
    product = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    on = joint > 0
    return float(np.sum(joint[on] * np.log2(joint[on] / product[on])))


@pytest.mark.parametrize(
    ("p", "D", "P"), [(0.1, 0.05, 0.0), (0.1, 0.05, 0.02), (0.3, 0.2, 0.05), (0.5, 0.2, 0.1)]
)
def test_bernoulli_against_all_binary_channels(p, D, P):
    # Oracle: brute force over the channels with distortion exactly D, 40,001 of them (the rate is
    # decreasing in D, so that the constraint binds below D2); 1e-7 bits.
    flip_zero = np.linspace(0.0, min(1.0, D / (1 - p)), 40_001)
    flip_one = (D - (1 - p) * flip_zero) / p
    ok = (
        (flip_one >= 0)
        & (flip_one <= 1)
        & (np.abs((1 - p) * flip_zero - p * flip_one) <= P + 1e-12)
    )
    q = (1 - p) * flip_zero[ok] + p * (1 - flip_one[ok])
    cells = [
        ((1 - p) * (1 - flip_zero[ok]), (1 - p) * (1 - q)), ((1 - p) * flip_zero[ok], (1 - p) * q),
        (p * flip_one[ok], p * (1 - q)), (p * (1 - flip_one[ok]), p * q),
    ]  # fmt: skip
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = sum(np.where(a > 0, a * np.log2(a / b), 0.0) for a, b in cells)
    if P == 0:
        # Equality of laws leaves one channel, which the grid need not hit.
        a = D / 2
        rate = np.array([information_bits(np.array([[1 - p - a, a], [a, p - a]]))])
    assert float(bernoulli_rate_bits(p, D, P)) == pytest.approx(float(np.min(rate)), abs=1e-7)


def test_bernoulli_trap_value():
    # Oracle: the true value 0.22306 of Bernoulli(0.1), P=0, D=0.05 (the relaxation gives 0.19707).
    assert float(bernoulli_rate_bits(0.1, 0.05, 0.0)) == pytest.approx(0.22306, abs=5e-6)


@given(_HALF, _UNIT, _UNIT)
def test_bernoulli_inverses(p, x, y):
    # Oracle: the forward formula; the inverse returns to the same rate within 1e-9 bits.
    P, top = y * p, float(bernoulli_thresholds(p, y * p)[1])
    D = 0.01 * top + 0.98 * top * x
    rate = float(bernoulli_rate_bits(p, D, P))
    assert float(bernoulli_distortion(p, rate, P)) == pytest.approx(D, abs=1e-6)
    least = float(bernoulli_perception(p, rate, D))
    assert least <= P + 1e-6
    assert float(bernoulli_rate_bits(p, D, least)) == pytest.approx(rate, abs=1e-9)


def test_bernoulli_inverse_without_a_code():
    # Oracle: Shannon's rate is a lower bound; half of it reaches nothing.
    rate = 0.5 * float(binary_entropy_bits(0.1) - binary_entropy_bits(0.02))
    assert np.isinf(bernoulli_perception(0.1, rate, 0.02))


@given(st.floats(0.0, 1.0), _UNIT, _UNIT)
def test_bernoulli_is_symmetric_and_decreasing(p, D, P):
    # Oracle: relabelling, to 1e-12 (1 - p is rounded), and monotonicity in both arguments to 1e-12.
    rate = float(bernoulli_rate_bits(p, D, P))
    assert rate == pytest.approx(float(bernoulli_rate_bits(1 - p, D, P)), abs=1e-12)
    assert float(bernoulli_rate_bits(p, D + 0.01, P)) <= rate + 1e-12
    assert float(bernoulli_rate_bits(p, D, P + 0.01)) <= rate + 1e-12


def test_circle_numbers():
    # Oracle: the printed values of [T] section II, to their six digits.
    assert float(circle_mmse(2)) == pytest.approx(0.594715, abs=5e-7)
    assert float(circle_w2_squared(2, 2)) == pytest.approx(0.258966, abs=5e-7)
    assert float(circle_mmse(4)) == pytest.approx(0.189431, abs=5e-7)
    at_zero = circle_distortion(2, 0.0, [1, np.inf])
    np.testing.assert_allclose(at_zero, [1.189431, 0.726760], atol=5e-7)


@given(st.integers(1, 50), st.integers(1, 50), st.floats(0, 2))
def test_circle_one_seed_and_many(M, K, P):
    # Oracle: [T] eqs 27-29: W2^2 = d at K=1, D <= 2 d, more seeds never hurt; 1e-12.
    assert float(circle_w2_squared(M)) == pytest.approx(float(circle_mmse(M)), abs=1e-12)
    assert float(circle_distortion(M, P, K)) <= 2 * float(circle_mmse(M)) + 1e-12
    assert float(circle_distortion(M, P, K + 1)) <= float(circle_distortion(M, P, K)) + 1e-12


def test_circle_blocks_beat_one_shot():
    # Oracle: a block code is at least as good as a one-shot code of the same rate.
    for bits in (1, 2, 3):
        block = circle_block_distortion(bits, [0.0, 0.05], np.inf)
        assert np.all(block <= circle_distortion(2**bits, [0.0, 0.05], np.inf) + 1e-12)


def test_gaussian_numbers():
    # Oracle: 0.2679 at R=1, Rc=inf, P=0 (2 - sqrt 3), and 0.251274 with 0.01 nats of divergence.
    assert float(gaussian_distortion(1.0, 0.0, np.inf)) == pytest.approx(2 - np.sqrt(3), abs=1e-12)
    assert float(gaussian_distortion_kl(1.0, 0.01)) == pytest.approx(0.251274, abs=5e-7)


@given(st.floats(0.01, 6), st.floats(0, 1.5), st.floats(0.1, 10))
def test_gaussian_inverse(rate, P, variance):
    # Oracle: the forward formula at Rc=inf; 1e-8 bits.
    D = gaussian_distortion(rate, P, np.inf, variance)
    assert float(gaussian_rate_bits(D, P, variance)) == pytest.approx(rate, abs=1e-8)


def test_gaussian_ends_of_common_randomness():
    # Oracle: [T] eq. 65 at both ends: s2 2^(-2R) and s2 (1 - sqrt u)^2; 1e-13.
    R = np.array([0.0, 0.5, 1.0, 3.0])
    np.testing.assert_allclose(
        gaussian_transport_cost(R, 0.0, 2.0), 2 * 2.0 ** (-2 * R), rtol=1e-13
    )
    root = np.sqrt(1 - 2.0 ** (-2 * R))
    np.testing.assert_allclose(gaussian_transport_cost(R, np.inf), (1 - root) ** 2, atol=1e-13)


@pytest.mark.parametrize(
    "call",
    [
        lambda: bernoulli_rate_bits(1.2, 0.1, 0.0),
        lambda: bernoulli_rate_bits(0.1, -0.1, 0.0),
        lambda: bernoulli_rate_bits(0.1, 0.1, np.nan),
        lambda: circle_mmse(2.5),
        lambda: circle_mmse(0),
        lambda: gaussian_distortion(-1.0, 0.0),
        lambda: gaussian_rate_bits("x", 0.0),
        lambda: gaussian_distortion(np.inf, 1.0, variance=np.inf),
        lambda: gaussian_rate_bits(0.1, 0.0, variance=[1.0, np.inf]),
    ],
)
def test_bad_arguments_are_refused(call):
    with pytest.raises(InvalidSetting):
        call()


def test_conditional_perception_against_a_linear_programme():
    # Oracles: P = 0 by enumeration of posterior samples, 1e-12; P > 0 by HiGHS over all laws on a fine grid given each of
    # two messages: never below (1e-9), above by the grid's step at most (5e-4).
    rng = np.random.default_rng(4)
    x, joint = np.sort(rng.normal(size=6)), rng.dirichlet(np.ones(12)).reshape(6, 2)
    q = joint.sum(0)
    posterior, apart = joint / q, (x[:, None] - x) ** 2
    d = float(np.sum(joint * (x[:, None] - x @ (joint / q)) ** 2))
    drawn = sum(q[k] * posterior[:, k] @ apart @ posterior[:, k] for k in range(2))
    assert float(conditional_distortion(d)) == pytest.approx(drawn, rel=1e-12)
    cost = (x[:, None] - np.linspace(x[0], x[-1], 241)) ** 2
    worth = np.concatenate([np.tile(q[k] * posterior[:, k] @ cost, 6) for k in range(2)])
    spent = np.concatenate([q[k] * cost.ravel() for k in range(2)])
    for P in (0.1 * d, 0.5 * d):
        found = linprog(worth, A_ub=spent[None], b_ub=[P], A_eq=kron(eye_array(12), np.ones((1, 241))),
                        b_eq=posterior.T.ravel())  # fmt: skip
        expected = float(conditional_distortion(d, P))
        assert expected * (1 - 1e-9) <= found.fun <= expected * (1 + 5e-4)


@pytest.mark.parametrize("R", [0.5, 2.0])
def test_conditional_perception_of_the_gaussian_is_that_without_common_randomness(R):
    # Oracle: [T] eq. 65 at Rc = 0, relative 1e-12.
    d = 3.0 * 2.0 ** (-2 * R)
    assert float(conditional_distortion(d, 0.01)) == pytest.approx(
        float(gaussian_distortion(R, 0.01, 0.0, 3.0)), rel=1e-12
    )


@pytest.mark.parametrize("step", [0.3, 1.0, 2.5])
def test_entropy_coded_scalar_quantization(step):
    # Oracles: quadrature on a fine grid (1e-6); Shannon's bound; its distance at high rate, 1/2 log2(2 pi e / 12), 1e-3.
    bits, d = gaussian_ecsq(step)
    x = np.linspace(-9, 9, 1_800_001)
    weight = np.exp(-(x**2) / 2)
    weight /= weight.sum()
    index = np.rint(x / step).astype(int) + 100
    p, first = np.bincount(index, weight, 201), np.bincount(index, weight * x, 201)
    used = p > 0
    assert bits == pytest.approx(-float(p[used] @ np.log2(p[used])), abs=1e-5)
    assert d == pytest.approx(1 - float(np.sum(first[used] ** 2 / p[used])), abs=1e-5)
    assert bits >= float(gaussian_rate_bits(d, np.inf))
    fine, small = gaussian_ecsq(0.01, 4.0)
    loss = fine - float(gaussian_rate_bits(small, np.inf, 4.0))
    assert loss == pytest.approx(0.5 * math.log2(2 * math.pi * math.e / 12), abs=1e-3)
