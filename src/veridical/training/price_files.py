"""The files that prices are measured on: pieces of training pictures, and photographs and drawings that nothing saw."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from veridical.photo.formats.conventional import ConventionalFormat
from veridical.photo.options import GRID
from veridical.training.drawings import KINDS, draw
from veridical.training.pairs import Pairs, Piece
from veridical.training.pictures import augment, opened, pictures, saved
from veridical.training.pieces import PieceSampler
from veridical.training.sources import Sources

SIDE = 256
"""Of what is measured of each, in pixels."""

Task = Callable[[], tuple[str, Piece, int, int] | None]
"""Makes (kind or group, piece, top, left); None of a lossless file."""

_QUALITIES = (1, 5, 13, 27, 48, 73, 91, 99)
"""Ends of ranges; every picture is coded once in each, so that no quality lies far from a measured one."""

_CHAINS = 6
"""Further files of each picture that was coded before, at any two qualities."""

_DRAWN = (10, 50, 80, 95)
_SHARES = {"photograph": 0.42, "drawing": 0.25, "recompressed": 0.33}
_SEED = 3


def _qualities(k: int) -> Iterator[tuple[str, int]]:
    """(group, quality) of picture number ``k``, evenly spread over each range (golden section)."""
    for low, high in itertools.pairwise(_QUALITIES):
        quality = low + int((k * 0.618034 + 0.5) % 1 * (high - low))
        yield f"photographs {low:02} to {high - 1:02}", quality


def _files(validation: Path, name: str) -> Iterator[tuple[str, Image.Image, bytes]]:
    """(group, source, file) of photographs, drawings and photographs coded before."""
    modes = name != "WEBP"
    for k, (_, data) in enumerate(pictures([validation])):
        whole = opened(data)
        picture = _middle(whole)
        if k % 2 == 0 and min(whole.size) > SIDE:
            # As training sees them too: scaled, mostly grainy.
            again = _middle(augment(whole, np.random.default_rng(k), SIDE))
            for group, q in _qualities(k + 20):
                yield group, again, saved(again, name, quality=q)
        for j, (group, q) in enumerate(_qualities(k)):
            yield group, picture, saved(picture, name, quality=q)
            if modes and j % 3 == k % 3:
                full = saved(picture, name, quality=q, subsampling="4:4:4")
                yield "photographs 4:4:4", picture, full
            elif modes and j % 3 == (k + 1) % 3:
                grey = picture.convert("L")
                yield "photographs grey", grey, saved(grey, name, quality=q)
        box = (4, 4, *picture.size)
        before = opened(saved(picture, "JPEG", quality=30)).crop(box)
        yield "JPEG 30 before 90", picture.crop(box), saved(before, name, quality=90)
        again = opened(saved(picture, "AVIF", quality=30, speed=9))
        yield "AVIF 30 before 90", picture, saved(again, name, quality=90)
        for n in range(_CHAINS * k, _CHAINS * (k + 1)):
            earlier, source, before, q = coded_before(picture, n)
            yield f"{earlier} before", source, saved(before, name, quality=q)
    for kind in KINDS:
        picture = draw(kind, 30_000).crop((96, 96, 416, 416))
        for q in _DRAWN:
            chroma = {"subsampling": "4:4:4" if q == 80 else "4:2:0"} if modes else {}
            yield f"drawings {q:03}", picture, saved(picture, name, quality=q, **chroma)


def coded_before(picture: Image.Image, n: int) -> tuple[str, Image.Image, Image.Image, int]:
    """Format of an earlier file, source, what that file leaves of it, and the quality of the next one.

    The two qualities are the additive recurrence of the plastic number (Roberts, 2018): evenly spread over their square, so that
    few pairs lie far from a measured one. Three fifths of the files are cut to another grid of blocks.
    """
    first, last = (0.5 + n * 0.7548776662) % 1, (0.5 + n * 0.5698402910) % 1
    name = ("JPEG", "AVIF", "JPEG", "WEBP")[n % 4]
    options = {"AVIF": {"speed": 9}, "WEBP": {"method": 2}}.get(name, {})
    shift = 0 if n % 5 < 2 else 1 + n % 7
    box = (shift, shift, *picture.size)
    before = opened(saved(picture, name, quality=5 + int(91 * first), **options))
    return name, picture.crop(box), before.crop(box), 40 + int(59 * last)


def _middle(picture: Image.Image) -> Image.Image:
    x, y = (max(0, n // 2 - 160) for n in picture.size)
    return picture.crop((x, y, min(picture.width, x + 320), min(picture.height, y + 320)))


def training_pieces(
    sources: Sources | Pairs, form: ConventionalFormat | Pairs, n: int
) -> Iterator[Task]:
    """Pieces of training pictures at a random place.

    Args:
        sources: Training pictures; pairs are their own.
        form: The format.
        n: How many.
    """
    side = SIDE
    if isinstance(form, Pairs):
        side = min(SIDE, *form.originals.shape[1:3])
    sampler = PieceSampler(sources, form, None, patch=side, batch_size=1, seed=_SEED)

    def piece(k: int) -> tuple[str, Piece, int, int]:
        rng = np.random.default_rng([_SEED, k])
        kind = str(rng.choice(list(_SHARES), p=list(_SHARES.values())))
        p = sampler.piece(rng, kind)
        top, left = (GRID * int(rng.integers((v - side) // GRID + 1)) for v in p.decoded.shape[:2])
        return kind, p, top, left

    yield from (functools.partial(piece, k) for k in range(n))


def validation_pieces(form: ConventionalFormat | Pairs, validation: Path) -> Iterator[Task]:
    """Middles of validation pictures and drawings in every way, those coded before among them.

    Args:
        form: The format.
        validation: Folder or tar file of photographs; pairs hold their own.
    """

    def piece(group: str, found: Any, data: bytes) -> tuple[str, Piece, int, int] | None:
        p = found
        if isinstance(form, ConventionalFormat):
            condition = form.condition(data, *found.size)
            if condition is None:
                return None
            p = Piece(np.asarray(found.convert("RGB")), np.asarray(opened(data)), condition, data)
        top, left = (max(0, (v - SIDE) // (2 * GRID) * GRID) for v in p.decoded.shape[:2])
        return group, p, top, left

    files: Any = (
        form.validation() if isinstance(form, Pairs) else _files(validation, form.pillow_names[0])
    )
    yield from (functools.partial(piece, *file) for file in files)
