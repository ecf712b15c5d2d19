"""Changes of files that know their structure: pieces are lost, doubled, exchanged, nested; sums are repaired.

A format is a :class:`Layout`: how a file is taken into pieces, and how pieces become a file whose lengths
and checksums are right. What is wrong in a changed file is then what was changed, and not its checksum.
"""

import io
import itertools
import json
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

EXTREMES = [0, 1, 127, 128, 255, 65_535, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, -1, -2]
ODD = [
    None,
    True,
    -1,
    0,
    1e308,
    float("nan"),
    float("inf"),
    10**30,
    1 << 63,
    "",
    "x" * 999,
    [],
    {},
    [[[]]],
]
_MOST = 1 << 17
"""Bytes of a changed file: more of the same shows nothing new."""


class Piece(NamedTuple):
    """A piece of a file: what names it, and its content."""

    tag: bytes
    content: bytes


class Layout(NamedTuple):
    """How files of a format are taken apart and put together.

    Attributes:
        split: Pieces of a file that is whole; anything is raised on others.
        join: A file of them, its lengths and checksums right.
        inside: Layout of a piece's content by its tag, where it has one.
    """

    split: Callable[[bytes], list[Piece]]
    join: Callable[[list[Piece]], bytes]
    inside: Callable[[bytes], "Layout | None"] = lambda tag: None


def numbered(data: bytes, rng: random.Random) -> bytes:
    """One of the decimal numbers of a text exchanged, as in headers, tables and JSON."""
    found = list(re.finditer(rb"-?\d+", data[:4096]))
    if not found:
        return flipped(data, rng)
    one = rng.choice(found)
    new = rng.choice(
        [b"0", b"-1", b"1e309", b"nan", b"9" * 20, b"9" * 400, b"4294967296", b"1000000000"]
    )
    return data[: one.start()] + new + data[one.end() :]


def flipped(data: bytes, rng: random.Random) -> bytes:
    """One to four changes of bytes: flips, cuts, repeats, exchanged pieces, extreme numbers."""
    out = bytearray(data[:_MOST])
    for _ in range(rng.randint(1, 4)):
        if not out:
            break
        a, b = sorted((rng.randrange(len(out)), rng.randrange(len(out))))
        kind = rng.randrange(8)
        if kind <= 1:
            out[a] = rng.randrange(256)
        elif kind == 2:
            out[a] ^= 1 << rng.randrange(8)
        elif kind == 3:
            del out[a : len(out) if rng.random() < 0.5 else min(b, a + 64)]
        elif kind == 4:
            out[a:a] = out[a : min(b, a + 64)]
        elif kind == 5:  # a size or a count of any width that a format may have
            width = rng.choice([2, 4, 8])
            value = rng.choice(EXTREMES) % (1 << 8 * width)
            out[a : a + width] = value.to_bytes(width, rng.choice(["little", "big"]))
        elif kind == 6:
            out += rng.choice([b"\0", b"\xff", bytes(out[a : min(b, a + 999)])]) * rng.choice(
                [1, 9, 999]
            )
        else:
            size = rng.randint(1, 8)
            out[a : a + size], out[b : b + size] = out[b : b + size], out[a : a + size]
    return bytes(out[:_MOST])


def json_changed(data: bytes, rng: random.Random) -> bytes:
    """A value somewhere in a JSON text exchanged for one of another kind, left out or nested deeply."""
    tree = json.loads(data)
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in node if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    if isinstance(tree, dict | list):
        walk(tree)
    if not places:
        return flipped(data, rng)
    node, key = rng.choice(places)
    kind = rng.randrange(8)
    if kind == 0:
        del node[key]
    elif kind == 1:
        node[key] = rng.choice(places)[0]  # of another place, also around itself
    elif kind == 2:
        node[key] = "<deep>"
    else:
        node[key] = rng.choice(ODD)
    try:
        text = json.dumps(tree, sort_keys=True)
    except (ValueError, RecursionError):
        return flipped(data, rng)
    return text.replace('"<deep>"', "[" * 50_000 + "]" * 50_000).encode()


def change(data: bytes, layout: Layout | None, rng: random.Random) -> bytes:
    """A changed file: its structure, its bytes, or both."""
    kind = rng.random()
    if layout is not None and kind < 0.75:
        try:
            out = _structure(data, layout, rng)
        except Exception:  # noqa: BLE001 (damaged files fail in any way)
            out = flipped(data, rng)
        return out[:_MOST] if kind < 0.6 else flipped(out, rng)
    return numbered(data, rng) if kind > 0.9 else flipped(data, rng)


