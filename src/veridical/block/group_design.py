"""Design and calibration of nested group codes: letters, weights, estimates, the virtual encoding.

Everything that a decoder needs is measured on blocks drawn from the source, for each place of the
period: ``E[X | c]`` of the operational encoding, and ``p(x | c)`` of the virtual one, whose letters are
held to the same law by prices of their own, and whose joint laws are scaled to both margins exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from veridical.arrays import Array, Whole, check_rng
from veridical.block.group import GroupCodec, GroupEstimator, GroupGenerator
from veridical.block.group_encoder import GroupEncoder, GroupWords
from veridical.block.letters import Letters, design_letters, information_bits
from veridical.errors import InvalidSetting
from veridical.interpolate import Calibration
from veridical.quantize.group import NestedChain, cheapest_words, whole_costs
from veridical.sources.alphabet import Alphabet

__all__ = ["Effort", "GroupDesign", "choose_taps", "design_group_codec"]


# The cheapest word is found again with few errors if the letters lack half as much again as G1 has.
_MARGIN = 1.5


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much a design measures.

    Attributes:
        blocks: blocks of one trial.
        calibration_blocks: blocks that estimates, channel and prices come from.
        weights: multiples of ``1/beta`` tried as the weight of the letters' costs.
        rounds: times that the letters move to the means of their symbols.
        virtual_rounds: corrections of the letters' prices in the virtual encoding.
    """

    blocks: int = 16
    calibration_blocks: int = 64
    weights: tuple[float, ...] = (0.5, 0.75, 1.0, 1.25)
    rounds: int = 4
    virtual_rounds: int = 8

    def __post_init__(self) -> None:
        if min(self.blocks, self.calibration_blocks, self.virtual_rounds) < 1 or self.rounds < 0:
            raise InvalidSetting("an effort has 1 block and 1 virtual round or more")
        if not self.weights or min(self.weights) < 0:
            raise InvalidSetting("the weights of an effort are a few numbers, none negative")


@dataclass(frozen=True)
class GroupDesign:
    """A codec with what was measured on the way.

    Attributes:
        codec: ready for use.
        letters: what a perfect code would do with these letters.
        operational, virtual: joint laws of source symbol and letter as measured, one for each place of
            the period, shape ``(N, m, p)``.
        joint: the virtual laws scaled to the source's and the operational letters' laws.
    """

    codec: GroupCodec
    letters: Letters
    operational: Array = field(repr=False)
    virtual: Array = field(repr=False)
    joint: Array = field(repr=False)

    @property
    def operational_bits(self) -> float:
        """``I(X; c)`` of a symbol, mean over the places of the period; at most ``R`` for good codes."""
        return float(np.mean([information_bits(table) for table in self.operational]))

    @property
    def virtual_bits(self) -> float:
        """``I(X-; c)`` likewise; a block law like the source's needs less than ``R + Rc``."""
        return float(np.mean([information_bits(table) for table in self.joint]))


def design_group_codec(
    source: Alphabet,
    chain: NestedChain,
    *,
    rng: np.random.Generator,
    letters: Array | None = None,
    effort: Effort | None = None,
) -> GroupDesign:
    """A codec of a source with a chain of codes.

    Args:
        source: alphabet and law.
        chain: codes.
        rng: draws the blocks of the design.
        letters: values of the letters that are not to move (for example 0 and 1), shape ``(p,)``.
        effort: how much to measure.

    Raises:
        InvalidSetting: a rate that the source or the letters cannot use.
    """
    check_rng(rng)
    e = Effort() if effort is None else effort
    ideal = design_letters(
        source, chain.p, chain.rate_bits, shaping_bits=_MARGIN * chain.shaping_bits, fixed=letters
    )
    x = source.sample(e.blocks, chain.n, rng)
    encoder = _best_weight(_encoder(source, chain, ideal, 1.0), x, e)
    for _ in range(e.rounds if letters is None else 0):
        encoder = _moved(encoder, x)
    x = source.sample(e.calibration_blocks, chain.n, rng)
    joint = _joint(encoder, x, encoder.decoder.words(encoder.encode(x, 1), 1))
    virtual = _virtual(encoder, x, joint, e)
    fitted = np.stack(
        [_fitted(v, source.law, o.sum(axis=0)) for v, o in zip(virtual, joint, strict=True)]
    )
    return GroupDesign(_composed(encoder, joint, fitted, letters), ideal, joint, virtual, fitted)


def choose_taps(
    source: Alphabet,
    chain: NestedChain,
    *,
    rng: np.random.Generator,
    tries: int,
    letters: Array | None = None,
    blocks: int = 16,
) -> NestedChain:
    """The chain with the taps of least distortion, message register first, then the shaping one.

    Raises:
        InvalidSetting: as for :func:`design_group_codec`; fewer than one try.
    """
    if tries < 1:
        raise InvalidSetting(f"tries must be 1 or more, got {tries}")
    ideal = design_letters(
        source, chain.p, chain.rate_bits, shaping_bits=_MARGIN * chain.shaping_bits, fixed=letters
    )
    x = source.sample(blocks, chain.n, rng)
    best = chain
    for register in (1, 0) if chain.shaping else (1,):
        trials = []
        for number in range(tries):
            one, two, three = best.taps
            taps = (one, number, three) if register else (number, two, three)
            trial = replace(best, taps=taps)
            encoder = _encoder(source, trial, ideal, 0.75)
            # What the message register can do shows before the decoder's errors; those are of the other.
            encoder = replace(encoder, repairs=0 if register else 4)
            trials.append((_error(encoder, x, meant=register == 1), number, trial))
        best = min(trials)[2]
    return best


