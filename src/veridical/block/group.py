"""Nested group codes as a codec ([T] IV-D): operational encoding by one coset, realism by all of them.

* **Encoder.** The seed picks the coset of ``G2`` in ``G3``; Viterbi finds its word of least
  ``sum d(x_t, c_t) + w_t cost(c_t)``; the index is the coset of ``G1`` that the word lies in.
* **Words.** The decoder takes the word of least ``sum cost(c_t)`` in that coset of ``G1``. Where that is
  not the word that was meant, the encoder raises the weights ``w_t`` and searches again.
* **Estimator.** ``x_mmse_t = E[X_t | c_t]``, symbol by symbol.
* **Generator.** ``x_real_t`` drawn from ``p(x_t | c_t)`` of the *virtual* encoding by all of ``G3``.

The places of a period are not alike (some take free symbols, others check them), so that both have a
table for each place of the period.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from veridical.arrays import Array, Whole
from veridical.bitstream import FrequencyTables, decode_symbols, encode_symbols, seed_key
from veridical.block.group_encoder import GroupEncoder, GroupWords
from veridical.codec import PartsCodec, resolve_realism
from veridical.errors import InvalidSetting
from veridical.interpolate import Calibration
from veridical.kept import Kept
from veridical.quantize.group import NestedChain
from veridical.sources.alphabet import Alphabet


@dataclass(frozen=True)
class GroupEstimator:
    """``x_mmse_t = E[X_t | c_t]``.

    Attributes:
        decoder: from index and seed to words.
        values: for each place of the period, shape ``(N, p)``.
    """

    decoder: GroupWords
    values: Array = field(repr=False)

    def estimate(self, index: ArrayLike, seed: int) -> Array:
        """Estimates, shape ``(blocks, n)``.

        Raises:
            InvalidSetting: an index of another shape, or a symbol outside the alphabet.
        """
        words = self.decoder.words(index, seed)
        return self.values[np.arange(words.shape[1]) % len(self.values), words]


@dataclass(frozen=True)
class GroupGenerator:
    """``x_real_t`` from the backward channel of the virtual encoding, given ``x_mmse_t``.

    Attributes:
        source: alphabet.
        values: what ``x_mmse_t`` can be, for each place of the period, shape ``(N, p)``.
        channel: ``p(x | x_mmse)``, shape ``(N, p, m)``; equal values have equal rows.
    """

    source: Alphabet
    values: Array = field(repr=False)
    channel: Array = field(repr=False)

    def generate(self, x_mmse: Array, rng: np.random.Generator, context: object = None) -> Array:
        """Points of the alphabet, of the shape of ``x_mmse``, independent given it.

        Raises:
            InvalidSetting: a number that is no estimate of this code.
        """
        del context
        period, p = self.values.shape
        draw = rng.random(x_mmse.shape)
        out = np.zeros(x_mmse.shape, dtype=np.int64)
        found = np.zeros(x_mmse.shape, dtype=bool)
        law = np.cumsum(self.channel, axis=2)
        for r in range(period):
            part = np.s_[:, r::period]
            for u in range(p):
                here = (x_mmse[part] == self.values[r, u]) & ~found[part]
                found[part] |= here
                out[part][here] = np.searchsorted(law[r, u], draw[part][here], side="right")
        if not np.all(found):
            raise InvalidSetting(
                "these are not estimates of this code; decode with realism 0 first"
            )
        return self.source.points[np.minimum(out, self.source.points.size - 1)]


@dataclass(frozen=True)
class GroupCodec(Kept, PartsCodec[Array, Whole, np.random.Generator]):
    """A codec of blocks of ``n`` symbols.

    Attributes:
        encoder, estimator, generator: with what they know of the chain.
        calibration: ``mmse`` and ``transport_cost`` per symbol.
        chain: rates, lengths and taps.
        letters: values of the letters for hard decisions, shape ``(p,)``.
    """

    encoder: GroupEncoder
    estimator: GroupEstimator
    generator: GroupGenerator
    calibration: Calibration
    chain: NestedChain
    letters: Array = field(repr=False)

    def words(self, index: ArrayLike, *, seed: int = 0) -> Whole:
        """Words of ``G3`` that the decoder reads, shape ``(blocks, n)``."""
        return self.estimator.decoder.words(index, seed)

    def decode_letters(
        self,
        index: ArrayLike,
        rng: np.random.Generator,
        *,
        realism: float | None = None,
        seed: int = 0,
    ) -> Array:
        """Points of the alphabet only: with probability ``a`` that of ``x_real``, else the letter.

        Time-sharing symbol by symbol: the Hamming distortion is ``(1 - a) D_0 + a D_1``, and the total
        variation of a symbol at most ``1 - a`` times that of the letters.
        """
        a = resolve_realism(self.calibration, realism, None)
        z = np.asarray(index)
        hard = self.letters[self.words(z, seed=seed)]
        if a == 0.0:
            return hard
        real = self.decode(z, rng, realism=1.0, seed=seed)
        return np.where(rng.random(hard.shape) < a, real, hard)

    def to_bytes(self, index: ArrayLike, *, seed: int = 0) -> bytes:
        """Indices at ``log2 p`` bits a symbol, with a checksum; 12 bytes more at most.

        Raises:
            InvalidSetting: a symbol outside the alphabet, or another shape.
        """
        z = np.asarray(index)
        self.chain.message_words(z[:1])
        return encode_symbols(
            z.ravel(), np.zeros(z.size, dtype=np.int64), self._even(), self._key(seed)
        )

    def from_bytes(self, data: bytes, blocks: int, *, seed: int = 0) -> Whole:
        """The indices of so many blocks.

        Raises:
            DamagedFile: the message is truncated, altered, holds another number of blocks, or has another seed.
        """
        k = self.chain.index_symbols
        contexts = np.zeros(blocks * k, dtype=np.int64)
        return decode_symbols(data, contexts, self._even(), self._key(seed)).reshape(blocks, k)

    def _key(self, seed: int) -> bytes:
        return seed_key(seed, common=self.chain.common_bits > 0)

    def _even(self) -> FrequencyTables:
        return FrequencyTables.from_law(np.ones(self.chain.p))
