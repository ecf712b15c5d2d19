"""The certificates of 200 random problems, evaluated again with 50 digits (mpmath).

The problems are those of ``limits_feasible.py`` with at most 12 symbols. Floating point only chose the dual point and the
channel; here both are taken as exact numbers, and the source as its own floats, divided by their exact sum.

* The lower end holds if the exact value of the dual point is not below it.
* The upper end holds if the exact rate of the channel (rows divided by their exact sums) is not above it. How far the channel
  exceeds ``D`` or ``P`` is reported at the prices of the dual point, in bits: that much the rate at exactly ``(D, P)``
  may lie above. The transport cost of a law is that of a basic plan whose marginals are made exact.

Usage: OMP_NUM_THREADS=1 python benchmarks/limits_exact.py [problems] [first] [largest alphabet]
"""

import sys
from collections import Counter
from typing import Any

import numpy as np
import ot
from limits_feasible import measure_of, problem
from mpmath import exp, expm1, inf, log, log1p, mp, mpf

from veridical.limits import Bound, FiniteSource
from veridical.limits.bracket import Bracket
from veridical.limits.finite import normal_form
from veridical.limits.search import search

mp.dps = 50
NATS = log(2)
Numbers = np.ndarray


def exact(values: Any) -> Numbers:
    """Floats as they are, with 50 digits."""
    return np.vectorize(mpf, otypes=[object])(values)


def support(L: Numbers, p: Numbers, mu: mpf, t: dict[str, Any], measure: Any, *, same: bool) -> mpf:
    """``max over output laws q of q.L - mu div(p, q)``, or an upper bound on it."""
    if same:
        return p @ L
    if t["name"] == "w2":
        least = t["cost"] - np.min(t["cost"], axis=1, keepdims=True)
        return sum(
            p[i] * max(L[j] - mu * least[i, j] for j in range(L.size)) for i in range(p.size)
        )
    if t["name"] == "tv":
        return sum(p * np.array([max(one, max(L) - mu) for one in L]))
    mu = max(mu, mpf(10) ** -40)
    mean = p @ L
    theta = mpf(measure.family().shift(L.astype(float), p.astype(float), float(mu)))
    u = (L - mean) / mu
    # Any shift above the last pole is a bound; the one in floating point need not be, by a rounding.
    if t["name"] == "js":
        theta = max(theta, max(u) - log(2) / 2 + mpf(10) ** -30)
        logs = np.vectorize(lambda x: log1p(-expm1(2 * x)), otypes=[object])(u - theta)
        return mean + mu * (theta - p @ logs / 2)
    c = measure.family().order
    theta = max(theta, max(u) - 1 + mpf(10) ** -30) if c else theta
    if c == 0:
        return mean + mu * log(sum(p * np.vectorize(exp, otypes=[object])(u)))
    logs = np.vectorize(log, otypes=[object])(1 + theta - u)
    if c != 1:
        c = mpf(c)
        logs = np.vectorize(lambda x: expm1((1 - 1 / c) * x), otypes=[object])(logs) * c / (c - 1)
    return mean + mu * (theta - p @ logs)


def level(t: dict[str, Any], measure: Any) -> mpf:
    """The bound on what ``mu`` is the price of: on ``F`` of the power family, or the measure itself."""
    if t["name"].startswith("renyi"):
        return expm1((mpf(measure.order) - 1) * mpf(t["P"])) / (mpf(measure.order) - 1)
    return mpf(t["P"]) * (2 if t["name"] == "hellinger" else 1)


def dual(t: dict[str, Any], found: Bracket, measure: Any) -> mpf:
    """The exact value of the dual point in nats, on the source itself."""
    form = found.form
    p, d = exact(t["p"]) / sum(exact(t["p"])), t["d"]
    lam, mu = mpf(found.lam) / mpf(form.d_unit), mpf(found.mu) / mpf(form.p_unit)
    if form.cost is not None:
        t = {**t, "cost": exact(t["cost"])}
    least = exact(np.min(d, axis=1))
    a = exact(found.a)
    L = []
    for j in form.columns:
        terms = [p[i] * exp(a[i] - lam * (mpf(d[i, j]) - least[i])) for i in range(p.size) if np.isfinite(d[i, j])]  # fmt: skip
        L.append(log(sum(terms)))
    floor = p @ least
    price = 0 if form.same else mu * level(t, measure)
    if form.cost is not None:
        price -= mu * (p @ np.min(t["cost"], axis=1))
    L = np.array(L)
    return (
        p @ a - support(L, p, mu, t, measure, same=form.same) - lam * (mpf(t["D"]) - floor) - price
    )


