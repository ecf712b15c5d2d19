"""The brackets of the certified solver against two other methods, on the problems of ``limits_feasible.py``.

With ``P = 0`` the oracle is Sinkhorn's iteration in logarithms, with Brent's method for the multiplier of ``D``; where that
does not converge, and with ``P > 0``, cvxpy with Clarabel at a tolerance of 1e-12 or, if it does not reach that, 1e-10 (its
default, 1e-8, is an error of up to 4e-6 bits). An oracle that does not say "optimal" counts as not converged. A value more
than 1e-7 bits outside a bracket is a disagreement; ``limits_exact.py`` proves the brackets themselves.

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
TOLERANCE = 1e-7


def clarabel(p: Array, d: Array, D: float, P: float, name: str, cost: Array) -> float | None:
    """The rate in bits, if Clarabel says "optimal"."""
    n, m = d.shape
    joint, q = cp.Variable((n, m), nonneg=True), cp.Variable(m, nonneg=True)
    allowed = np.isfinite(d)
    rules = [cp.sum(joint, axis=1) == p, q == cp.sum(joint, axis=0)]
    rules.append(cp.sum(cp.multiply(joint, np.where(allowed, d, 0.0))) / D <= 1)
    if not np.all(allowed):
        rules.append(cp.multiply(joint, ~allowed) == 0)
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
    elif name == "js":
        middle = 0.5 * (p + q)
        rules.append(cp.sum(cp.rel_entr(p, middle) + cp.rel_entr(q, middle)) / (2 * P) <= 1)
    elif name in {"chi2", "renyi2"}:
        # sum (q - p)^2 / q, with the move in units of the root of its bound.
        most = P if name == "chi2" else math.expm1(P)
        move = cp.Variable(m)
        rules.append(q == p + math.sqrt(most) * move)
        rules.append(sum(cp.quad_over_lin(move[j], q[j]) for j in range(m)) <= 1)
    else:
        most = P if name == "hellinger" else -math.expm1(-0.5 * P)
        rules.append((1 - np.sqrt(p) @ cp.sqrt(q)) / most <= 1)
    product = cp.multiply(p[:, None], cp.vstack([q] * n))
    task = cp.Problem(cp.Minimize(cp.sum(cp.rel_entr(joint, product))), rules)
    for tolerance in (1e-12, 1e-10):
        kinds = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), tolerance)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                task.solve(solver=cp.CLARABEL, max_iter=500, **kinds)
        except cp.SolverError:
            continue
        if task.status == "optimal":
            return float(task.value) / math.log(2)
    return None


def sinkhorn(p: Array, d: Array, D: float) -> float | None:
    """The rate at equal laws in bits, if the marginals converge."""
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
    return (rate + math.exp(at) * (spent - D)) / math.log(2)


def main() -> None:
    """Check and report."""
    wanted, first, largest = ([int(a) for a in sys.argv[1:]] + [400, 0, 12][len(sys.argv) - 1 :])[:3]  # fmt: skip
    counts: Counter[str] = Counter()
    worst, k = -math.inf, first
    while counts["drawn"] < wanted:
        t: dict[str, Any] = problem(k)
        k += 1
        if t["n"] > largest:
            continue
        counts["drawn"] += 1
        oracle, value = "Sinkhorn", sinkhorn(t["p"], t["d"], t["D"]) if t["P"] == 0 else None
        if value is None:
            oracle, value = "Clarabel", clarabel(*(t[x] for x in ("p", "d", "D", "P", "name", "cost")))  # fmt: skip
        if value is None:
            counts["no oracle converged"] += 1
            continue
        counts[f"{oracle} checked"] += 1
        row = attempt(k - 1)
        lower, upper = row["bracket"]
        outside = max(lower - value, value - upper)
        worst = max(worst, outside)
        if outside > TOLERANCE or row["end"] != "solved":
            counts["disagree"] += 1
            print(f"  {k - 1} {t['kind']} {t['name']} n={t['n']} D={t['D']:.3g} P={t['P']:.3g}: {value!r}, {row['end']} [{lower!r}, {upper!r}]", flush=True)  # fmt: skip
    print(f"{dict(counts)}, disagreements: {counts['disagree']}")
    print(f"farthest outside a bracket: {worst:.1g} bits")


if __name__ == "__main__":
    main()
