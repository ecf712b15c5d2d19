"""Positive whole numbers of no given size as bytes, by the Zipf law ``p(k) ~ k^(-a)``.

A number is its class and the rest. Numbers below 32 are classes of their own; beyond, a class is the
number's length in bits and the four bits after its first one, and the rest are the lower bits, stored as
they are: within a class the law is so flat that this costs less than 0.001 bits. Classes are
range-coded with one frequency table. The table is computed from the exponent by decimal arithmetic of
fixed precision, so that it is the same on every machine.

A message is little-endian: CRC-32 of everything after it (4 bytes), exponent in units of 2^-16 (4),
length of the class message in bytes (4), the class message of :func:`encode_symbols`, and the rests, most
significant bits first, filled up with zero bits to a whole byte.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veridical.arrays import Whole
from veridical.bitstream.entropy import FrequencyTables, decode_symbols, encode_symbols
from veridical.errors import DamagedFile, InvalidSetting

MOST_NUMBER = 1 << 40
"""The largest number that can be coded."""

_HEAD = struct.Struct("<III")
_UNIT = 1 << 16
_MANTISSA = 4
_SINGLES = 2 << _MANTISSA
_LENGTHS = MOST_NUMBER.bit_length() - _SINGLES.bit_length() + 1
_CLASSES = _SINGLES - 1 + (_LENGTHS << _MANTISSA)
# Weights are whole and their sum stays below 2^53, so that floating-point sums of them are exact.
_WEIGHT = 1 << 44


@dataclass(frozen=True)
class ZipfCode:
    """Code of whole numbers ``1 .. 2^40`` with ``p(k)`` proportional to ``k^(-exponent)``.

    Attributes:
        exponent: ``a``, 1 to 16; rounded to a multiple of 2^-16.
    """

    exponent: float

    def __post_init__(self) -> None:
        if not 1 <= self.exponent <= 16:
            raise InvalidSetting(f"the exponent runs from 1 to 16, got {self.exponent!r}")
        object.__setattr__(self, "exponent", round(self.exponent * _UNIT) / _UNIT)

    @property
    def tables(self) -> FrequencyTables:
        """Frequencies of the classes."""
        return _tables(round(self.exponent * _UNIT))

    def bits(self, numbers: ArrayLike) -> NDArray[np.float64]:
        """Ideal code length of each number, shape ``(n,)``; a message is at most 25 bytes longer in all.

        Raises:
            InvalidSetting: not whole numbers ``1 .. 2^40``.
        """
        classes, _, lengths = _split(_checked(numbers))
        return lengths - np.log2(self.tables.frequencies[0, classes] / 2.0**20)

    def encode(self, numbers: ArrayLike) -> bytes:
        """Numbers, shape ``(n,)``, as a message.

        Raises:
            InvalidSetting: not whole numbers ``1 .. 2^40``.
        """
        classes, rests, lengths = _split(_checked(numbers))
        coded = encode_symbols(classes, np.zeros_like(classes), self.tables)
        units = round(self.exponent * _UNIT)
        body = struct.pack("<II", units, len(coded)) + coded + _packed(rests, lengths)
        return struct.pack("<I", zlib.crc32(body)) + body

    def decode(self, data: bytes, count: int) -> Whole:
        """The ``count`` numbers of a message, shape ``(count,)``.

        Raises:
            DamagedFile: the message is truncated, altered, of another exponent, or holds another
                number of numbers.
        """
        if len(data) < _HEAD.size:
            raise DamagedFile(
                f"a message has 12 bytes or more, this one {len(data)}; was it cut off?"
            )
        check, units, length = _HEAD.unpack_from(data)
        if zlib.crc32(data[4:]) != check:
            raise DamagedFile("the checksum of the message does not match; fetch it again")
        if units != round(self.exponent * _UNIT):
            raise DamagedFile(
                f"the message was written with exponent {units / _UNIT} and is read with "
                f"{self.exponent}; use the codec that wrote it"
            )
        coded = data[_HEAD.size : _HEAD.size + length]
        classes = decode_symbols(coded, np.zeros(count, dtype=np.int64), self.tables)
        leading, lengths = _joined(classes)
        rests = _unpacked(data[_HEAD.size + length :], lengths)
        numbers = leading + rests
        if np.any(numbers > MOST_NUMBER):
            raise DamagedFile(
                "the message holds a number beyond 2^40; it was not written by this code"
            )
        return numbers


def _checked(numbers: ArrayLike) -> Whole:
    array = np.asarray(numbers)
    if array.ndim != 1 or not (np.issubdtype(array.dtype, np.integer) or array.size == 0):
        raise InvalidSetting(
            f"whole numbers of shape (n,) are coded, not {array.dtype} {array.shape}"
        )
    if array.size and not (int(array.min()) >= 1 and int(array.max()) <= MOST_NUMBER):
        raise InvalidSetting("numbers run from 1 to 2^40; one is outside")
    return array.astype(np.int64)


def _split(numbers: Whole) -> tuple[Whole, Whole, Whole]:
    """Class, rest and number of bits of the rest."""
    # The exponent of a float of less than 53 bits is the length of the number, exactly.
    length = np.frexp(numbers.astype(np.float64))[1].astype(np.int64)
    rest_bits = np.maximum(length - 1 - _MANTISSA, 0)
    top = numbers >> rest_bits
    classes = np.where(
        numbers < _SINGLES, numbers - 1, top + _SINGLES - 1 + ((rest_bits - 2) << _MANTISSA)
    )
    return classes, numbers & ((np.int64(1) << rest_bits) - 1), rest_bits


def _joined(classes: Whole) -> tuple[Whole, Whole]:
    """Smallest number of a class, and the number of bits of the rest."""
    beyond = np.maximum(classes - (_SINGLES - 1), 0)
    single = classes < _SINGLES - 1
    rest_bits = np.where(single, 0, (beyond >> _MANTISSA) + 1)
    top = (beyond & ((1 << _MANTISSA) - 1)) + (1 << _MANTISSA)
    return np.where(single, classes + 1, top << rest_bits), rest_bits


def _fields(lengths: Whole) -> tuple[Whole, Whole]:
    """For each bit of the rests: the number that it belongs to, and its place counted from below."""
    owner = np.repeat(np.arange(lengths.size), lengths)
    ends = np.cumsum(lengths)
    return owner, ends[owner] - 1 - np.arange(owner.size)


def _packed(rests: Whole, lengths: Whole) -> bytes:
    owner, place = _fields(lengths)
    return np.packbits((rests[owner] >> place & 1).astype(np.uint8)).tobytes()


def _unpacked(data: bytes, lengths: Whole) -> Whole:
    owner, place = _fields(lengths)
    if len(data) != (owner.size + 7) // 8:
        raise DamagedFile(
            f"the lower bits take {(owner.size + 7) // 8} bytes and {len(data)} are there; fetch the "
            "message again"
        )
    bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8), count=owner.size).astype(np.int64)
    rests = np.zeros(lengths.size, dtype=np.int64)
    np.add.at(rests, owner, bits << place)
    return rests


@lru_cache(maxsize=64)
def _tables(units: int) -> FrequencyTables:
    """Class frequencies: the mass of each class by its middle, in decimal arithmetic of 30 digits."""
    context = Context(prec=30)
    exponent = context.divide(Decimal(-units), Decimal(_UNIT))
    first, rest_bits = _joined(np.arange(_CLASSES))
    weights = np.empty(_CLASSES)
    for c, (low, bits) in enumerate(zip(first.tolist(), rest_bits.tolist(), strict=True)):
        middle = context.divide(Decimal(2 * low + (1 << bits) - 1), Decimal(2))
        mass = context.multiply(context.power(middle, exponent), Decimal((1 << bits) * _WEIGHT))
        weights[c] = int(mass)
    return FrequencyTables.from_law(weights)
