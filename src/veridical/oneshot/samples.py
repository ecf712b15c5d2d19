"""``veridical.design``: a working codec with its price list from nothing but samples.

>>> codec = veridical.design(samples, rate_bits=1, seeds=2, perception=0.0, rng=rng)
>>> index = codec.encode(x, seed=7)
>>> x_hat = codec.decode(index, rng, perception=0.1, seed=7)

Fixed-length codes: ``M = round(2^rate_bits)`` codewords for each of ``K`` seed symbols.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array, check_flag, check_rng, whole_number
from veridical.errors import InvalidSetting, typed_errors
from veridical.oneshot.joint import Search, descend, search
from veridical.oneshot.objective import Objective, Problem
from veridical.oneshot.sample_codec import TURNS, SampleCodec, composed, time_shared
from veridical.oneshot.variable import candidates_at_rate, neighbours
from veridical.quantize import CodebookEncoder, lloyd
from veridical.transport import power_assign, weighted_points

_MOST_ATOMS = 5_000
_SETTLED = 100


@typed_errors()
def design(
    samples: ArrayLike,
    *,
    rate_bits: float,
    seeds: int = 1,
    perception: float | None = None,
    rng: np.random.Generator,
    weights: ArrayLike | None = None,
    variable_length: bool = False,
    search_settings: Search | None = None,
    plan_samples: int = 1000,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> SampleCodec:
    """Design a codec that minimises ``d + ((W2 - sqrt P)+)^2`` on samples ([T] eqs 40, 44).

    With ``K = 1`` the MMSE codebook is best at every perception ([T] Props 1, 2): Lloyd's, with
    posterior sampling as the optimal plan, so that ``transport_cost = mmse``. With more seeds the
    codebooks are found by a local search (:mod:`veridical.oneshot.joint`) on ``plan_samples`` of
    the samples and polished with all of them; the result is never dearer, on the design samples,
    than the rotated and perturbed MMSE codebooks that the search starts from. The prices hold for
    the design samples; new samples of the same law cost more by a share of about ``K M d / n``.

    Args:
        samples: shape ``(n, d)``, or ``(n,)`` for numbers.
        rate_bits: bits per sample. Fixed length: ``M = round(2^rate_bits)``. Variable length: the
            entropy ``H(Z|S)`` is at most this.
        seeds: ``K``, number of seed symbols; ``K M`` is at most 5,000.
        perception: ``P``, squared W2 for which to design. ``None``: MMSE first, for use at every
            perception: ``d`` at most 10 % above the least, in practice much closer, and ``W2`` as small as that
            leaves room for (:mod:`veridical.oneshot.objective`).
        rng: source of all random choices of the design.
        weights: of the samples, shape ``(n,)``, equal if left out.
        variable_length: least price at entropy ``H(Z|S) <= rate_bits`` ([T] eq. 45), two codes sharing
            the time where one alone would leave rate unspent; :meth:`SampleCodec.to_bytes` realises it.
        search_settings: effort of the joint search.
        plan_samples: samples for plans during the search, at least 2.
        progress: called with the number of descents done and to do.

    Warns:
        UserWarning: heavy tails, with figures, where the samples are many enough to tell.

    Raises:
        InvalidSetting: bad samples, weights or settings; fewer samples than codewords; too many
            codewords.
        NotConverged: a plan was not found.
    """
    x, a = weighted_points(samples, weights, name="samples")
    x, a = x[a > 0], a[a > 0]
    check_flag(variable_length=variable_length)
    outputs = _outputs(rate_bits, seeds, variable_length=variable_length)
    Objective(perception)  # refuses a perception that is none, whether or not the search needs it
    check_rng(rng)
    whole_number(plan_samples, "plan_samples", 2)
    _warn_of_heavy_tails(x, a, outputs)
    settings = Search() if search_settings is None else search_settings
    origin = _origin(x)
    if variable_length:
        encoders = candidates_at_rate(
            _subset(x - origin, a, plan_samples, rng), rate_bits, min(outputs, a.size), seeds, perception,
            rng=rng, settings=settings, progress=progress,
        )  # fmt: skip
        return _at_rate(
            [composed(x, a, _moved(e, origin), rng) for e in encoders], rate_bits, perception
        )
    book = lloyd(x - origin, outputs, rng=rng, weights=a)
    same = CodebookEncoder(
        np.repeat(book.points[None], seeds, axis=0), np.repeat(book.offsets[None], seeds, axis=0)
    )
    if seeds == 1 or book.mmse == 0.0 or len(book.points) == 1:
        return composed(x, a, _moved(same, origin), rng)
    objective = Objective(perception)
    problem = _subset(x - origin, a, plan_samples, rng)
    small = Problem(problem.plan_x, problem.plan_weights, problem.plan_x, problem.plan_weights)
    best, raw = search(
        small, book.points, seeds, objective, rng=rng, settings=settings, progress=progress
    )
    polished = descend(best.encoder, problem, objective, steps=settings.steps)
    return min(
        (composed(x, a, _moved(e, origin), rng) for e in (polished.encoder, raw.encoder)),
        key=lambda o: _price(o, perception),
    )


def _origin(x: Array) -> Array:
    """Zero, or the first sample where all are so far from zero that squares hide their differences."""
    far = np.max(np.abs(x)) > 1024 * np.max(np.abs(x - x[0]))
    return x[0] if far else np.zeros_like(x[0])


def _moved(encoder: CodebookEncoder, origin: Array) -> CodebookEncoder:
    return CodebookEncoder(encoder.sites + origin, encoder.offsets)


def _price(codec: SampleCodec, perception: float | None) -> float:
    """``d + ((sqrt C - sqrt P)+)^2``, or what stands for it without a perception."""
    cost = codec.calibration
    return Objective(perception).value(cost.mmse, cost.transport_cost, 0.0)


def _at_rate(codecs: list[SampleCodec], rate_bits: float, perception: float | None) -> SampleCodec:
    """The point of the lower hull at the rate, by time sharing between its neighbours."""
    prices = [_price(c, perception) for c in codecs]
    i, j = neighbours([c.entropy_bits for c in codecs], prices, rate_bits)
    low, high = codecs[i], codecs[j]
    if i == j or high.entropy_bits <= rate_bits:
        return high
    part = (rate_bits - low.entropy_bits) / (high.entropy_bits - low.entropy_bits)
    turns = math.floor(TURNS * part)
    return time_shared(low, high, turns) if turns else low


def _warn_of_heavy_tails(x: Array, a: Array, outputs: int) -> None:
    """Codebooks of one half on the other: where the mean error has not settled, prices mean little."""
    half, M = x.shape[0] // 2, max(outputs, 4)
    if half < _SETTLED * M:
        return
    order = np.random.default_rng(0).permutation(x.shape[0])
    own = other = 0.0
    for one, two in ((order[:half], order[half:]), (order[half:], order[:half])):
        book = lloyd(x[one], M, rng=np.random.default_rng(0), weights=a[one], starts=1)
        cells = power_assign(x[two], book.points, np.zeros(len(book.points)))
        error = np.sum(np.square(x[two] - book.points[cells]), axis=1)
        own += book.mmse / 2
        other += float(a[two] @ error / np.sum(a[two])) / 2
    if other > 1.5 * own > 0:
        warnings.warn(
            f"heavy tails: {M} codewords of half of the samples have error {own:.4g} on them and {other:.4g} "
            "on the others, so that prices hold for these samples only; transform or clip the samples",
            stacklevel=3,
        )


def _outputs(rate_bits: float, seeds: int, *, variable_length: bool) -> int:
    """``M``, after checking the rate and the number of seeds."""
    real = isinstance(rate_bits, Real)
    if isinstance(rate_bits, bool) or not real or not rate_bits >= 0:
        raise InvalidSetting(f"rate_bits must be 0 or more, got {rate_bits!r}")
    whole_number(seeds, "seeds", 1)
    bits = rate_bits + (1.0 if variable_length and rate_bits > 0 else 0.0)
    M = round(2.0 ** float(bits)) if bits <= 32 else _MOST_ATOMS + 1
    if M * seeds > _MOST_ATOMS:
        raise InvalidSetting(
            f"{rate_bits} bits with {seeds} seeds take more than {_MOST_ATOMS} codewords; lower "
            "the rate or the number of seeds, or code blocks of fewer coordinates"
        )
    return M


def _subset(x: Array, a: Array, count: int, rng: np.random.Generator) -> Problem:
    """All samples for the means, and at most ``count`` of them for the plans."""
    if a.size <= count:
        return Problem(x, a, x, a)
    equal = bool(np.all(a == a[0]))
    chosen = rng.choice(a.size, count, replace=not equal, p=None if equal else a)
    return Problem(x, a, x[chosen], np.full(count, 1.0 / count))
