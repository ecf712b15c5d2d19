"""Quantization cells of a JPEG file: the set of pictures that its encoder turns into the same file.

```
 x ─ YCbCr ─ (box mean to the chroma's resolution) ─ DCT of 8x8 blocks ─ clip to [c - q/2, c + q/2] ─ back ─ x'
```
The source lies in the cells (if it was not coded before), they are convex, and each step is the orthogonal
projection onto them, so that ``|x' - source| <= |x - source|`` in YCbCr: an estimate that leaves them is
improved, whatever the source. Chroma at half the resolution is met by an equal change of all pixels that
an encoder averages into one sample, which is the least change that does it.

Coefficients are recovered from Pillow's decoded YCbCr: the nearest point of the file's own lattice,
confirmed for each block by decoding it again. Left alone are the few blocks whose clipped pixels hide
them, and those at the borders that the picture does not fill.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import numpy as np
from PIL.JpegImagePlugin import JpegImageFile

from veridical.photo.jpeg_header import JpegHeader, parse_jpeg_header
from veridical.photo.tiles import Box

_TO_YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)
_TO_RGB = np.linalg.inv(_TO_YCC.astype(float)).astype(np.float32)
_ROUNDS = 12  # of the search behind pixels that were clipped to 0 or 255


def _dct_matrix() -> np.ndarray:
    """Orthonormal two-dimensional DCT of a block, (64 frequencies, 64 pixels), row-major."""
    k, n = np.arange(8)[:, None], np.arange(8)[None]
    one = 0.5 * np.cos(np.pi * (2 * n + 1) * k / 16)
    one[0] = 8**-0.5
    return np.kron(one, one).astype(np.float32)


_DCT = _dct_matrix()


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
    found = np.rint((y - 128) @ _DCT.T / steps) * steps
    out = np.full_like(found, np.nan)
    left = np.arange(len(y))
    low, high = levels == 0, levels == 255
    for _ in range(_ROUNDS):
        again = found[left] @ _DCT + 128
        right = np.all(np.abs(np.clip(again, 0, 255) - y[left]) <= 1.0, axis=1)
        out[left[right]] = found[left[right]]
        left, again = left[~right], again[~right]
        clipped = low[left] | high[left]
        left, again = left[clipped.any(axis=1)], again[clipped.any(axis=1)]
        if not len(left):
            break
        beyond = np.where(low[left], np.minimum(again, 0), y[left])
        beyond = np.where(high[left], np.maximum(again, 255), beyond)
        found[left] = np.rint((beyond - 128) @ _DCT.T / steps) * steps
    return out


@dataclass(frozen=True, eq=False)
class JpegCells:
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
    def read(cls, data: bytes, header: JpegHeader | None = None) -> JpegCells | None:
        """Cells of a JPEG file; None where its components are not luma and chroma, or it is damaged."""
        header = header or parse_jpeg_header(data)
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

    def certain(self, box: Box) -> float:
        """Nothing is taken for exact."""
        del box
        return 0.0

    def project(
        self, x: np.ndarray, top: int = 0, left: int = 0, *, margin: float = 0.0, rounds: int = 2
    ) -> np.ndarray:
        """The nearest picture inside the cells, up to what [0, 1] allows.

        Args:
            x: A window of an estimate, float32 of shape (3, height, width) in [0, 1].
            top: Its first row in the picture, a multiple of 16.
            left: Its first column, a multiple of 16.
            margin: Distance in levels to keep from the borders of the cells, at most half a cell; one
                level keeps nearly all coefficients through rounding to 8 bits.
            rounds: Projections onto the cells and onto [0, 1] in turn.

        Returns:
            Of the shape of ``x``.
        """
        targets = [self._target(k, top, left, x.shape[1:], margin) for k in range(3)]
        rgb = x
        for _ in range(rounds):
            ycc = np.einsum("ij,jhw->ihw", _TO_YCC, rgb) * np.float32(255)
            ycc[0] -= 128
            for k, target in enumerate(targets):
                if target is not None:
                    _move_inside(ycc[k], *target)
            ycc[0] += 128
            rgb = np.clip(np.einsum("ij,jhw->ihw", _TO_RGB, ycc) / np.float32(255), 0, 1)
        return rgb

    def _target(
        self, component: int, top: int, left: int, size: tuple[int, ...], margin: float
    ) -> tuple[int, np.ndarray, np.ndarray, np.ndarray] | None:
        """Pixels a sample covers, lower and upper ends (n, 64), and how many rows and columns of blocks."""
        if component and self.header.grey:
            zero = np.zeros(1, np.float32)
            return 0, zero, zero, zero
        plane = (
            self.luma
            if not component
            else None
            if self.chroma is None
            else self.chroma[component - 1]
        )
        if plane is None:
            return None
        step = 1 if not component else self.header.chroma_step[0]
        table = self.header.tables[min(component, len(self.header.tables) - 1)]
        steps = np.asarray(table, dtype=np.float32).reshape(64)
        # Samples that whole pixels cover: the last of an odd side is averaged with what lies outside.
        sides = [n // step for n in size]
        cut = plane[top // step :, left // step :][: sides[0], : sides[1]]
        shape = np.array([cut.shape[0] // 8, cut.shape[1] // 8])
        if not shape.all():
            return None
        centre = _lattice(_blocks(cut), steps)
        reach = np.maximum(steps / 2 - margin, steps * 0.05)
        unknown = np.isnan(centre)
        lower, upper = (
            np.where(unknown, -np.inf, centre - reach),
            np.where(unknown, np.inf, centre + reach),
        )
        return step, lower, upper, shape


def _move_inside(
    plane: np.ndarray, step: int, lower: np.ndarray, upper: np.ndarray, shape: np.ndarray
) -> None:
    """Change a plane in place so that its blocks' coefficients lie between two bounds."""
    if not step:
        plane[:] = 0
        return
    rows, columns = (8 * int(n) for n in shape)
    part = plane[: step * rows, : step * columns]
    samples = part if step == 1 else part.reshape(rows, step, columns, step).mean((1, 3))
    coefficients = _blocks(samples) @ _DCT.T
    change = (np.clip(coefficients, lower, upper) - coefficients) @ _DCT
    grown = _planes(change, rows // 8, columns // 8)
    if step > 1:
        grown = grown.repeat(step, 0).repeat(step, 1)
    part += grown


def _decoded(data: bytes, mode: str, *, half: bool = False) -> np.ndarray:
    """Pillow's picture without conversion of colours; chroma of 4:2:0 is untouched at half the size."""
    # Not by Image.open: the reader has already let this file through, perhaps with a higher limit.
    with JpegImageFile(io.BytesIO(data)) as im:
        im.draft(mode, (max(1, im.width // 2), max(1, im.height // 2)) if half else im.size)
        if im.mode != mode:
            raise ValueError(f"decoded as {im.mode}")
        return np.asarray(im)
