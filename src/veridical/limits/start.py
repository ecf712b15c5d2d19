"""Where the path begins: a guessed output law, a slope that fits the distortion, an entropic plan."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from veridical.arrays import Array
from veridical.limits.blocks import AnyLaw, PowerBlock, PricedBlock, SameLaw, TotalVariationBlock
from veridical.limits.finite import NormalForm
from veridical.limits.interior import Block, Point
from veridical.limits.transport_block import TransportBlock


@dataclass(frozen=True)
class TransportStart:
    """Where the plan of a transport cost begins.

    Attributes:
        share: of the independent coupling that is mixed into the entropic plan.
        most_slack: largest first slack of a pair.
        priced: whether the first price of the perception fits its size, ``0.1 / P``, or is one.
    """

    share: float
    most_slack: float
    priced: bool


TRANSPORT_STARTS = (
    TransportStart(0.1, 1.0, priced=False),
    TransportStart(0.5, 1.0, priced=False),
    TransportStart(0.1, math.inf, priced=True),
    TransportStart(0.5, math.inf, priced=True),
    TransportStart(0.0, 1.0, priced=False),
)
"""Tried in turn: where one leads the path into a corner, which happens to one problem in forty, another does not."""


def first_iterate(
    form: NormalForm, inside: float, transport: TransportStart = TRANSPORT_STARTS[0]
) -> tuple[Point, Block]:
    """A point near the path that aims at ``(1 - inside)`` times the constraints."""
    p, d = form.p, form.d
    m = d.shape[1]
    on = np.isfinite(d)
    finite = np.where(on, d, 0.0)
    base = form.target
    if base is None:
        base = np.full(m, 1.0 / m)
        for _ in range(3):  # Blahut's iteration towards the law that suits the distortion
            lam = _slope(p, d, base, form.distortion)
            weight = base * np.where(on, np.exp(-lam * finite), 0.0)
            weight /= np.maximum(np.sum(weight, axis=1, keepdims=True), 1e-300)
            base = 0.98 * (p @ weight) + 0.02 / m
    base = base / np.sum(base)
    q = base if form.same else _interior_law(form, base)
    lam = _slope(p, d, q, 0.7 * form.distortion)
    a = -np.log(np.where(on, np.exp(-lam * finite), 0.0) @ q + 1e-300)
    D, P = form.distortion * (1.0 - inside), form.perception * (1.0 - inside)
    point = Point(p, d, D, a, lam, 0.1 * form.distortion, q, np.full(m, 0.3))
    _open(point)
    if form.same:
        for _ in range(20):  # Sinkhorn towards both marginals
            point.a = point.a - point.row_residual / point.wq - float(q @ point.L)
            point.evaluate()
        _open(point)
        return point, SameLaw()
    if form.cost is not None:
        return point, _transport(form, point, P, transport)
    if form.target is None:
        block = AnyLaw()
    elif form.family is not None:
        block = PowerBlock(form.family, form.target, P, q)
    else:
        block = TotalVariationBlock(form.target, P, q)
    # A constant in a moves every L alike: let L + s = g hold on average from the start.
    point.a = point.a - float(q @ (point.L + point.s - block.g(point)))
    _open(point)
    return point, block


def priced_iterate(form: NormalForm, inside: float, mu: float) -> tuple[Point, PricedBlock]:
    """As :func:`first_iterate`, with a price on a smooth measure in place of its constraint."""
    assert form.family is not None
    assert form.target is not None
    point, _ = first_iterate(form, inside)
    block = PricedBlock(form.family, form.target, mu)
    point.a = point.a - float(point.q @ (point.L + point.s - block.g(point)))
    _open(point)
    return point, block


def _open(point: Point) -> None:
    """Give the distortion its slack."""
    point.y_lam = max(point.distortion - float(point.q @ point.d_mean), 0.1 * point.distortion)
    point.evaluate()


def _interior_law(form: NormalForm, base: Array) -> Array:
    """A positive law near ``base``; for a smooth measure one that meets its constraint."""
    even = 1.0 / base.size
    share = 0.1
    if form.family is not None and form.target is not None:
        while share > 1e-9:
            q = (1.0 - share) * base + share * even
            if form.family.value(form.target, q) <= 0.5 * form.perception:
                break
            share *= 0.3
    return (1.0 - share) * base + share * even


def _slope(p: Array, d: Array, q: Array, bound: float) -> float:
    """``lambda`` at which ``Q_ij ~ q_j exp(-lambda d_ij)`` has a mean ``d`` of about ``bound``."""
    low, high = 1e-3, 1e3 / bound
    on = np.isfinite(d)
    finite, off = np.where(on, d, 0.0), np.where(on, 0.0, -np.inf)
    for _ in range(10):
        lam = math.sqrt(low * high)
        weight = q * np.exp(off - lam * finite)
        total = np.maximum(np.sum(weight, axis=1), 1e-300)
        mean = float(p @ (np.sum(weight * finite, axis=1) / total))
        low, high = (lam, high) if mean > bound else (low, lam)
    return math.sqrt(low * high)


def _transport(
    form: NormalForm, point: Point, perception: float, start: TransportStart
) -> TransportBlock:
    """An entropic plan between the two laws whose cost is about ``P`` (Sinkhorn, ten rounds), opened up."""
    assert form.cost is not None
    p, q, cost = form.p, point.q, form.cost
    kappa = _slope(p, cost, q, perception)
    on = np.isfinite(cost)
    finite = np.where(on, cost, 0.0)
    kernel = np.where(on, np.exp(-np.minimum(kappa * finite, 300.0)), 0.0)
    left, right = np.ones_like(p), np.ones_like(q)
    for _ in range(10):
        left = p / np.maximum(kernel @ (q * right), 1e-300)
        right = 1.0 / np.maximum(left @ kernel, 1e-300)
    plan = left[:, None] * kernel * (q * right)
    plan = (1.0 - start.share) * plan + start.share * p[:, None] * q
    tau = 0.1 / q.size
    # On the path from the start: no plan entry is so small that its slack would be huge.
    plan = np.maximum(plan, 1e-9 * tau) * on
    block = TransportBlock(p, cost, perception, plan, 0.1 / perception if start.priced else 1.0)
    slack = np.minimum(tau / np.where(on, plan, 1.0), start.most_slack)
    block.start(np.zeros_like(p), point.L + point.s, slack)
    return block
