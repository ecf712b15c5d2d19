"""Estimates kept inside the quantization cells of their JPEG file."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from veridical.photo.formats.jpeg_cells import JpegCells, to_ycc


def picture(kind, mode="RGB"):
    rng = np.random.default_rng(1)
    if kind == "smooth":
        tile = rng.integers(40, 210, (9, 11, 3)).astype(np.uint8)
        return Image.fromarray(tile).resize((208, 160), Image.Resampling.BICUBIC).convert(mode)
    im = Image.new("RGB", (208, 160), "white")  # of its decoded pixels many are clipped
    pen = ImageDraw.Draw(im)
    for k in range(12):
        pen.text((3, 13 * k), "The quick brown fox 0123456789"[k:], fill=(0, 0, 40 * (k % 5)))
    return im.convert(mode)


def saved(im, **options):
    buffer = io.BytesIO()
    im.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def levels(data):
    with Image.open(io.BytesIO(data)) as im:
        return np.asarray(im.convert("RGB")).transpose(2, 0, 1).astype(np.float32) / 255


def coefficients(data, mode):
    """Blocks' coefficients from scipy's DCT of each component, over the steps: nearly whole numbers."""
    from scipy.fft import dctn

    with Image.open(io.BytesIO(data)) as im:
        im.draft(mode, im.size)
        planes = np.asarray(im, dtype=float).reshape(*im.size[::-1], -1) - 128
        tables = [
            np.array(im.quantization[min(k, len(im.quantization) - 1)]).reshape(8, 8)
            for k in range(planes.shape[2])
        ]
    h, w, n = planes.shape
    blocks = planes.reshape(h // 8, 8, w // 8, 8, n).transpose(4, 0, 2, 1, 3)
    return np.stack(
        [dctn(b, axes=(2, 3), norm="ortho") / t for b, t in zip(blocks, tables, strict=True)]
    )


SETTINGS = [
    ("RGB", {"quality": 20, "subsampling": "4:4:4"}),
    ("RGB", {"quality": 75, "subsampling": "4:4:4"}),
    ("RGB", {"quality": 30, "subsampling": "4:2:0"}),
    ("RGB", {"quality": 75, "subsampling": "4:2:2"}),
    ("L", {"quality": 60}),
]


@pytest.mark.parametrize("kind", ["smooth", "words"])
@pytest.mark.parametrize(("mode", "options"), SETTINGS)
def test_the_source_lies_in_its_cells_and_every_estimate_gets_nearer(kind, mode, options):
    # Oracle: orthogonal projection onto a convex set that holds the source: errors fall, for estimates
    # that leave the cells (noise of 8 levels); the source itself moves by less than its own rounding
    # to 8 bits in YCbCr, 0.5 levels root mean square.
    source = picture(kind, mode)
    data = saved(source, **options)
    x = np.asarray(source.convert("RGB")).transpose(2, 0, 1).astype(np.float32) / 255
    cells = JpegCells.read(data)
    noise = np.random.default_rng(2).normal(0, 8 / 255, x.shape)
    estimate = np.clip(levels(data) + noise, 0, 1).astype(np.float32)
    before, after = (np.mean((v - x) ** 2) for v in (estimate, cells.project(estimate)))
    assert after < before
    assert np.sqrt(np.mean((cells.project(x) - x) ** 2)) * 255 < 0.5


@pytest.mark.parametrize(("mode", "options"), [SETTINGS[0], SETTINGS[1], SETTINGS[4]])
def test_a_projected_estimate_is_coded_as_the_same_coefficients(mode, options):
    # Oracle: Pillow's encoder with the same tables, and scipy's DCT. Rounding to 8 bits moves a coefficient by
    # about 0.4 levels, so what is halfway to the middle of a cell stays in it with few exceptions: 99.5 % and more.
    data = saved(picture("smooth", mode), **options)
    noise = np.random.default_rng(3).normal(0, 8 / 255, (3, 160, 208))
    estimate = np.clip(levels(data) + noise, 0, 1).astype(np.float32)
    halfway = (JpegCells.read(data).project(estimate) + levels(data)) / 2
    out = np.rint(255 * halfway).astype(np.uint8)
    again = saved(Image.fromarray(out.transpose(1, 2, 0)).convert(mode), **options)
    inner = "YCbCr" if mode == "RGB" else "L"
    old, new = (np.rint(coefficients(d, inner)) for d in (data, again))
    assert np.abs(old).sum() > 1000
    assert np.mean(old == new) > 0.995


def test_windows_agree_with_the_whole_and_odd_borders_stay():
    # Oracle: the same projection of the whole picture, to single precision (1e-5); borders that no
    # whole block fills are the estimate itself.
    data = saved(picture("words").crop((0, 0, 205, 151)), quality=40)
    cells = JpegCells.read(data)
    x = np.random.default_rng(4).random((3, 151, 205)).astype(np.float32)
    whole = cells.project(x)
    part = cells.project(np.ascontiguousarray(x[:, 32:128, 64:160]), 32, 64)
    assert np.allclose(part, whole[:, 32:128, 64:160], atol=1e-5)
    assert np.allclose(whole[:, 144:], x[:, 144:], atol=1e-5)
    assert not np.allclose(whole[:, :144, :192], x[:, :144, :192], atol=0.01)


def middles(**told):
    """A network that knows of nothing but the cells."""
    return [np.zeros_like(told["place"])]


def halfway(**told):
    """One that goes half the way to the middle."""
    return [told["place"].clip(-0.5, 0.5) / 2]


@pytest.mark.parametrize(("mode", "options"), [SETTINGS[0], SETTINGS[4]])
def test_without_knowledge_the_mean_is_what_the_ordinary_decoder_shows(mode, options):
    # Oracle: the ordinary decoder, whose coefficients are the middles of the cells: within 2 levels. It rounds luma
    # and chroma and then blue, which is luma and 1.772 chroma: 0.5 (1 + 1.772 + 1) = 1.89.
    data = saved(picture("smooth", mode), **options)
    x = np.random.default_rng(5).random((3, 160, 208)).astype(np.float32)
    found = JpegCells.read(data).expected(x, np.ones_like(x), middles)
    assert np.abs(found - levels(data)).max() * 255 < 2


def test_means_are_those_that_the_network_gives():
    # Oracle: numpy's own arithmetic on the coefficients of 4:4:4, to 0.01 of a level: half the clipped
    # distance from the middle; of an estimate that is dark enough for nothing to be cut at 0 or 1.
    data = saved(picture("smooth"), quality=75, subsampling="4:4:4")
    cells = JpegCells.read(data)
    noise = np.random.default_rng(6).normal(0, 4 / 255, (3, 160, 208))
    x = np.clip(levels(data) + noise, 0.05, 0.95).astype(np.float32)
    found = cells.expected(x, np.ones_like(x), halfway)
    for part in cells.components(0, 0, (160, 208)):
        before, after = (part.coefficients(to_ycc(v)) for v in (x, found))
        reach = part.steps / 2
        wanted = part.centre + np.clip(before - part.centre, -reach, reach) / 2
        assert np.abs(after - wanted).max() < 0.01 * part.steps.max()


def test_windows_of_means_agree_with_the_whole():
    # Oracle: the same of the whole picture, 1e-5, away from the borders of the window by what the network
    # sees: two blocks of chroma, 32 pixels.
    from veridical.photo.options import DecodeOptions
    from veridical.photo.restoration import load_restoration

    network = load_restoration("JPEG", DecodeOptions()).beside("cells")
    cells = JpegCells.read(saved(picture("words"), quality=40))
    random = np.random.default_rng(7)
    x, error = (random.random((3, 160, 208)).astype(np.float32) for _ in range(2))
    whole = cells.expected(x, 9 * error, network)
    cut = np.s_[:, 16:160, 32:208]
    part = cells.expected(*map(np.ascontiguousarray, (x[cut], 9 * error[cut])), network, 16, 32)
    assert np.allclose(part[:, 32:, 32:], whole[:, 48:160, 64:208], atol=1e-5)
    assert np.abs(whole - cells.project(x)).max() > 0.01


def test_what_has_no_cells_is_said():
    # Oracle: contract.
    assert JpegCells.read(b"\xff\xd8 nothing") is None
    assert JpegCells.read(saved(picture("smooth").convert("CMYK"))) is None
    assert JpegCells.read(saved(picture("smooth"), keep_rgb=True)) is None
    whole = saved(picture("smooth"))
    assert JpegCells.read(whole[: len(whole) // 2]) is None
