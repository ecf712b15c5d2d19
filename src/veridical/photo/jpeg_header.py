"""What the headers of a JPEG file tell: tables, sampling, and the bytes that code the picture.

```
 SOI ─ APPn, COM (skipped) ─ DQT ─ SOF ─ DHT ─ SOS ─ scan data ─ ... ─ EOI ─ trailing bytes
```
One pass over the markers (ITU-T T.81, annex B): :func:`segments`. Bytes behind the end of the picture (a second
picture, a gain map, a film, anything appended) are counted apart: they code nothing of it.
Damaged input never raises: what cannot be read is left out.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from veridical.photo.condition import BASIC_FEATURES

_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
ALONE = frozenset((0x01, 0xD8, 0xD9))
"""Markers without a length."""

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_MOST_COMPONENTS = 4

ZIGZAG = np.array(
    sorted(range(64), key=lambda n: (n // 8 + n % 8, (n // 8, n % 8)[(n // 8 + n % 8 + 1) % 2]))
)
"""Row-major index of each coefficient in the order of the file (T.81, figure A.6), shape (64,)."""


@dataclass(frozen=True)
class JpegHeader:
    """Headers of the first picture in a JPEG file.

    Attributes:
        width: In pixels; 0 if no frame header was found.
        height: In pixels; 0 if no frame header was found.
        sampling: (horizontal, vertical) sampling factors of each component.
        tables: Quantization steps of each component, (8, 8) with rows by vertical frequency; None
            where the file has no table.
        progressive: Whether the picture comes in several refinements.
        luma_chroma: Whether the components are luma (and chroma), by the rules of libjpeg, and not RGB or CMYK.
        scan_bytes: Bytes of entropy-coded data.
        trailing: Bytes behind the end of the picture.
    """

    width: int = 0
    height: int = 0
    sampling: tuple[tuple[int, int], ...] = ()
    tables: tuple[np.ndarray | None, ...] = ()
    progressive: bool = False
    luma_chroma: bool = True
    scan_bytes: int = 0
    trailing: int = 0

    @property
    def grey(self) -> bool:
        """Whether the picture has one component."""
        return len(self.sampling) == 1

    @property
    def chroma_step(self) -> tuple[int, int]:
        """Pixels that one chroma sample covers, (columns, rows), relative to luma; (1, 1) if grey."""
        if len(self.sampling) < 3:
            return 1, 1
        (h, v), (ch, cv) = self.sampling[0], self.sampling[1]
        return max(1, h // max(1, ch)), max(1, v // max(1, cv))


@dataclass
class _State:
    frame: dict[str, object] = field(default_factory=dict)
    components: list[tuple[int, int, int]] = field(default_factory=list)
    idents: bytes = b""
    jfif: bool = False
    adobe_transform: int | None = None
    tables: dict[int, np.ndarray] = field(default_factory=dict)


def segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, place, end) of each segment up to the end of the picture, in one pass that is linear in the file's length.

    Behind the segment of a scan lie its data, as far as the next place; of a segment that is cut short the end lies
    beyond the file.
    """
    pos = 2
    while (found := _MARKER.search(data, pos)) is not None:
        pos, marker = found.end(), data[found.end() - 1]
        if marker not in ALONE:
            pos += max(2, struct.unpack_from(">H", data, pos)[0]) if pos + 2 <= len(data) else 2
        yield marker, found.start(), pos
        if marker == 0xD9:
            return


def parse_jpeg_header(data: bytes) -> JpegHeader:
    """Read the markers of a JPEG file; never raises, time linear in the length of the file."""
    state, scan, scan_bytes, trailing = _State(), len(data), 0, 0
    for marker, at, end in segments(data):
        scan_bytes += max(0, at - scan)
        scan = end if marker == 0xDA else len(data)
        if marker == 0xD9:
            trailing = len(data) - end
        _segment(state, marker, data[at + 4 : end])
    return JpegHeader(
        sampling=tuple((h, v) for h, v, _ in state.components),
        tables=tuple(state.tables.get(q) for _, _, q in state.components),
        scan_bytes=scan_bytes + max(0, len(data) - scan),
        trailing=trailing,
        luma_chroma=_luma_chroma(state),
        **state.frame,  # type: ignore[arg-type]
    )