def _structure(data: bytes, layout: Layout, rng: random.Random) -> bytes:
    pieces = layout.split(data)
    for _ in range(rng.choice([1, 1, 2, 3])):
        if not pieces:
            break
        a, b = rng.randrange(len(pieces)), rng.randrange(len(pieces))
        one, other, kind = pieces[a], pieces[b], rng.randrange(12)
        if kind == 0:
            del pieces[a]
        elif kind == 1:
            pieces.insert(b, one)
        elif kind == 2:
            pieces[a:a] = [one] * rng.choice([2, 20, 500 if len(one.content) < 1000 else 3])
        elif kind == 3:
            pieces[a], pieces[b] = other, one
        elif kind == 4:
            pieces[a] = Piece(one.tag, other.content)
        elif kind == 5:
            pieces[a] = Piece(other.tag, one.content)
        elif kind == 6:  # a piece inside a piece
            pieces[a] = Piece(one.tag, one.content + layout.join([other]))
        elif kind == 7:
            pieces[a] = Piece(one.tag, b"")
        else:
            pieces[a] = Piece(one.tag, _inside(one, layout.inside(one.tag), rng))
    return layout.join(pieces)


def _inside(piece: Piece, layout: Layout | None, rng: random.Random) -> bytes:
    if layout is JSON:
        return json_changed(piece.content, rng)
    return change(piece.content, layout, rng)


def repaired(data: bytes, layout: Layout) -> bytes:
    """The file with right sums, as far as it can be taken apart."""
    try:
        return layout.join(layout.split(data))
    except Exception:  # noqa: BLE001 (damaged files fail in any way)
        return data


def _chunks(
    data: bytes, at: int, head: struct.Struct, after: int, *, even: bool = False
) -> list[Piece]:
    out = []
    while at + head.size + after <= len(data):
        fields = head.unpack_from(data, at)
        size, tag = fields if isinstance(fields[0], int) else fields[::-1]
        at += head.size
        out.append(Piece(tag, data[at : at + size]))
        at += size + after + (size & 1 if even else 0)
    return out


def _png_split(data: bytes) -> list[Piece]:
    return _chunks(data, 8, struct.Struct(">I4s"), 4)


def _png_join(pieces: list[Piece]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(c)) + t + c + struct.pack(">I", zlib.crc32(t + c)) for t, c in pieces
    )


def _vdc_split(data: bytes) -> list[Piece]:
    return [Piece(b"", data[:10]), *_chunks(data, 10, struct.Struct("<I4s"), 4)]


def _vdc_join(pieces: list[Piece]) -> bytes:
    return b"".join(
        struct.pack("<I", len(c)) + t + c + struct.pack("<I", zlib.crc32(t + c)) if t else c
        for t, c in pieces
    )


def _riff_split(data: bytes) -> list[Piece]:
    return _chunks(data, 12, struct.Struct("<4sI"), 0, even=True)


def _riff_join(pieces: list[Piece]) -> bytes:
    body = b"WEBP" + b"".join(
        t + struct.pack("<I", len(c)) + c + b"\0" * (len(c) & 1) for t, c in pieces
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _jpeg_split(data: bytes) -> list[Piece]:
    """Segments by marker; entropy-coded data without one."""
    out, at = [], 2
    while at + 4 <= len(data):
        marker, size = data[at : at + 2], int.from_bytes(data[at + 2 : at + 4], "big")
        out.append(Piece(marker, data[at + 4 : at + 2 + size]))
        at += 2 + size
        if marker == b"\xff\xda":
            end = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]").search(data, at)
            stop = end.start() if end else len(data)
            out.append(Piece(b"", data[at:stop]))
            at = stop
        if data[at : at + 2] == b"\xff\xd9":
            break
    return out


def _jpeg_join(pieces: list[Piece]) -> bytes:
    body = b"".join(
        t + struct.pack(">H", min(len(c) + 2, 65_535)) + c if t else c for t, c in pieces
    )
    return b"\xff\xd8" + body + b"\xff\xd9"


_BOXES = {b"meta": 4, b"iprp": 0, b"ipco": 0, b"iinf": 6, b"moov": 0, b"trak": 0, b"grpl": 0}
"""Boxes that hold boxes, with the bytes before the first."""


def _iso(before: int) -> Layout:
    """ISO base media boxes, ISO/IEC 14496-12, section 4.2, behind some bytes."""

    def split(data: bytes) -> list[Piece]:
        out, at = [Piece(b"", data[:before])], before
        while at + 8 <= len(data):
            size, tag = struct.unpack_from(">I4s", data, at)
            size = size if size >= 8 else len(data) - at
            out.append(Piece(tag, data[at + 8 : at + size]))
            at += size
        return out

    def join(pieces: list[Piece]) -> bytes:
        return b"".join(struct.pack(">I", len(c) + 8) + t + c if t else c for t, c in pieces)

    return Layout(split, join, lambda tag: _iso(_BOXES[tag]) if tag in _BOXES else None)


def _npy_split(data: bytes) -> list[Piece]:
    (size,) = struct.unpack_from("<H", data, 8)
    return [Piece(b"h", data[10 : 10 + size].strip()), Piece(b"d", data[10 + size :])]


