"""[T] Propositions 1 to 3 on random finite sources, by brute force and linear programming."""

import itertools
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

import veridical
from veridical.transport import exact_plan, squared_distances

_SEEDS = st.integers(0, 2**32 - 1)


def finite_source(seed):
    """Three to six weighted points in the plane, and a number of outputs."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 7))
    return rng.normal(size=(n, 2)), rng.dirichlet(np.ones(n)), int(rng.integers(2, 4)), rng


def centroids(x, p, code, outputs):
    """Masses and conditional means of the cells of an encoder that are not empty, and its error."""
    used = [z for z in range(outputs) if np.any(code == z)]
    masses = np.array([p[code == z].sum() for z in used])
    means = np.array([p[code == z] @ x[code == z] / p[code == z].sum() for z in used])
    near = means[[used.index(z) for z in code]]
    return masses, means, float(p @ np.sum((x - near) ** 2, axis=1))


def all_prices(x, p, outputs):
    """``(d, W2^2)`` of every encoder."""
    prices = []
    for code in itertools.product(range(outputs), repeat=p.size):
        masses, means, d = centroids(x, p, np.array(code), outputs)
        prices.append((d, exact_plan(x, means, x_weights=p, y_weights=masses).cost))
    return np.array(prices)


@given(_SEEDS)
@settings(max_examples=8)
def test_without_a_seed_the_mmse_encoder_is_best_at_every_perception(seed):
    # Oracle: brute force over all encoders. [T] Prop. 1: W2^2 = d for the least d; Prop. 2: the
    # least d + ((W2 - sqrt P)+)^2 over encoders is that encoder's, whatever P; 1e-9.
    x, p, M, _ = finite_source(seed)
    prices = all_prices(x, p, M)
    best = prices[np.argmin(prices[:, 0])]
    assert abs(best[1] - best[0]) < 1e-9
    for share in (0.0, 0.1, 0.5, 1.5):
        P = share * best[0]
        every = prices[:, 0] + np.maximum(np.sqrt(prices[:, 1]) - math.sqrt(P), 0.0) ** 2
        own = best[0] + max(math.sqrt(best[0]) - math.sqrt(P), 0.0) ** 2
        assert abs(np.min(every) - own) < 1e-9


@given(_SEEDS, st.floats(0.05, 0.95))
@settings(max_examples=15)
def test_no_decoder_beats_the_interpolator(seed, share):
    # Oracle: a linear programme over all decoders p(y|z) with W2^2(p_X, p_Y) <= P, on a support that
    # holds the interpolated points and others. By [T] Prop. 3 it cannot go below
    # d + ((W2 - sqrt P)+)^2, and on this support it attains it; 1e-7.
    x, p, M, rng = finite_source(seed)
    code = rng.integers(0, M, p.size)
    masses, means, d = centroids(x, p, code, M)
    plan = exact_plan(x, means, x_weights=p, y_weights=masses)
    P = share * plan.cost
    a = 1 - math.sqrt(share)
    between = (1 - a) * means[plan.columns] + a * x[plan.rows]
    y = np.concatenate([between, means, x, rng.normal(size=(5, 2))])
    n, m, k = p.size, masses.size, len(y)
    # Variables: the joint law of (z, y), then the coupling of x and y.
    cost = np.concatenate([squared_distances(means, y).ravel(), np.zeros(n * k)])
    size = m * k + n * k
    rows, right = [], []
    for z in range(m):
        row = np.zeros(size)
        row[z * k : (z + 1) * k] = 1
        rows.append(row)
        right.append(masses[z])
    for i in range(n):
        row = np.zeros(size)
        row[m * k + i * k : m * k + (i + 1) * k] = 1
        rows.append(row)
        right.append(p[i])
    for j in range(k):
        row = np.zeros(size)
        row[j : m * k : k], row[m * k + j :: k] = 1, -1
        rows.append(row)
        right.append(0.0)
    spent = np.concatenate([np.zeros(m * k), squared_distances(x, y).ravel()])
    found = linprog(cost, A_ub=[spent], b_ub=[P], A_eq=np.array(rows), b_eq=right)
    predicted = d + (math.sqrt(plan.cost) - math.sqrt(P)) ** 2
    assert abs(d + found.fun - predicted) < 1e-7


@given(_SEEDS)
@settings(max_examples=5)
def test_design_comes_near_the_best_encoder_of_a_small_source(seed):
    # Oracle: brute force over all encoders; Lloyd with four starts on six points or fewer may end
    # in a local optimum (here at most the fourth best price), never below the least; 1e-9.
    x, p, M, rng = finite_source(seed)
    prices = all_prices(x, p, M)
    codec = veridical.design(x, rate_bits=math.log2(M), weights=p, rng=rng)
    assert codec.calibration.mmse >= np.min(prices[:, 0]) - 1e-9
    assert codec.calibration.mmse <= np.sort(np.unique(prices[:, 0].round(12)))[3] + 1e-9
    assert abs(codec.calibration.transport_cost - codec.calibration.mmse) < 1e-9
