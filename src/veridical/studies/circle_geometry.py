"""[T] Figs 1 to 5 and 7: samples of the real circle codec, to be drawn over the predicted arcs.

Every record holds, for each code ``(M, K)`` and perception, some samples with their indices and seeds
and the means over many: ``d``, the transport cost ``W2^2`` and ``D(P)`` with standard errors beside
[T] eqs 24, 25, 26.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from veridical.arrays import Array
from veridical.limits import circle_distortion, circle_mmse, circle_w2_squared
from veridical.measure import mean_with_error
from veridical.oneshot.circle import circle_codec
from veridical.quantize.circle import CircleQuantizer
from veridical.sources.circle import circle_samples
from veridical.studies.records import Record

_SAMPLES = 50_000
_SHOWN = 360


def _cloud(name: str, M: int, K: float, P: float, shown: int = _SHOWN) -> Record:
    """One code at one perception: samples to show, and the means of all."""
    codec = circle_codec(M, K)
    rng = np.random.default_rng([M, 0 if math.isinf(K) else int(K), round(1000 * min(P, 9.0))])
    seed = int(rng.integers(1 << 62))
    x = circle_samples(_SAMPLES, rng)
    index = codec.encode(x, seed=seed)
    x_mmse = codec.decode(index, rng, realism=0.0, seed=seed)
    x_real = codec.generator.generate(x_mmse, rng, index)
    a = codec.calibration(index).realism_for(P)
    x_hat = (1 - a) * x_mmse + a * x_real
    found = {
        "d": (np.sum(np.square(x - x_mmse), axis=1), float(circle_mmse(M))),
        "W2^2": (np.sum(np.square(x_mmse - x_real), axis=1), float(circle_w2_squared(M, K))),
        "D": (np.sum(np.square(x - x_hat), axis=1), float(circle_distortion(M, P, K))),
    }
    table = {}
    for key, (values, formula) in found.items():
        mean = mean_with_error(values)
        table[key] = [mean.value, mean.standard_error, formula]
    facts = {"M": M, "K": K, "P": P, "a": a, "radius": float(np.sinc(1 / M)), "table": table}
    offsets = CircleQuantizer(M, K).offsets(seed, shown)
    arrays = {
        "x": x[:shown], "index": index[:shown].astype(float), "offset": offsets,
        "x_mmse": x_mmse[:shown], "x_real": x_real[:shown], "x_hat": x_hat[:shown],
    }  # fmt: skip
    return Record(name, facts, arrays)


def _joined(name: str, clouds: list[Record], **more: Array) -> Record:
    """One record of several clouds; the arrays of cloud ``k`` are named ``k:...``."""
    facts: dict[str, Any] = {"samples": _SAMPLES, "clouds": [dict(c.facts) for c in clouds]}
    # The transport cost of dither has no noise at all: every pair is 1 - r_M apart.
    off = [
        abs(value - formula) / error
        for c in clouds
        for value, error, formula in c.facts["table"].values()
        if error > 1e-12
    ]
    facts["largest_deviation_in_standard_errors"] = max(off)
    arrays = {f"{k}:{key}": v for k, c in enumerate(clouds) for key, v in c.arrays.items()}
    return Record(name, facts, arrays | more)


def t1() -> Record:
    """[T] Fig. 1: one bit; the two cells and their centroids at distance ``2 / pi``."""
    return _joined("t1", [_cloud("t1", 2, 1, math.inf)])


def t2() -> Record:
    """[T] Fig. 2: one bit; posterior sampling, which is an optimal plan, fills the circle evenly."""
    codec = circle_codec(2)
    rng = np.random.default_rng(2)
    index = codec.encode(circle_samples(_SAMPLES, rng))
    out = codec.decode(index, rng)
    counts, _ = np.histogram(np.arctan2(out[:, 1], out[:, 0]), 24, (-math.pi, math.pi))
    return _joined("t2", [_cloud("t2", 2, 1, 0.0)], counts=counts.astype(float))


def t3() -> Record:
    """[T] Fig. 3: one bit; ``X^`` on half circles of radius ``a`` about ``(1 - a) r_M``."""
    return _joined("t3", [_cloud("t3", 2, 1, P) for P in (0.02, 0.1, 0.3)])


def t4() -> Record:
    """[T] Fig. 4: a bit and a seed bit; the half circles turn by a quarter with the seed."""
    return _joined("t4", [_cloud("t4", 2, 2, 0.02, 2 * _SHOWN)])


def t5() -> Record:
    """[T] Fig. 5: dither; three circles, and the radius of ``X^`` over the perception ([T] 31)."""
    P = np.linspace(0.0, 0.4, 9) ** 2
    codec = circle_codec(2, math.inf)
    rng = np.random.default_rng(5)
    index = codec.encode(circle_samples(2_000, rng), seed=5)
    measured = [np.hypot(*codec.decode(index, rng, perception=float(p), seed=5).T) for p in P]
    radii = np.array([[r.min(), r.max()] for r in measured])
    return _joined("t5", [_cloud("t5", 2, math.inf, 0.02)], P=P, radii=radii)


def t7() -> Record:
    """[T] Fig. 7: a bit and a seed bit against two bits, at the same perception."""
    return _joined("t7", [_cloud("t7", 2, 2, 0.02), _cloud("t7", 4, 1, 0.02)])