def _npy_join(pieces: list[Piece]) -> bytes:
    parts = dict.fromkeys((b"h", b"d"), b"") | dict(pieces)
    head = parts[b"h"] + b" " * (-(len(parts[b"h"]) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(head) % 65_536) + head + parts[b"d"]


def _zip_split(data: bytes) -> list[Piece]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [Piece(i.filename.encode(), archive.read(i)) for i in archive.infolist()]


def _zip_join(pieces: list[Piece]) -> bytes:
    buffer, names = io.BytesIO(), set()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for tag, content in pieces[:600]:
            name = tag.decode(errors="replace")
            name = name if name not in names else f"a{len(names)}.npy"
            names.add(name)
            archive.writestr(
                zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED
            )  # without the time of day
    return buffer.getvalue()


def kept_join(pieces: list[Piece]) -> bytes:
    """A codec's file whose digest fits whatever it holds."""
    from veridical.arrays import _read
    from veridical.kept import _identity

    parts: dict[str, Any] = {}
    for tag, content in pieces:
        parts[tag.decode(errors="replace").removesuffix(".npy")] = content
    try:
        arrays = [
            _read(io.BytesIO(parts[f"a{k}"]), len(parts[f"a{k}"]), 1 << 28, "a")
            for k in range(len(parts) - 2)
        ]
        tree = _npy_split(parts["codec"])[1].content.decode()
        digest = _identity(tree, arrays)
    except Exception:  # noqa: BLE001 (what is no codec has no digest)
        return _zip_join(pieces)
    head = b"{'descr': '|u1', 'fortran_order': False, 'shape': (32,), }"
    whole = _npy_join([Piece(b"h", head), Piece(b"d", digest)])
    return _zip_join([Piece(t, whole if t == b"sha256.npy" else c) for t, c in pieces])


def _tree_split(data: bytes) -> list[Piece]:
    return [Piece(b"json", _npy_split(data)[1].content)]


def _tree_join(pieces: list[Piece]) -> bytes:
    text = b"".join(c for _, c in pieces)
    head = b"{'descr': '|u1', 'fortran_order': False, 'shape': (%d,), }" % len(text)
    return _npy_join([Piece(b"h", head), Piece(b"d", text)])


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("no number")


def _as_varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _proto_split(data: bytes) -> list[Piece]:
    """Fields of a protocol buffer; fixed and varint fields keep their bytes as content."""
    out, at = [], 0
    while at < len(data):
        start = at
        key, at = _varint(data, at)
        tag = data[start:at]
        kind = key & 7
        if kind == 2:
            size, at = _varint(data, at)
            end = at + size
        elif kind == 0:
            end = _varint(data, at)[1]
        elif kind in (1, 5):
            end = at + (8 if kind == 1 else 4)
        else:
            raise ValueError("no protocol buffer")
        if end > len(data) or not key >> 3:
            raise ValueError("no protocol buffer")
        out.append(Piece(tag, data[at:end]))
        at = end
    return out


def _proto_join(pieces: list[Piece]) -> bytes:
    return b"".join(t + (_as_varint(len(c)) if t[0] & 7 == 2 else b"") + c for t, c in pieces)


def _message_split(data: bytes) -> list[Piece]:
    cuts = [0, 8, 10, 12, 28, 36, 44, len(data) - 4]
    return [Piece(bytes([k]), data[a:b]) for k, (a, b) in enumerate(itertools.pairwise(cuts))]


def _message_join(pieces: list[Piece]) -> bytes:
    body = b"".join(c for _, c in pieces)
    return body + struct.pack("<I", zlib.crc32(body))


def _lines_split(data: bytes) -> list[Piece]:
    return [Piece(b"line", line) for line in data.split(b"\n")]


def _lines_join(pieces: list[Piece]) -> bytes:
    return b"\n".join(c for _, c in pieces)


JSON = Layout(
    lambda data: [Piece(b"json", data)],
    lambda pieces: b"".join(c for _, c in pieces),
    lambda tag: JSON,
)
NPY = Layout(_npy_split, _npy_join)
NPZ = Layout(_zip_split, _zip_join, lambda tag: NPY)
KEPT = Layout(
    _zip_split,
    kept_join,
    lambda tag: Layout(_tree_split, _tree_join, lambda _: JSON) if tag == b"codec.npy" else NPY,
)
PROTO = Layout(_proto_split, _proto_join, lambda tag: PROTO if tag[0] & 7 == 2 else None)
LINES = Layout(_lines_split, _lines_join)
JSON_LINES = Layout(_lines_split, _lines_join, lambda tag: JSON)
MESSAGE = Layout(_message_split, _message_join)
ENTROPY = Layout(
    lambda data: [Piece(b"n", data[4:8]), Piece(b"w", data[8:])],
    lambda pieces: (
        struct.pack("<I", zlib.crc32(b"".join(c for _, c in pieces)))
        + b"".join(c for _, c in pieces)
    ),
)
LAYOUTS = {
    "PNG": Layout(_png_split, _png_join),
    "WEBP": Layout(_riff_split, _riff_join),
    "JPEG": Layout(_jpeg_split, _jpeg_join),
    "MPO": Layout(_jpeg_split, _jpeg_join),
    "AVIF": _iso(0),
    "JXL": _iso(0),
    "JPEG2000": _iso(0),
    "VDC": Layout(_vdc_split, _vdc_join),
}
