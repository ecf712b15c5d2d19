"""The brackets of the certified solver against two other methods, on the problems of ``limits_feasible.py``.

With ``P = 0`` the oracle is Sinkhorn's iteration in logarithms, with Brent's method for the multiplier of ``D``, tolerance
1e-6 bits; where that does not converge, and with ``P > 0``, cvxpy with Clarabel. Clarabel's tolerance is measured on its own
answer: twice the violation of each constraint times its price (first order), how far its objective is from the rate of its
channel, and its own 1e-8: of the gap, and of the residual of each cone times the price of what it stands for. An oracle
that does not say "optimal", misses a constraint (relative) by more than 1e-3, or whose tolerance is above 1e-4 bits, is
counted as not converged. A disagreement is a value farther outside the bracket than the oracle's tolerance.

Usage: OMP_NUM_THREADS=1 python benchmarks/limits_oracle.py [problems] [first] [largest alphabet]
"""

import math
import sys
import warnings
from collections import Counter
from typing import Any

import cvxpy as cp
import numpy as np
from limits_feasible import attempt, problem
from scipy.optimize import brentq
from scipy.special import logsumexp, rel_entr

Array = np.ndarray
COARSE = 1e-4


def clarabel(
    p: Array, d: Array, D: float, P: float, name: str, cost: Array
) -> tuple[float, float] | None:
    """The rate and its tolerance in bits, if Clarabel says "optimal"."""
    n, m = d.shape
    joint, q = cp.Variable((n, m), nonneg=True), cp.Variable(m, nonneg=True)
    allowed = np.isfinite(d)
    rules = [cp.sum(joint, axis=1) == p, q == cp.sum(joint, axis=0)]
    rules.append(cp.sum(cp.multiply(joint, np.where(allowed, d, 0.0))) / D <= 1)
    if not np.all(allowed):
        rules.append(cp.multiply(joint, ~allowed) == 0)
    linear = P == 0 or name in {"w2", "tv"}
    most = P
    if P == 0:
        rules.append(q == p)
    elif name == "w2":
        plan = cp.Variable((n, m), nonneg=True)
        rules += [cp.sum(plan, axis=1) == p, cp.sum(plan, axis=0) == q]
        rules.append(cp.sum(cp.multiply(plan, cost)) / P <= 1)
    elif name == "tv":
        rules.append(0.5 * cp.norm1(p - q) / P <= 1)
    elif name in {"kl", "kl-reverse"}:
        apart = cp.rel_entr(q, p) if name == "kl" else cp.rel_entr(p, q)
        rules.append(cp.sum(apart) / P <= 1)
    elif name in {"chi2", "renyi2"}:
        most = P if name == "chi2" else math.expm1(P)
        rules.append((p**2 @ cp.inv_pos(q) - 1) / most <= 1)
    else:
        most = P if name == "hellinger" else -math.expm1(-0.5 * P)
        rules.append((1 - np.sqrt(p) @ cp.sqrt(q)) / most <= 1)
    product = cp.multiply(p[:, None], cp.vstack([q] * n))
    task = cp.Problem(cp.Minimize(cp.sum(cp.rel_entr(joint, product))), rules)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            task.solve(solver=cp.CLARABEL)
    except cp.SolverError:
        return None
    if task.status != "optimal" or not math.isfinite(task.value):
        return None
    if max(float(np.max(rule.violation())) for rule in rules) > 1e-3:
        return None
    J, law = np.maximum(joint.value, 0.0), np.maximum(q.value, 1e-300)
    rate = float(np.sum(rel_entr(J, p[:, None] * law)))
    wrong = sum(float(np.sum(np.abs(rule.dual_value * rule.violation()))) for rule in rules)
    # An error of 1e-8 in each cone, at the price of what the cone stands for.
    cones = n * m + (0.0 if linear else m * float(np.max(np.abs(rules[-1].dual_value))) / most)
    tolerance = 2 * wrong + abs(rate - task.value) + 1e-8 * (1 + rate + cones)
    return rate / math.log(2), tolerance / math.log(2)


def sinkhorn(p: Array, d: Array, D: float) -> tuple[float, float] | None:
    """The rate at equal laws and its tolerance in bits, if the marginals converge."""
    right = np.zeros_like(p)
    finite, log_p = np.where(np.isfinite(d), d, 0.0), np.log(p)
    off = np.where(np.isfinite(d), 0.0, -np.inf)
    symmetric = np.array_equal(d, d.T)

    def coupling(log_lam: float) -> tuple[float, float]:
        nonlocal right
        kernel = off - math.exp(log_lam) * finite
        for _ in range(1000):
            left = -logsumexp(kernel + right + log_p, axis=1)
            # Of a symmetric kernel both potentials are one; their mean converges faster.
            left = 0.5 * (left + right) if symmetric else left
            right = (
                left if symmetric else -logsumexp(kernel + left[:, None] + log_p[:, None], axis=0)
            )
            joint = np.exp(kernel + left[:, None] + right + log_p[:, None] + log_p)
            if np.sum(np.abs(np.sum(joint, axis=1) - p)) < 1e-12:
                return float(np.sum(joint * finite)), float(np.sum(rel_entr(joint, np.outer(p, p))))
        raise ArithmeticError

    try:
        low = math.log(1e-3 / float(p @ finite @ p))
        if coupling(low)[0] <= D:
            return None
        high = low
        while coupling(high)[0] > D:
            low, high = high, high + 1.5
        at = brentq(lambda x: math.log(max(coupling(x)[0], 1e-300) / D), low, high, xtol=1e-11)
        spent, rate = coupling(at)
    except (ArithmeticError, ValueError):
        return None
    # The cut through the point reached: exact to second order in what D is missed by.
    return (rate + math.exp(at) * (spent - D)) / math.log(2), 1e-6


def main() -> None:
    """Check and report."""
    wanted, first, largest = ([int(a) for a in sys.argv[1:]] + [400, 0, 12][len(sys.argv) - 1 :])[:3]  # fmt: skip
    counts: Counter[str] = Counter()
    tolerances, worst, k = [], -math.inf, first
    while counts["drawn"] < wanted:
        t: dict[str, Any] = problem(k)
        k += 1
        if t["n"] > largest:
            continue
        counts["drawn"] += 1
        oracle = "Sinkhorn"
        found = sinkhorn(t["p"], t["d"], t["D"]) if t["P"] == 0 else None
        if found is None:
            oracle = "Clarabel"
            found = clarabel(*(t[x] for x in ("p", "d", "D", "P", "name", "cost")))
        if found is None or found[1] > COARSE:
            counts["no oracle converged"] += 1
            continue
        counts[f"{oracle} checked"] += 1
        row = attempt(k - 1)
        (value, tolerance), (lower, upper) = found, row["bracket"]
        outside = max(lower - value, value - upper)
        tolerances.append(tolerance)
        worst = max(worst, outside)
        if outside > tolerance or row["end"] != "solved":
            counts["disagree"] += 1
            print(f"  {k - 1} {t['kind']} {t['name']} n={t['n']} D={t['D']:.3g} P={t['P']:.3g}: {value!r} +- {tolerance:.1g}, {row['end']} [{lower!r}, {upper!r}]", flush=True)  # fmt: skip
    print(f"{dict(counts)}, disagreements: {counts['disagree']}")
    print(f"tolerance of the oracle: median {np.median(tolerances):.1g}, largest {max(tolerances):.1g} bits; farthest outside a bracket: {worst:.1g} bits")  # fmt: skip


if __name__ == "__main__":
    main()
