"""From a word to a sample of the source: backward channels of the virtual encoding.

With ``c`` the word of a block, ``s2`` the variance and ``v_n`` the share that ``n(R+Rc)`` bits convey
(:func:`veridical.block.cosine.conveyed_share`), the cost is the same for the first two,

    C/n = s2 (1 + u_n - 2 sqrt(u_n v_n)),

and the law of ``X-`` differs:

* :class:`SphereChannel`: ``X- = r (t c + sqrt(1-t^2) w)``, length ``r`` as long as the source's,
  ``t`` the best cosine among ``2^(n(R+Rc))`` words, ``w`` uniform and orthogonal to ``c``: the law of
  ``X`` given its nearest word, over all codebooks. Averaged over codebooks ``X-`` is *exactly*
  normal, and its length is so in every one codebook. Given the codebook its direction is not quite
  uniform: :mod:`veridical.block.mismatch` measures by how much. At ``Rc = inf`` (``t = 1``) it is
  exact.
* :class:`SymbolChannel`: ``X-_i = sqrt(n v_n s2) c_i + sqrt((1 - v_n) s2) N_i``, symbol by symbol, the
  scheme of [T] to the letter. The length of ``X-`` varies less than the source's, too.
* :class:`CellChannel`: another block of the source with the same index, found by drawing; at
  ``Rc = 0`` this is the virtual encoding backwards. *Exactly* normal in every codebook; ``C = d``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from veridical.arrays import Array, Whole
from veridical.block.codebook import SphereCodebook
from veridical.block.cosine import BestCosine, conveyed_share
from veridical.errors import InvalidSetting, NotConverged

_MOST_CELL_BITS = 14
_ROUNDS = 400
_DRAWS = 1 << 14


@dataclass(frozen=True)
class _Channel:
    """A channel from the words of a codebook.

    Attributes:
        codebook: whose words are refined, or whose cells are meant.
        variance: ``s2`` of the source.
    """

    codebook: SphereCodebook
    variance: float


@dataclass(frozen=True)
class SphereChannel(_Channel):
    """Length from the source, angle from the law of the best cosine."""

    def generate(self, x_mmse: Array, rng: np.random.Generator, context: Whole) -> Array:
        """Samples, shape ``(blocks, n)``; where the estimate is 0, of the source itself."""
        del context
        n = self.codebook.dimension
        normal = rng.standard_normal(x_mmse.shape)
        if self.codebook.index_bits == 0:
            return normal * np.sqrt(self.variance)
        c = _unit(x_mmse)
        cosine, sine = BestCosine(n, self.codebook.total_bits).draw(len(c), rng)
        normal -= np.sum(normal * c, axis=1, keepdims=True) * c
        direction = cosine[:, None] * c + sine[:, None] * _unit(normal)
        return np.sqrt(self.variance * rng.chisquare(n, len(c)))[:, None] * direction

    def log_ratio(self, x: Array, words: Array) -> Array:
        """``log`` of the density of ``X-`` at ``x`` given each word, over that of the source.

        Args:
            x: shape ``(m, n)``.
            words: unit vectors, shape ``(k, n)``.

        Returns:
            Shape ``(m, k)``.
        """
        law = BestCosine(self.codebook.dimension, self.codebook.total_bits)
        scores = _unit(x) @ words.T
        return law.log_kernel(scores.ravel()).reshape(scores.shape)


@dataclass(frozen=True)
class SymbolChannel(_Channel):
    """A Gaussian channel, symbol by symbol."""

    def generate(self, x_mmse: Array, rng: np.random.Generator, context: Whole) -> Array:
        """Samples, shape ``(blocks, n)``; where the estimate is 0, of the source itself."""
        del context
        normal = rng.standard_normal(x_mmse.shape) * np.sqrt(self.variance)
        if self.codebook.index_bits == 0:
            return normal
        v = self._share()
        length = np.sqrt(self.codebook.dimension * v * self.variance)
        return length * _unit(x_mmse) + np.sqrt(1.0 - v) * normal

    def log_ratio(self, x: Array, words: Array) -> Array:
        """As :meth:`SphereChannel.log_ratio`."""
        n, v = self.codebook.dimension, self._share()
        y = x / np.sqrt(self.variance)
        squared = np.sum(y * y, axis=1)[:, None]
        away = squared + n * v - 2.0 * np.sqrt(n * v) * (y @ words.T)
        return 0.5 * (squared - away / (1.0 - v) - n * np.log1p(-v))

    def _share(self) -> float:
        return conveyed_share(self.codebook.dimension, self.codebook.total_bits)


@dataclass(frozen=True)
class CellChannel(_Channel):
    """Fresh blocks until one falls into the cell; without common randomness and up to 14 bits."""

    def __post_init__(self) -> None:
        if self.codebook.seed_bits != 0:
            raise InvalidSetting(
                "CellChannel draws from the cells of the whole codebook; with common randomness "
                "use SphereChannel"
            )
        if self.codebook.index_bits > _MOST_CELL_BITS:
            raise InvalidSetting(
                f"CellChannel searches cells of nR up to {_MOST_CELL_BITS} bits, not "
                f"{self.codebook.index_bits}; use SphereChannel"
            )

    def generate(self, x_mmse: Array, rng: np.random.Generator, context: Whole) -> Array:
        """Samples, shape ``(blocks, n)``.

        Raises:
            NotConverged: a cell is so rare that no fresh block fell into it.
        """
        out = np.empty_like(x_mmse)
        order = np.argsort(context, kind="stable")
        cells, firsts, need = np.unique(context[order], return_index=True, return_counts=True)
        done = np.zeros_like(need)
        for _ in range(_ROUNDS * max(1, len(x_mmse) // _DRAWS)):
            fresh = rng.standard_normal((_DRAWS, self.codebook.dimension)) * np.sqrt(self.variance)
            hit = self.codebook.encode(fresh, 0)
            where = np.minimum(np.searchsorted(cells, hit), len(cells) - 1)
            self._serve(
                out, order, fresh, np.where(cells[where] == hit, where, -1), firsts, done, need
            )
            if np.all(done == need):
                return out
        raise NotConverged(
            f"{int(np.sum(need - done))} of {len(out)} blocks found no fresh block in their cell; "
            "use SphereChannel or fewer bits"
        )

    @staticmethod
    def _serve(
        out: Array,
        order: Whole,
        fresh: Array,
        where: Whole,
        firsts: Whole,
        done: Whole,
        need: Whole,
    ) -> None:
        """Give each fresh block to the next block that waits for its cell."""
        rank = np.argsort(where, kind="stable")
        rank = rank[where[rank] >= 0]
        cell = where[rank]
        start = np.unique(cell, return_index=True)[1]
        turn = np.arange(len(cell)) - np.repeat(start, np.diff(np.append(start, len(cell))))
        wanted = turn < (need - done)[cell]
        cell, turn, rank = cell[wanted], turn[wanted], rank[wanted]
        out[order[firsts[cell] + done[cell] + turn]] = fresh[rank]
        np.add.at(done, cell, 1)


def _unit(x: Array) -> Array:
    return x / np.sqrt(np.einsum("ij,ij->i", x, x))[:, None]