def transport(p: Numbers, q: Numbers, cost: Numbers) -> mpf:
    """The cost of a plan with exactly these marginals, the cheapest but for rounding."""
    plan = exact(ot.emd((p / sum(p)).astype(float), (q / sum(q)).astype(float), cost))
    for axis, law in ((1, p), (0, q)):
        total = np.sum(plan, axis=axis)
        share = np.array(
            [min(mpf(1), w / s) if s else mpf(0) for w, s in zip(law, total, strict=True)]
        )
        plan = plan * (share[:, None] if axis else share)
    rest = p - np.sum(plan, axis=1)
    if sum(rest):
        plan = plan + np.outer(rest, q - np.sum(plan, axis=0)) / sum(rest)
    return np.sum(plan * exact(cost))


def primal(t: dict[str, Any], b: Bound, measure: Any) -> tuple[mpf, mpf, mpf]:
    """Exact rate in nats, distortion and perception of the channel."""
    p = exact(t["p"]) / sum(exact(t["p"]))
    channel = exact(b.channel)
    joint = p[:, None] * channel / np.sum(channel, axis=1)[:, None]
    q = np.sum(joint, axis=0)
    used = [(i, j) for i, j in np.ndindex(joint.shape) if joint[i, j] > 0]
    rate = sum(joint[i, j] * log(joint[i, j] / (p[i] * q[j])) for i, j in used)
    spent = sum(joint[i, j] * mpf(t["d"][i, j]) for i, j in used)
    if t["name"] == "w2":
        return rate, spent, transport(p, q, t["cost"])
    if t["name"] == "tv":
        return rate, spent, sum(abs(p - q)) / 2
    if t["name"] == "js":
        pairs = [
            (a, 2 * a / (a + b)) for a, b in [*zip(p, q, strict=True), *zip(q, p, strict=True)]
        ]
        return rate, spent, sum(a * log(x) for a, x in pairs if a > 0) / 2
    c = mpf(measure.family().order)
    if c == 0:
        value = sum(b * log(b / a) for a, b in zip(p, q, strict=True) if b > 0)
    elif c == 1:
        value = sum(a * log(a / b) if b > 0 else inf for a, b in zip(p, q, strict=True))
    else:
        value = (sum(a**c * b ** (1 - c) for a, b in zip(p, q, strict=True)) - 1) / (c - 1)
    if t["name"].startswith("renyi"):
        order = mpf(measure.order)
        value = log1p((order - 1) * value) / (order - 1)
    return rate, spent, value / 2 if t["name"] == "hellinger" else value


def main() -> None:
    """Check and report."""
    wanted, k, largest = ([int(a) for a in sys.argv[1:]] + [200, 0, 12][len(sys.argv) - 1 :])[:3]
    counts: Counter[str] = Counter()
    slack, excess = [], []
    while counts["drawn"] < wanted:
        t = problem(k)
        k += 1
        if t["n"] > largest:
            continue
        counts["drawn"] += 1
        measure, source = measure_of(t), FiniteSource(t["p"], t["d"])
        form = normal_form(source, t["D"], t["P"], measure)
        found = search(form, measure, 1e-6 * float(NATS), 200)
        b = found.bound(source, t["D"], t["P"])
        name = f"{k - 1} {t['kind']} {t['name']} n={t['n']} D={t['D']:.3g} P={t['P']:.3g}"
        if not np.any(found.a):
            counts["rate zero or one channel only"] += 1
        elif found.form.same or found.mu < np.inf:
            below = dual(t, found, measure) / NATS - mpf(b.lower_bits)
            counts["lower end holds" if below >= 0 else "LOWER END FAILS"] += 1
            slack.append(float(below))
            if below < 0:
                print(f"  {name}: dual value {float(below):.3g} bits below the lower end")
        rate, spent, perception = primal(t, b, measure)
        over = mpf(b.upper_bits) - rate / NATS
        counts["upper end holds" if over >= 0 else "UPPER END FAILS"] += 1
        prices = [b.slope_distortion, 0.0 if form.same or not np.isfinite(b.slope_perception) else b.slope_perception]  # fmt: skip
        beyond = [max(spent - mpf(t["D"]), 0), max(perception - mpf(t["P"]), 0)]
        excess.append(sum(float(x) * y for x, y in zip(beyond, prices, strict=True)))
        if excess[-1] > 1e-9 or over < 0:
            print(f"  {name}: rate {float(over):.3g} below the upper end, D by {float(beyond[0] / mpf(t['D'])):.2g}, P by {float(beyond[1]):.2g}: {excess[-1]:.2g} bits")  # fmt: skip
    print(dict(counts))
    print(
        f"the dual value is above the lower end by {min(slack):.2g} to {max(slack):.2g} bits (median {np.median(slack):.2g})"
    )
    print(f"what the channels exceed D and P by is worth at most {max(excess):.2g} bits")


if __name__ == "__main__":
    main()