def _segment(state: _State, marker: int, body: bytes) -> None:
    if marker == 0xDB:
        _quantization_tables(state.tables, body)
    elif marker in _FRAMES and len(body) >= 6 and not state.components:
        height, width, n = struct.unpack_from(">HHB", body, 1)
        state.frame |= {"width": width, "height": height, "progressive": marker in (0xC2, 0xC6)}
        rows = [body[6 + 3 * i : 9 + 3 * i] for i in range(min(n, _MOST_COMPONENTS))]
        state.components = [(r[1] >> 4, r[1] & 15, r[2]) for r in rows if len(r) == 3]
        state.idents = bytes(r[0] for r in rows if r)
    elif marker == 0xEE and body[:5] == b"Adobe" and len(body) >= 12:
        state.adobe_transform = body[11]
    elif marker == 0xE0 and body[:5] == b"JFIF\0":
        state.jfif = True


def _luma_chroma(state: _State) -> bool:
    if len(state.components) < 3:
        return True
    if len(state.components) > 3:
        return False
    if state.jfif or state.adobe_transform is not None:
        return state.jfif or state.adobe_transform != 0
    return state.idents != b"RGB"


def _quantization_tables(tables: dict[int, np.ndarray], body: bytes) -> None:
    pos = 0
    while pos < len(body):
        wide, ident = body[pos] >> 4, body[pos] & 15
        raw = body[pos + 1 : pos + 1 + (128 if wide else 64)]
        if len(raw) < (128 if wide else 64):
            return
        table = np.empty(64, dtype=np.int64)
        table[ZIGZAG] = np.frombuffer(raw, dtype=">u2" if wide else "u1")
        tables[ident] = np.maximum(table, 1).reshape(8, 8)
        pos += 1 + len(raw)


_UNKNOWN_STEP = 16.0
_OWN = (
    "grey", "progressive", "chroma_columns", "chroma_rows",
    *(f"luma_q_{k:02}" for k in range(64)), *(f"chroma_q_{k:02}" for k in range(64)),
)  # fmt: skip

CONDITIONS: tuple[str, ...] = (*BASIC_FEATURES, *_OWN)
"""Names of the conditions in the order in which networks take them; the first are those of every format."""


def _log_steps(table: np.ndarray | None) -> np.ndarray:
    """``log2(step) / 8``, shape (64,), rows by vertical frequency."""
    steps = np.full(64, _UNKNOWN_STEP) if table is None else table.reshape(64).astype(float)
    return np.log2(np.clip(steps, 1, 4096)) / 8


def quantizer(header: JpegHeader) -> float | None:
    """``log2(mean luma step) / 8``, from 0 to 1; None without a table."""
    luma = header.tables[0] if header.tables else None
    return None if luma is None else min(1.0, max(0.0, math.log2(float(luma.mean())) / 8))


def own_conditions(header: JpegHeader) -> dict[str, float]:
    """Conditions of the networks that JPEG files alone have, by name (:data:`CONDITIONS`).

    ``chroma_columns`` and ``chroma_rows`` are binary logarithms of the pixels that a chroma sample covers,
    ``luma_q_NN`` and ``chroma_q_NN`` ``log2(step) / 8`` for row-major frequencies; a grey picture's chroma has
    luma's steps.
    """
    luma = header.tables[0] if header.tables else None
    chroma = header.tables[1] if len(header.tables) > 1 else luma
    columns, rows = (math.log2(n) for n in header.chroma_step)
    values = (
        header.grey,
        header.progressive,
        columns,
        rows,
        *_log_steps(luma),
        *_log_steps(chroma),
    )
    return dict(zip(_OWN, map(float, values), strict=True))
