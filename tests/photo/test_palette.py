"""Blocks of AVIF pictures that are drawn in few colours."""

import io

import numpy as np
import pytest
from PIL import Image

import veridical
from veridical.photo.formats.av1_palette import PaletteBlocks
from veridical.photo.price import LEAST

COLOURS = np.array([[20, 30, 60], [250, 240, 230], [200, 40, 40], [30, 160, 70]], np.uint8)


def pattern(height=96, width=112):
    """Repeated squares of five pixels in four colours."""
    rows, columns = np.mgrid[:height, :width] // 5
    return COLOURS[(rows + 2 * columns) % 4]


def board(height, width):
    """Squares of five pixels in four greys, (height, width, 3)."""
    rows, columns = np.mgrid[:height, :width] // 5
    greys = np.array([20, 90, 160, 230], np.uint8)[(rows + 2 * columns) % 4]
    return np.repeat(greys[..., None], 3, axis=2)


def gradient(height=96, width=112):
    """Every block has many colours."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 2, columns * 2, rows + columns], axis=-1).astype(np.uint8)


def saved(pixels, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "AVIF", **options)
    return buffer.getvalue()


def counted(pixels, top, left):
    """Whether a block has few colours that are far apart, counted one by one."""
    block = pixels[top : top + 16, left : left + 16].reshape(-1, 3).tolist()
    spread = max(max(c) - min(c) for c in zip(*block, strict=True))
    return len({tuple(p) for p in block}) <= 8 and spread >= 64


@pytest.mark.parametrize("realism", [0.0, 1.0])
@pytest.mark.parametrize("tile", [None, 320])
def test_drawings_of_few_colours_stay_as_they_are(realism, tile):
    # Oracle: the drawing, exactly: a file of .05 bits per pixel holds it.
    drawn = board(400, 420)
    settings = {"tile": tile} if tile else {}
    found = veridical.decode(saved(drawn, quality=60), realism=realism, as_array=True, **settings)
    assert np.array_equal(found, drawn)


def test_blocks_are_those_of_few_distant_colours():
    # Oracle: sets of colours, block by block, on a picture of patterns, faint patterns and gradients that
    # is higher than the strip that is read at a time and fills no whole number of blocks.
    faint = (pattern(1000, 75) // 8 + 100).astype(np.uint8)
    pixels = np.concatenate([pattern(1000, 90), faint, gradient(1000, 70)], axis=1)[:997, :230]
    found = PaletteBlocks.read(pixels).drawn
    expected = [[counted(pixels, t, x) for x in range(0, 230, 16)] for t in range(0, 997, 16)]
    assert np.array_equal(found, expected)
    assert 0.3 < found.mean() < 0.5


def test_windows_are_parts_of_the_whole():
    # Oracle: the projection of the whole picture, exactly; blocks of many colours keep the estimate.
    pixels = np.concatenate([pattern(), gradient()], axis=1)[:90]
    blocks = PaletteBlocks.read(pixels)
    x = np.random.default_rng(3).random((3, *pixels.shape[:2]), np.float32)
    whole = blocks.project(x)
    assert np.array_equal(blocks.project(x[:, 32:80, 64:150], 32, 64), whole[:, 32:80, 64:150])
    kept = blocks.drawn.repeat(16, 0).repeat(16, 1)[:90, :224]
    assert np.array_equal(np.rint(255 * whole[:, kept]), pixels[kept].T)
    assert np.array_equal(whole[:, ~kept], x[:, ~kept])


def test_photographs_have_none():
    # Oracle: a photograph without white borders, at coarse and fine settings.
    skimage = pytest.importorskip("skimage.data")
    for quality in (20, 60):
        data = saved(skimage.coffee()[:256, :320], quality=quality)
        pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        assert PaletteBlocks.read(pixels) is None


def test_the_price_leaves_out_what_is_taken_for_exact():
    # Oracle: the price network's own numbers for the whole picture, times the part that it has to speak of.
    data = saved(np.concatenate([board(160, 112), gradient(160, 112)], axis=1), quality=60)
    image = veridical.open(data)
    (predicted,) = image.decoder.model.beside("price")(
        **image.decoder.run_estimator(image.pixels[None])
    )
    drawn = PaletteBlocks.read(image.pixels).drawn
    assert 0.3 < drawn.mean() < 0.6
    expected = (1 - drawn.mean()) * np.exp(predicted[0, :2].astype(float)) - LEAST
    found = image.price()
    assert [found.mmse, found.transport_cost] == pytest.approx(expected, rel=1e-6)
