"""The cheapest word of a coset, exactly: Viterbi's algorithm over blocks and states at once.

    min over c in G of sum_t cost[b, t, (c_t + w_(b,t)) mod p]

for every block ``b``, with ``w`` a word of the coset. Costs are whole numbers, so that both sides of a
code find the same word on every machine; among words of equal cost the smallest dropped digit wins.
The arrays of a step have shape ``(states, p, blocks)``, blocks innermost.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veridical.arrays import Whole
from veridical.errors import InvalidSetting
from veridical.quantize.group.code import TrellisCode, checked_symbols

Costs = NDArray[np.int32]

MOST_COST = 1 << 30
"""The sum over a word of its largest costs stays below this."""

# Entries of the table of decisions of one batch: 64 MiB.
_DECISIONS = 1 << 26


def whole_costs(costs: ArrayLike, n: int) -> Costs:
    """Real costs as whole numbers, on the finest scale for words of ``n`` symbols.

    The scale is a power of two; adding a constant to all costs changes no decision, so the least
    cost becomes zero.

    Raises:
        InvalidSetting: a cost that is not finite.
    """
    table = np.asarray(costs, dtype=np.float64)
    if not np.all(np.isfinite(table)):
        raise InvalidSetting("costs must be finite numbers; is there a NaN in the source?")
    table = table - table.min()
    top = float(table.max())
    if top == 0.0:
        return np.zeros(table.shape, dtype=np.int32)
    scale = 2.0 ** np.floor(np.log2((MOST_COST / n - 1) / top))
    return np.rint(table * scale).astype(np.int32)


def cheapest_words(code: TrellisCode, costs: Costs, offsets: ArrayLike) -> tuple[Whole, Whole]:
    """Free symbols and words of least cost in the cosets ``offsets + G``.

    Args:
        code: ``G``.
        costs: whole and not negative, shape ``(blocks, n, p)``, or ``(n, p)`` or ``(p,)`` for all.
        offsets: ``w``, shape ``(blocks, n)``.

    Returns:
        Free symbols, shape ``(blocks, k)``, and words ``c + w mod p``, shape ``(blocks, n)``.

    Raises:
        InvalidSetting: shapes that do not fit, a symbol outside the alphabet, costs that are not
            whole, negative, or so large that their sum may reach ``MOST_COST``.
    """
    w = checked_symbols(offsets, code.p, code.n, "offsets")
    given = np.asarray(costs)
    whole = np.issubdtype(given.dtype, np.integer)
    if not whole or (given.size and (given.min() < 0 or int(given.max()) * code.n >= MOST_COST)):
        raise InvalidSetting("costs are whole numbers from 0 to 2^30 / n; use whole_costs")
    try:
        table = np.broadcast_to(given, (len(w), code.n, code.p))
    except ValueError as cause:
        raise InvalidSetting(
            f"costs of shape {given.shape} do not fit {len(w)} blocks of ({code.n}, {code.p})"
        ) from cause
    inputs = np.zeros((len(w), code.dimension), dtype=np.int64)
    at_once = max(1, min(128, _DECISIONS // (code.n * code.states)))
    outputs = _outputs(code)
    letters = np.arange(code.p)
    for first in range(0, len(w), at_once):
        rows = slice(first, first + at_once)
        turned = (w[rows, :, None] + letters) % code.p
        part = np.take_along_axis(table[rows], turned, axis=2).astype(np.int32)
        inputs[rows] = _search(code, outputs, np.ascontiguousarray(part.transpose(1, 2, 0)))
    return inputs, (code.words(inputs) + w) % code.p


def _digits(code: TrellisCode, level: int) -> Whole:
    """Contents of a register in every state, newest symbol first, shape ``(states, memory)``."""
    later = sum(v.memory for v in code.levels[level + 1 :])
    weights = code.p ** (later + np.arange(code.levels[level].memory))
    return np.arange(code.states)[:, None] // weights % code.p


def _outputs(code: TrellisCode) -> NDArray[np.uint8]:
    """Symbol that a state gives at each place before the free symbol, shape ``(n, states)``."""
    out = np.zeros((code.n, code.states))
    for k, level in enumerate(code.levels):
        # Exact in floating point: the sums stay below 16 * 250^2.
        out += level.taps.astype(np.float64) @ _digits(code, k).T.astype(np.float64)
    return (out % code.p).astype(np.uint8)


def _shape(code: TrellisCode, level: int) -> tuple[int, int, int]:
    """States of the registers before a level, of the level, and of those after it."""
    m = [v.memory for v in code.levels]
    return code.p ** sum(m[:level]), code.p ** m[level], code.p ** sum(m[level + 1 :])


def _search(code: TrellisCode, outputs: NDArray[np.uint8], costs: Costs) -> Whole:
    """Free symbols of the cheapest words for costs of shape ``(n, p, blocks)``."""
    n, p, blocks = costs.shape
    owner = np.full(n, -1)
    for k, level in enumerate(code.levels):
        owner[level.places] = k
    circle = (np.arange(p)[:, None] + np.arange(p)) % p
    # A start in any state but zero costs more than any word.
    value = np.full((code.states, blocks), MOST_COST, dtype=np.int32)
    value[0] = 0
    decisions: list[NDArray[np.uint8]] = []
    for t in range(n):
        if owner[t] < 0:
            value += np.take(costs[t], outputs[t], axis=0)
            decisions.append(np.zeros((0, 0), np.uint8))
        else:
            branches = np.take(costs[t][circle], outputs[t], axis=0)
            branches += value[:, None, :]
            value, decision = _step(branches, _shape(code, int(owner[t])))
            decisions.append(decision)
        # Unreached states stay at MOST_COST, so that sums never leave 32 bits.
        np.minimum(value, MOST_COST, out=value)
    return _trace(code, owner, decisions, np.argmin(value, axis=0))


def _step(branches: Costs, shape: tuple[int, int, int]) -> tuple[Costs, NDArray[np.uint8]]:
    """Survivors of a step in which one register takes a free symbol.

    Args:
        branches: cost of arriving by state and symbol, shape ``(states, p, blocks)``.
        shape: of :func:`_shape`; the register drops its oldest symbol, its leading digit.
    """
    states, p, blocks = branches.shape
    before, own, after = shape
    if own == 1:
        by_choice = branches.transpose(1, 0, 2)
    else:
        cube = branches.reshape(before, p, own // p, after, p, blocks)
        by_choice = cube.transpose(1, 0, 2, 4, 3, 5)
    choice = (by_choice[1] < by_choice[0]).view(np.uint8)
    best = np.minimum(by_choice[0], by_choice[1])
    for d in range(2, p):
        lower = by_choice[d] < best
        np.minimum(best, by_choice[d], out=best)
        # Masked copies are slow; digits rise, so that the last one to win is the largest.
        np.maximum(choice, lower.view(np.uint8) * np.uint8(d), out=choice)
    return best.reshape(states, blocks), choice.reshape(states, blocks)


def _trace(
    code: TrellisCode, owner: Whole, decisions: list[NDArray[np.uint8]], state: Whole
) -> Whole:
    """Free symbols along the surviving paths, from the end to the start."""
    p = code.p
    inputs = np.zeros((state.size, code.dimension), dtype=np.int64)
    columns = np.zeros(code.n, dtype=np.int64)
    columns[code.places] = np.arange(code.dimension)
    blocks = np.arange(state.size)
    for t in range(code.n - 1, -1, -1):
        if owner[t] < 0:
            continue
        choice = decisions[t][state, blocks].astype(np.int64)
        _, own, after = _shape(code, int(owner[t]))
        if own == 1:
            inputs[:, columns[t]] = choice
            continue
        register = state // after % own
        inputs[:, columns[t]] = register % p
        previous = choice * (own // p) + register // p
        state = state + (previous - register) * after
    return inputs
