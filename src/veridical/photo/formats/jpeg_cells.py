"""Quantization cells of a JPEG file: the set of pictures that its encoder turns into the same file.

```
 x ─ YCbCr ─ (box mean to the chroma's resolution) ─ DCT of 8x8 blocks ─ clip to [c - q/2, c + q/2] ─ back ─ x'
```
The source lies in the cells (if it was not coded before), they are convex, and each step is the orthogonal
projection onto them, so that ``|x' - source| <= |x - source|`` in YCbCr: an estimate that leaves them is
improved, whatever the source. The mean of what is left of the source's law in a cell is better still
(:meth:`JpegCells.expected`): an estimate that is less sure than the cell is narrow belongs near its middle. Chroma at half the resolution is met by an equal change of all pixels that
an encoder averages into one sample, which is the least change that does it.

Coefficients are recovered from Pillow's decoded YCbCr: the nearest point of the file's own lattice,
confirmed for each block by decoding it again. Left alone are the few blocks whose clipped pixels hide
them, and those at the borders that the picture does not fill.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL.JpegImagePlugin import JpegImageFile

from veridical.photo.jpeg_header import JpegHeader, parse_jpeg_header
from veridical.photo.restoration import Cells

TO_YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)
"""RGB to YCbCr without offsets (JFIF 1.02, page 3)."""

_TO_RGB = np.linalg.inv(TO_YCC.astype(float)).astype(np.float32)
_ROUNDS = 12  # of the search behind pixels that were clipped to 0 or 255
_TURNS = 2  # of projections onto the cells and onto [0, 1]
_ROWS, _SEEN = 8, 2  # of blocks that the network of cells takes at a time, and sees around one

CellMeans = Callable[..., Sequence[np.ndarray]]
"""``place, level, error, steps, chroma -> expected``; see ``training.cell_network``."""


def _dct_matrix() -> np.ndarray:
    k, n = np.arange(8)[:, None], np.arange(8)[None]
    one = 0.5 * np.cos(np.pi * (2 * n + 1) * k / 16)
    one[0] = 8**-0.5
    return np.kron(one, one).astype(np.float32)


DCT = _dct_matrix()
"""Orthonormal two-dimensional DCT of a block, (64 frequencies, 64 pixels), row-major."""


def _blocks(plane: np.ndarray) -> np.ndarray:
    """Whole blocks of a plane, (n, 64) in rows."""
    rows, columns = plane.shape[0] // 8, plane.shape[1] // 8
    cut = plane[: 8 * rows, : 8 * columns].reshape(rows, 8, columns, 8)
    return np.ascontiguousarray(cut.swapaxes(1, 2)).reshape(-1, 64)


def _planes(blocks: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Inverse of :func:`_blocks`, (8 rows, 8 columns)."""
    return blocks.reshape(rows, columns, 8, 8).swapaxes(1, 2).reshape(8 * rows, 8 * columns)


