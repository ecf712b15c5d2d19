"""Whole files in Chromium against the Python package: pictures, slider, what is saved, what is refused."""

import base64
import dataclasses
import io
import json
import time

import numpy as np
import pytest
from chromium import pixels, restored, status
from PIL import Image

from veridical.photo.formats import open_image
from veridical.photo.formats.jpeg import _OTHER_COLOURS
from veridical.photo.options import DecodeOptions
from veridical.photo.windows import decode_at


def encoded(picture, name, **options):
    buffer = io.BytesIO()
    picture.save(buffer, name, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def small():
    """An odd-sided piece of a photograph."""
    data = pytest.importorskip("skimage.data")
    return Image.fromarray(data.coffee()[100:189, 200:307])


def levels(picture):
    return np.asarray(picture).astype(int)


def python_pictures(data, realisms=(0.0, 1.0), *, seen=None, **options):
    """What Python decodes; from the browser's own pixels where they are given."""
    o = DecodeOptions(**options)
    file = open_image(data, o)
    if seen is not None:
        file = dataclasses.replace(file, pixels=np.ascontiguousarray(seen[:, :, :3]))
    return [levels(x) for x in decode_at(file, realisms, o)]


FILES = {
    "a.jpg": ("JPEG", {"quality": 20}),
    "b.webp": ("WEBP", {"quality": 20}),
    "c.avif": ("AVIF", {"quality": 25}),
}


@pytest.mark.parametrize("name", FILES)
def test_three_formats_at_both_ends(page, small, tmp_path, name):
    # Oracle: the package. The base picture is the browser's own, so that a decoder of another version, which
    # may round otherwise (2 levels), does not count; restored from it, 1 level.
    kind, options = FILES[name]
    path = tmp_path / name
    path.write_bytes(encoded(small, kind, **options))
    assert restored(page, path) == "Done. Move the slider."
    seen = pixels(page, "plain")
    assert np.abs(seen[:, :, :3].astype(int) - levels(open_image(path).ordinary)).max() <= 2
    for shown, expected in zip(
        ("mmse", "real"), python_pictures(path.read_bytes(), seen=seen), strict=True
    ):
        assert np.abs(pixels(page, shown)[:, :, :3].astype(int) - expected).max() <= 1
    blended = np.abs(pixels(page, "real").astype(int) - pixels(page, "mmse"))
    assert blended.max() > 4  # more than what rounding could hide
    # The price is that of `info`: PSNR at realism 0, to the digits that are shown.
    facts = page.run("document.getElementById('facts').textContent")
    assert f"PSNR {open_image(path).info.predicted_psnr_db(0):.2f} dB" in facts


GREY = ("grey.jpg", "JPEG", "L", {"quality": 25})
OTHERS = [
    GREY,
    ("full.jpg", "JPEG", "RGB", {"quality": 70, "subsampling": 0, "progressive": True}),
    ("halved.jpg", "JPEG", "RGB", {"quality": 50, "subsampling": 1, "restart_marker_blocks": 3}),
    ("grey.avif", "AVIF", "L", {"quality": 30}),
    ("grey.webp", "WEBP", "L", {"quality": 30}),
    ("lossless.webp", "WEBP", "RGB", {"lossless": True}),
]


@pytest.mark.parametrize(("name", "kind", "mode", "options"), OTHERS)
def test_other_kinds_of_files(page, small, tmp_path, name, kind, mode, options):
    # Oracle: the package, 1 level from the browser's own pixels. Grey stays grey, lossless stays as it is.
    path = tmp_path / name
    path.write_bytes(encoded(small.crop((0, 0, 59, 43)).convert(mode), kind, **options))
    said = restored(page, path)
    assert ("lossless" in said) == options.get("lossless", False)
    seen = pixels(page, "plain")
    expected = python_pictures(path.read_bytes(), seen=seen)
    for shown, wanted in zip(("mmse", "real"), expected, strict=True):
        found = pixels(page, shown)[:, :, :3].astype(int)
        if wanted.ndim == 2:
            wanted = wanted[:, :, None]  # noqa: PLW2901 (grey against three equal channels)
        assert np.abs(found - wanted).max() <= 1


def test_drawings_in_avif(page, tmp_path):
    # Oracle: the package, 1 level, and the ordinary picture itself: a board of two greys is held exactly.
    board = np.kron(np.indices((6, 9)).sum(0) % 2, np.ones((9, 9))) * 180 + 30
    path = tmp_path / "board.avif"
    path.write_bytes(encoded(Image.fromarray(board.astype(np.uint8)), "AVIF", quality=85))
    restored(page, path)
    seen = pixels(page, "plain")
    for shown, wanted in zip(
        ("mmse", "real"), python_pictures(path.read_bytes(), seen=seen), strict=True
    ):
        found = pixels(page, shown)[:, :, 0].astype(int)
        assert np.abs(found - wanted).max() <= 1
        assert np.abs(found - seen[:, :, 0]).max() <= 1


NOTES = {
    "rgb.jpg": ("JPEG", {"quality": 60, "keep_rgb": True}, f"The file {_OTHER_COLOURS}"),
    "grain.avif": ("AVIF", {"quality": 40, "codec": "aom", "advanced": {"film-grain-test": "1"}}, "film grain"),
    "plain.avif": ("AVIF", {"quality": 40}, None),
}  # fmt: skip


@pytest.mark.parametrize("name", NOTES)
def test_files_whose_price_is_off_say_so(page, small, tmp_path, name):
    # Oracle: what was written into the file; of its colours, the sentence of the package.
    kind, options, said = NOTES[name]
    path = tmp_path / name
    path.write_bytes(encoded(small.crop((0, 0, 48, 40)), kind, **options))
    restored(page, path)
    facts = page.run("document.getElementById('facts').textContent")
    assert ("Note" in facts) == (said is not None)
    assert said is None or said in facts


@pytest.mark.parametrize("kind", ["WEBP", "AVIF"])
def test_transparency_is_kept(page, small, tmp_path, kind):
    # Oracle: the package: alpha exact, colours 2 levels where they can be seen (those under transparent parts
    # count too, for the networks look beyond a pixel).
    picture = small.crop((0, 0, 48, 40))
    alpha = np.full((40, 48), 255, np.uint8)
    alpha[:, 32:] = 0
    picture.putalpha(Image.fromarray(alpha))
    path = tmp_path / f"alpha.{kind.lower()}"
    path.write_bytes(encoded(picture, kind, quality=40))
    restored(page, path)
    found, expected = (
        pixels(page, "mmse").astype(int),
        python_pictures(path.read_bytes(), (0.0,))[0],
    )
    assert np.array_equal(found[:, :, 3], expected[:, :, 3])
    seen = expected[:, :, 3] == 255
    assert np.abs(found - expected)[seen].max() <= 2


IN_WINDOWS = """(async text => {
  const decode = await import(new URL('decode.js', location));
  const file = decode.openFile(Uint8Array.from(atob(text), c => c.charCodeAt(0)));
  const pixels = await decode.decodePixels(file), info = decode.describe(file, pixels);
  const { mmse, real } = await decode.restore(file, pixels, info, { tile: 192 });
  const packed = u => { let s = ''; for (let k = 0; k < u.length; k += 8192) s += String.fromCharCode(...u.subarray(k, k + 8192)); return btoa(s); };
  return [pixels.width, pixels.height, packed(pixels.rgba), packed(mmse), packed(real)];
})"""


def test_windows(page):
    # Oracle: the package with the same windows, 1 level: places of cells and cores all count.
    sample = pytest.importorskip("skimage.data").coffee()[40:88, 100:372]
    data = encoded(Image.fromarray(sample), "JPEG", quality=25)
    width, height, *found = page.run(f"{IN_WINDOWS}({json.dumps(base64.b64encode(data).decode())})")
    assert (width, height) == (272, 48)
    seen, *ends = (
        np.frombuffer(base64.b64decode(d), np.uint8).reshape(height, width, -1) for d in found
    )
    expected = python_pictures(data, seen=seen, tile=192)
    for a, b in zip(ends, expected, strict=True):
        assert np.abs(a.astype(int) - b).max() <= 1


@pytest.fixture(scope="module")
def tagged(small):
    """A JPEG file with a colour profile and Exif that turns it."""
    from PIL import ImageCms

    exif = Image.Exif()
    exif[0x0112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return encoded(small.crop((0, 0, 80, 48)), "JPEG", quality=30, exif=exif, icc_profile=profile)


def test_saved_file_and_slider(page, tagged, tmp_path):
    # Oracle: the package's picture at realism 0.3, 1 level, with its profile and orientation; on the screen
    # (1 - a) mmse + a real of the same pictures, turned, 2 levels by the browser's rounding.
    path = tmp_path / "turned.jpg"
    path.write_bytes(tagged)
    page.downloads_to(tmp_path)
    restored(page, path)
    move = "r => { r.value = 0.3; r.dispatchEvent(new Event('input')); }"
    page.run(f"({move})(document.getElementById('realism'))")
    page.run("document.getElementById('save').click()")
    saved = tmp_path / "turned-realism-0.30.png"
    end = time.monotonic() + 60
    while not saved.exists() and time.monotonic() < end:
        time.sleep(0.05)
    page.wait("document.getElementById('status').textContent.startsWith('Saved')")
    time.sleep(0.2)
    with Image.open(saved) as found, Image.open(path) as source:
        assert found.info["icc_profile"] == source.info["icc_profile"]
        assert found.getexif()[0x0112] == 6
        expected = python_pictures(tagged, (0.3,))[0]
        assert np.abs(levels(found) - expected).max() <= 1
        turned = np.rot90(levels(found), -1)
    page.run("document.getElementById('true').click()")
    place = page.run(
        "(r => [r.left, r.top, r.width, r.height])(document.getElementById('mmse').getBoundingClientRect())"
    )
    assert place[2:] == [48, 80]
    left, top = (round(v) for v in place[:2])
    shot = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(int)
    seen = shot[top : top + 60, left : left + 48]  # above the caption
    assert np.abs(seen - turned[:60]).max() <= 2


BAD = {
    "noise.bin": (b"\x00" * 100, "no AVIF, WebP or JPEG"),
    "learned.vdc": (b"\x89VDC\r\n\x1a\n" + b"\x00" * 50, "veridical decode"),
    "cut.webp": (b"RIFF\x24\x00\x00\x00WEBPVP8 ", "cannot decode"),
    "empty.jpg": (b"", "no AVIF, WebP or JPEG"),
    "header.jpg": (b"\xff\xd8\xff\xe0" + b"\x00" * 30, "cannot decode"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_decoded_is_said(page, tmp_path, name):
    # Oracle: contract: a sentence with the cause, no exception, and the next file is taken.
    path = tmp_path / name
    path.write_bytes(BAD[name][0])
    page.choose("#file", path)
    page.wait("document.getElementById('status').classList.contains('fault')")
    assert BAD[name][1] in status(page)
    assert page.run("document.getElementById('progress').hidden")
    assert not page.faults


def test_nothing_leaves(page, server, small, tmp_path):
    # Oracle: the browser's own list of requests, workers included: only this server and the page's own blobs,
    # and none that carries a body. That others are refused is the policy's: a request elsewhere fails.
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(small.crop((0, 0, 32, 32)), "JPEG", quality=20))
    restored(page, path)
    asked = [r.removeprefix("blob:") for r in page.requests]
    assert asked
    assert all(r.startswith(server.url) for r in asked)
    assert any("onnx" in r for r in asked)  # the worker's requests are among them
    assert (
        page.run("fetch('http://127.0.0.1:9/').then(() => 'let through', () => 'refused')")
        == "refused"
    )
    assert any("Content Security Policy" in f for f in page.faults)