def _encoder(source: Alphabet, chain: NestedChain, ideal: Letters, weight: float) -> GroupEncoder:
    cost = -np.log(ideal.law)
    decoder = GroupWords(chain, whole_costs(cost, chain.n))
    same = np.repeat(ideal.distortion[None], chain.period, axis=0)
    return GroupEncoder(source, decoder, same, cost, weight / ideal.slope)


def _error(encoder: GroupEncoder, x: Array, *, meant: bool = False) -> float:
    """Mean distortion of the letters; ``meant``: of the words before the decoder's choice."""
    symbols = encoder.source.symbols(x)
    chain = encoder.decoder.chain
    if meant:
        costs = encoder.distances(symbols) + encoder.weight * encoder.letter_cost
        whole = whole_costs(costs, chain.n)
        words = cheapest_words(chain.codes[1], whole, chain.seed_words(1, len(x)))[1]
        return float(np.mean(_of_words(costs, words)))
    words = encoder.decoder.words(encoder.encode(x, 1), 1)
    return float(np.mean(_of_words(encoder.distances(symbols), words)))


def _of_words(costs: Array, words: Whole) -> Array:
    return np.take_along_axis(costs, words[..., None], axis=2)[..., 0]


def _best_weight(encoder: GroupEncoder, x: Array, e: Effort) -> GroupEncoder:
    trials = [replace(encoder, weight=encoder.weight * w) for w in e.weights]
    if encoder.decoder.chain.shaping == 0 and np.ptp(encoder.letter_cost) < 1e-9:
        return encoder
    return min(trials, key=lambda trial: _error(trial, x))


def _moved(encoder: GroupEncoder, x: Array) -> GroupEncoder:
    """Letters of each place at the means of the symbols that were coded by them (a step of Lloyd's)."""
    words = encoder.decoder.words(encoder.encode(x, 1), 1)
    values = _means(encoder.source, _joint(encoder, x, words))
    return replace(encoder, distortion=np.square(encoder.source.points[:, None] - values[:, None]))


def _joint(encoder: GroupEncoder, x: Array, words: Whole) -> Array:
    """Joint law of symbol and letter at each place of the period, shape ``(N, m, p)``."""
    p, N, m = encoder.decoder.chain.p, encoder.decoder.chain.period, encoder.source.points.size
    cells = (np.arange(x.shape[1]) % N * m + encoder.source.symbols(x)) * p + words
    counts = np.bincount(cells.ravel(), minlength=N * m * p).astype(np.float64)
    return counts.reshape(N, m, p) * (N / cells.size)


def _means(source: Alphabet, joint: Array) -> Array:
    """``E[X | u]`` of joint laws ``(..., m, p)``; the source's mean for a letter that never occurred."""
    mass = joint.sum(axis=-2)
    mean = float(source.law @ source.points)
    sums = np.einsum("x,...xu->...u", source.points, joint)
    return np.where(mass > 0, sums / np.where(mass > 0, mass, 1.0), mean)


def _virtual(encoder: GroupEncoder, x: Array, joint: Array, e: Effort) -> Array:
    """Joint laws of the encoding by all of ``G3``, with prices that lead the letters to their law."""
    chain = encoder.decoder.chain
    symbols = encoder.source.symbols(x)
    law = joint.sum(axis=(0, 1)) / chain.period
    prices = encoder.weight * encoder.letter_cost
    distances = encoder.distances(symbols)
    none = np.zeros(x.shape, dtype=np.int64)
    best, least = joint, np.inf
    for _ in range(e.virtual_rounds):
        costs = distances + prices
        words = cheapest_words(chain.codes[2], whole_costs(costs, chain.n), none)[1]
        seen = np.bincount(words.ravel(), minlength=chain.p) / words.size
        off = float(np.sum(np.abs(seen - law)))
        if off < least:
            best, least = _joint(encoder, x, words), off
        if off < 0.01:
            break
        # If symbols were coded one by one, prices would move the law at a rate of twice the distortion.
        step = float(np.mean(_of_words(distances, words)))
        prices = prices + step * np.log((seen + 1e-3) / (law + 1e-3))
    return best


def _fitted(joint: Array, rows: Array, columns: Array) -> Array:
    """The joint law scaled to both margins, by turns (iterative proportional fitting)."""
    # What never occurred gets a trace of the independent law, so that margins can always be met.
    table = joint + 1e-7 * rows[:, None] * columns
    for _ in range(500):
        table *= (columns / np.where(columns > 0, table.sum(axis=0), 1.0))[None, :]
        table *= (rows / table.sum(axis=1))[:, None]
    return table


def _composed(
    encoder: GroupEncoder, joint: Array, fitted: Array, letters: Array | None
) -> GroupCodec:
    source, chain = encoder.source, encoder.decoder.chain
    means = _means(source, joint)
    squared = np.square(source.points[:, None] - means[:, None, :])
    prices = [float(np.sum(table * squared)) / chain.period for table in (joint, fitted)]
    channel = np.empty((*means.shape, source.points.size))
    for table, values, out in zip(fitted, means, channel, strict=True):
        # Letters of the same value cannot be told apart by the generator: they share a row.
        same = (values[:, None] == values).astype(np.float64)
        rows = same @ table.T
        mass = rows.sum(axis=1, keepdims=True)
        out[...] = np.where(mass > 0, rows / np.where(mass > 0, mass, 1.0), source.law)
    if letters is None:
        letters = source.nearest(_means(source, np.mean(joint, axis=0)))
    return GroupCodec(
        encoder=encoder,
        estimator=GroupEstimator(encoder.decoder, means),
        generator=GroupGenerator(source, means, channel),
        calibration=Calibration(prices[0], prices[1]),
        chain=chain,
        letters=np.asarray(letters, dtype=np.float64),
    )