def _lattice(levels: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Coefficients of the file from decoded blocks.

    Args:
        levels: Decoded levels of one component, uint8 of shape (n, 64).
        steps: Quantization steps, shape (64,).

    Returns:
        Of levels less 128, (n, 64): multiples of the steps that decode to these levels within one;
        NaN in blocks for which none were found.
    """
    y = levels.astype(np.float32)
    found = np.rint((y - 128) @ DCT.T / steps) * steps
    out = np.full_like(found, np.nan)
    left = np.arange(len(y))
    low, high = levels == 0, levels == 255
    for _ in range(_ROUNDS):
        again = found[left] @ DCT + 128
        right = np.all(np.abs(np.clip(again, 0, 255) - y[left]) <= 1.0, axis=1)
        out[left[right]] = found[left[right]]
        left, again = left[~right], again[~right]
        clipped = low[left] | high[left]
        left, again = left[clipped.any(axis=1)], again[clipped.any(axis=1)]
        if not len(left):
            break
        beyond = np.where(low[left], np.minimum(again, 0), y[left])
        beyond = np.where(high[left], np.maximum(again, 255), beyond)
        found[left] = np.rint((beyond - 128) @ DCT.T / steps) * steps
    return out


@dataclass(frozen=True, eq=False)
class JpegCells(Cells):
    """Cells of a file; see the module.

    Attributes:
        header: Of the file.
        luma: Decoded luma, uint8 of shape (height, width).
        chroma: Decoded chroma at its own resolution, uint8 of shape (2, height, width), or None for a
            grey picture, or where it cannot be read apart (sampling other than 4:4:4 and 4:2:0).
    """

    header: JpegHeader
    luma: np.ndarray = field(repr=False)
    chroma: np.ndarray | None = field(repr=False)

    @classmethod
    def read(cls, data: bytes) -> JpegCells | None:
        """Cells of a JPEG file; None where its components are not luma and chroma, or it is damaged."""
        header = parse_jpeg_header(data)
        if (
            len(header.sampling) not in (1, 3)
            or not header.luma_chroma
            or any(t is None for t in header.tables)
        ):
            return None
        if header.sampling[0] != tuple(max(s[k] for s in header.sampling) for k in (0, 1)):
            return None
        try:
            if header.grey:
                return cls(header, _decoded(data, "L"), None)
            full = _decoded(data, "YCbCr")
            chroma = None
            if header.chroma_step == (1, 1):
                chroma = full[:, :, 1:]
            elif header.chroma_step == (2, 2) and header.sampling[1] == header.sampling[2]:
                chroma = _decoded(data, "YCbCr", half=True)[:, :, 1:]
        except Exception:  # noqa: BLE001 (Pillow's readers raise almost anything on hostile content)
            return None
        moved = None if chroma is None else np.ascontiguousarray(chroma.transpose(2, 0, 1))
        return cls(header, np.ascontiguousarray(full[:, :, 0]), moved)

    def project(self, x: np.ndarray, top: int = 0, left: int = 0) -> np.ndarray:
        """The nearest picture inside the cells, up to what [0, 1] allows.

        Args:
            x: A window of an estimate, float32 of shape (3, height, width) in [0, 1].
            top: Its first row in the picture, a multiple of 16.
            left: Its first column, a multiple of 16.

        Returns:
            Of the shape of ``x``.
        """
        parts = self.components(top, left, x.shape[1:])
        ranges = []
        for part in parts:
            hidden, reach = np.isnan(part.centre), part.steps / 2
            low = np.where(hidden, -np.inf, part.centre - reach)
            ranges.append((low, np.where(hidden, np.inf, part.centre + reach)))
        return self._moved(x, parts, ranges)

    def expected(
        self, x: np.ndarray, error: np.ndarray, network: CellMeans, top: int = 0, left: int = 0
    ) -> np.ndarray:
        """The mean of the source over its cells, given an estimate that knows nothing of them.

        Args:
            x: A window of the estimate, as for :meth:`project`.
            error: Standard deviation to expect of it along the axes of colour, of its shape, in levels.
            network: See ``training.cell_network``.
            top: See there.
            left: See there.
        """
        parts = self.components(top, left, x.shape[1:])
        x = np.clip(x, 0, 1)
        ycc, ranges = to_ycc(x), []
        for part in parts:
            coefficients = part.coefficients(ycc)
            told = part.inputs(coefficients, error)
            place = np.concatenate(
                [_rows_of(network, told, first) for first in range(0, part.shape[0], _ROWS)], axis=1
            )
            inside = part.centre + part.steps * place.transpose(1, 2, 0).reshape(-1, 64)
            means = np.where(np.isnan(inside), coefficients, inside)
            ranges.append((means, means))
        return self._moved(x, parts, ranges)

    def components(self, top: int, left: int, size: tuple[int, ...]) -> list[Component]:
        """What is known of a window's components; see :meth:`project`."""
        found = []
        planes = [self.luma, *(() if self.chroma is None else self.chroma)]
        for k, plane in enumerate(planes):
            step = self.header.chroma_step[0] if k else 1
            # Samples that whole pixels cover: the last of an odd side is averaged with what lies outside.
            cut = plane[top // step :, left // step :][: size[0] // step, : size[1] // step]
            if min(cut.shape) < 8:
                continue
            table = self.header.tables[min(k, len(self.header.tables) - 1)]
            steps = np.asarray(table, dtype=np.float32).reshape(64)
            shape = cut.shape[0] // 8, cut.shape[1] // 8
            found.append(Component(k, step, steps, _lattice(_blocks(cut), steps), shape))
        return found

    def _moved(
        self, x: np.ndarray, parts: Sequence[Component], ranges: Sequence[tuple[np.ndarray, np.ndarray]]
    ) -> np.ndarray:  # fmt: skip
        """A picture whose coefficients lie in ranges, by projections onto them and onto [0, 1] in turn."""
        rgb = x
        for _ in range(_TURNS):
            ycc = to_ycc(rgb)
            for part, (low, high) in zip(parts, ranges, strict=True):
                part.move_inside(ycc, low, high)
            if self.header.grey:
                ycc[1:] = 0
            ycc[0] += 128
            rgb = np.clip(np.einsum("ij,jhw->ihw", _TO_RGB, ycc) / np.float32(255), 0, 1)
        return rgb


@dataclass(frozen=True, eq=False)
class Component:
    """A component of a window in whole blocks of its own resolution.

    Attributes:
        number: 0 for luma, 1 and 2 for chroma.
        step: Pixels a sample covers along each axis, 1 or 2.
        steps: Of its quantizer, shape (64,).
        centre: The file's coefficients, shape (n, 64); NaN where they are not known.
        shape: Rows and columns of blocks.
    """

    number: int
    step: int
    steps: np.ndarray = field(repr=False)
    centre: np.ndarray = field(repr=False)
    shape: tuple[int, int]

    def samples(self, planes: np.ndarray) -> np.ndarray:
        """Its plane of three, averaged over the pixels that a sample covers, in blocks: (n, 64)."""
        rows, columns = (8 * n for n in self.shape)
        plane, step = planes[self.number], self.step
        part = plane[: step * rows, : step * columns]
        if step == 2:  # fifteen times as fast as mean() over axes of two
            upper, lower = part[::2], part[1::2]
            part = (upper[:, ::2] + upper[:, 1::2] + (lower[:, ::2] + lower[:, 1::2])) / 4
        return _blocks(part)

    def coefficients(self, ycc: np.ndarray) -> np.ndarray:
        """Of a picture of luma less 128 and chroma, (n, 64)."""
        return self.samples(ycc) @ DCT.T

    def move_inside(self, ycc: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
        """Change a picture in place so that coefficients lie between two bounds."""
        coefficients = self.coefficients(ycc)
        change = _planes((np.clip(coefficients, low, high) - coefficients) @ DCT, *self.shape)
        if self.step > 1:
            change = change.repeat(self.step, 0).repeat(self.step, 1)
        ycc[self.number, : change.shape[0], : change.shape[1]] += change

    def inputs(self, coefficients: np.ndarray, error: np.ndarray) -> dict[str, np.ndarray]:
        """What the network of cells is told of a picture's coefficients, float32 by frequency and block.

        Args:
            coefficients: Of the estimate, shape (n, 64).
            error: See :meth:`JpegCells.expected`.
        """
        known = ~np.isnan(self.centre)
        level = np.where(known, np.rint(self.centre / self.steps), 0)
        place = np.where(known, (coefficients - self.centre) / self.steps, 0)
        by_frequency = (v.T.reshape(64, *self.shape) for v in (place, level))
        told = dict(zip(("place", "level"), by_frequency, strict=True))
        told["error"] = self.samples(error).mean(1).reshape(1, *self.shape)
        told["steps"] = self.steps[:, None, None]
        told["chroma"] = np.full((1, 1, 1), float(self.number > 0))
        return {name: np.ascontiguousarray(v[None], np.float32) for name, v in told.items()}


def _rows_of(network: CellMeans, told: dict[str, np.ndarray], first: int) -> np.ndarray:
    """What the network says of some rows of blocks, so that memory stays small: (64, rows, columns)."""
    start = max(0, first - _SEEN)
    cut = np.s_[:, :, start : first + _ROWS + _SEEN]
    (found,) = network(**{k: v[cut] if v.shape[2] > 1 else v for k, v in told.items()})
    return found[0, :, first - start :][:, :_ROWS]


def to_ycc(rgb: np.ndarray) -> np.ndarray:
    """Luma less 128 and chroma in levels."""
    ycc = np.einsum("ij,jhw->ihw", TO_YCC, rgb) * np.float32(255)
    ycc[0] -= 128
    return ycc


def _decoded(data: bytes, mode: str, *, half: bool = False) -> np.ndarray:
    """Pillow's picture without conversion of colours; chroma of 4:2:0 is untouched at half the size."""
    # Not by Image.open: the reader has already let this file through, perhaps with a higher limit.
    with JpegImageFile(io.BytesIO(data)) as im:
        im.draft(mode, (max(1, im.width // 2), max(1, im.height // 2)) if half else im.size)
        if im.mode != mode:
            raise ValueError(f"decoded as {im.mode}")
        return np.asarray(im)
