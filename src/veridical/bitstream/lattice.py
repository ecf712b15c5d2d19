"""Lattice indices as bytes: coordinate after coordinate, by tables from the law of the points.

Which table serves which coordinate is said in :mod:`veridical.bitstream.lattice_tables`. A symbol outside the
tables is sent as an escape followed by 8 plain bytes, so that every index has a code.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from veridical.arrays import Array, Whole
from veridical.bitstream.entropy import FrequencyTables, seed_key
from veridical.bitstream.lattice_tables import ONE, CoordinateTables
from veridical.bitstream.steps import StepDecoder, encode_steps
from veridical.errors import DamagedFile, InvalidSetting
from veridical.quantize.lattice.nested import NestedChain, coordinates


@dataclass(frozen=True)
class LatticeCoder:
    """Entropy coder of the indices of a chain.

    Attributes:
        chain: of the encoder, without shaping.
        tables: of its coordinates.
    """

    chain: NestedChain
    tables: CoordinateTables = field(repr=False)

    @classmethod
    def from_law(cls, chain: NestedChain, deviation: float, cell: Array) -> LatticeCoder:
        """A coder for a normal source; see :meth:`CoordinateTables.from_law`."""
        return cls(chain, CoordinateTables.from_law(chain.middle, deviation, cell))

    def to_bytes(self, index: Whole, seed: int) -> bytes:
        """A message with checksum.

        Raises:
            InvalidSetting: an index that is no point of the lattice.
        """
        escapes: list[Whole] = []
        # The escapes fill while the steps are made, hence the list first.
        steps = list(self._steps(index, seed, escapes))
        extra = np.concatenate([np.zeros(0, dtype=np.int64), *escapes]).astype("<i8").tobytes()
        return encode_steps(steps, self.tables.tables, extra, _key(self.chain, seed))

    def ideal_bits(self, index: Whole, seed: int) -> float:
        """Code length under the tables; the message is at most 20 bytes longer."""
        escapes: list[Whole] = []
        bits = sum(self.tables.tables.bits(s, c) for s, c in self._steps(index, seed, escapes))
        return bits + 64.0 * sum(e.size for e in escapes)

    def from_bytes(self, data: bytes, count: int, seed: int) -> Whole:
        """The ``count`` indices of a message, shape ``(count, d)``.

        Raises:
            DamagedFile: truncated, altered, or of another number of blocks.
        """
        decoder = StepDecoder(data, self.tables.tables, _key(self.chain, seed))
        _check_count(decoder.count, count, self.chain.dimension)
        walk = _Walk(self, count, seed)
        extra, taken = np.frombuffer(decoder.extra, dtype="<i8").astype(np.int64), 0
        u = np.empty((count, walk.d), dtype=np.int64)
        reach = self.tables.reach
        for i in range(walk.d):
            s = decoder.step(walk.contexts(i)) - reach
            far = np.flatnonzero(s > reach)
            if taken + far.size > extra.size:
                raise DamagedFile("the message lacks escaped values; fetch it again")
            s[far] = extra[taken : taken + far.size]
            taken += far.size
            u[:, i] = walk.coordinate(i, s)
            walk.advance(i, u[:, i], s)
        return u

    def _steps(
        self, index: Whole, seed: int, escapes: list[Whole]
    ) -> Iterator[tuple[Whole, Whole]]:
        """Symbols and contexts of each coordinate."""
        _check_points(self.chain, index)
        walk, reach = _Walk(self, len(index), seed), self.tables.reach
        for i in range(walk.d):
            context = walk.contexts(i)
            s = walk.symbol(i, index[:, i])
            walk.advance(i, index[:, i], s)
            far = np.flatnonzero(np.abs(s) > reach)
            if far.size:
                escapes.append(s[far])
                s[far] = reach + 1
            yield s + reach, context


class _Walk:
    """Residues and parities along the coordinates, the same at encoder and decoder."""

    def __init__(self, coder: LatticeCoder, count: int, seed: int) -> None:
        family, self.tables = coder.chain.middle.family, coder.tables
        self.d, self.basis = family.dimension, np.array(family.basis)
        grid = np.rint(coder.chain.offsets(seed, count) * self.tables.fineness).astype(np.int64)
        self.carry, self.part = np.divmod(grid, self.tables.fineness)
        # Residues are wanted modulo powers of two only, and int64 wraps around at one.
        self.residue = np.zeros((count, self.d), dtype=np.int64)
        self.shifted = np.zeros((count, self.d), dtype=np.int64)

    def contexts(self, i: int) -> Whole:
        """Rows of the tables for coordinate ``i``; to be asked for once each, in order."""
        if i == self.tables.tail:
            self._enter_tail()
        part = self.part[:, i]
        if i < self.tables.tail:
            h = self._step(i)
            self.shifted[:, i] = (self.residue[:, i] + self.carry[:, i]) % h
            return self.tables.plain_row(i, h, self.shifted[:, i], part)
        signed = np.where(self.parity % 2, -1, 1) * self.ahead[:, i - self.tables.tail]
        return self.tables.tail_row(i, self.shifted[:, i], part, signed)

    def symbol(self, i: int, u: Whole) -> Whole:
        return (u + self.carry[:, i] - self.shifted[:, i]) // self._step(i)

    def coordinate(self, i: int, s: Whole) -> Whole:
        return s * self._step(i) + self.shifted[:, i] - self.carry[:, i]

    def advance(self, i: int, u: Whole, s: Whole) -> None:
        """Note what coordinate ``i`` was."""
        if i >= self.tables.tail:
            self.parity += s
            return
        self._move(self.residue, i, u)

    def _move(self, residue: Whole, i: int, u: Whole) -> None:
        z = (u - residue[:, i]) // self.basis[i, i]
        residue[:, i + 1 :] += z[:, None] * self.basis[i, i + 1 :]

    def _step(self, i: int) -> int:
        return self.tables.modulus if i >= self.tables.tail else int(self.basis[i, i])

    def _enter_tail(self) -> None:
        """Residues modulo ``c`` of the tail, the parity that it needs, and the products ``D``."""
        c, tail, last = self.tables.modulus, self.tables.tail, self.d - 1
        for i in range(tail, self.d):
            self.shifted[:, i] = (self.residue[:, i] + self.carry[:, i]) % c
            if i < last:
                # As if the symbol were 0: what it is changes the parity of the last one only.
                self._move(self.residue, i, self.shifted[:, i] - self.carry[:, i])
        forced = self.residue[:, last] + self.carry[:, last] - self.shifted[:, last]
        self.parity = forced // c % 2
        group = np.array(self.tables.axes)[tail:]
        bias = self.tables.bias[group, self.shifted[:, tail:], self.part[:, tail:]]
        self.ahead = np.full((len(bias), self.d - tail), ONE, dtype=np.int64)
        for i in range(self.d - tail - 2, -1, -1):
            # Truncation towards 0, the same for either sign.
            product = self.ahead[:, i + 1] * bias[:, i + 1]
            self.ahead[:, i] = np.sign(product) * (np.abs(product) // ONE)


@dataclass(frozen=True)
class FixedLengthCoder:
    """Indices modulo a shaping lattice: ``n log2 q`` bits a block, whatever the block.

    Attributes:
        chain: of the encoder, with shaping.
    """

    chain: NestedChain

    @property
    def tables(self) -> FrequencyTables:
        """One even table."""
        return FrequencyTables.from_law(np.ones((1, self.chain.shaping)))

    def ideal_bits(self, index: Whole, seed: int) -> float:
        """``n log2 q`` a block."""
        del seed
        return index.size * math.log2(self.chain.shaping)

    def to_bytes(self, index: Whole, seed: int) -> bytes:
        """A message with checksum.

        Raises:
            InvalidSetting: an index that is no point of the lattice.
        """
        _check_points(self.chain, index)
        z = (coordinates(self.chain.middle, index) % self.chain.shaping).ravel()
        return encode_steps([(z, np.zeros_like(z))], self.tables, key=_key(self.chain, seed))

    def from_bytes(self, data: bytes, count: int, seed: int) -> Whole:
        """The ``count`` indices of a message, shape ``(count, d)``.

        Raises:
            DamagedFile: truncated, altered, or of another number of blocks.
        """
        d = self.chain.dimension
        decoder = StepDecoder(data, self.tables, _key(self.chain, seed))
        _check_count(decoder.count, count, d)
        z = decoder.step(np.zeros(count * d, dtype=np.int64)).reshape(count, d)
        u = z @ np.array(self.chain.middle.family.basis)
        return self.chain.reduced(u, self.chain.offsets(seed, count))


def _key(chain: NestedChain, seed: int) -> bytes:
    return seed_key(seed, common=chain.cosets is None or chain.cosets.k > 0)


def _check_points(chain: NestedChain, index: Whole) -> None:
    if not np.all(chain.middle.contains(index)):
        raise InvalidSetting("an index is no point of the lattice; was it coded by another design?")


def _check_count(found: int, count: int, d: int) -> None:
    if found != count * d:
        raise DamagedFile(
            f"the message holds {found} coordinates and {count} blocks of {d} were asked for; decode it "
            "with the number of blocks it was made from"
        )
