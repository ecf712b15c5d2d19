"""Pictures and files in every shape that a program has them in."""

import io
import logging

import numpy as np
import pytest
from PIL import Image

import veridical
from veridical.errors import DamagedFile, InvalidSetting


@pytest.fixture(scope="module")
def pixels():
    rng = np.random.default_rng(0)
    smooth = np.kron(rng.normal(size=(5, 7, 3)), np.ones((8, 8, 1)))
    return np.clip(smooth * 40 + 128, 0, 255).astype(np.uint8)


def same(a, b):
    return a.mode == b.mode and a.tobytes() == b.tobytes()


def test_pictures_in(pixels, tmp_path):
    # Oracle: one file for all, byte for byte: uint16 is 257 times uint8, floats are uint8 / 255.
    torch = pytest.importorskip("torch")
    picture = Image.fromarray(pixels)
    picture.save(tmp_path / "x.png")
    expected = veridical.encode(picture, format="JPEG", quality=50)
    channels_first = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    deep = pixels.astype(np.uint16) * 257
    for source in (
        tmp_path / "x.png",
        str(tmp_path / "x.png"),
        (tmp_path / "x.png").read_bytes(),
        io.BytesIO((tmp_path / "x.png").read_bytes()),
        pixels,
        pixels[:, ::-1][:, ::-1],
        deep,
        pixels / 255,
        (pixels / 255).astype(np.float32),
        torch.from_numpy(channels_first),
        torch.from_numpy(channels_first / np.float32(255)).requires_grad_(),
    ):
        assert veridical.encode(source, format="JPEG", quality=50) == expected
    with (tmp_path / "x.png").open("rb") as file:
        assert veridical.encode(file, format="JPEG", quality=50) == expected


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_channels(pixels, channels, mode):
    from veridical.photo.reader import open_source

    x = np.concatenate([pixels, pixels[:, :, :1]], axis=2)[:, :, :channels]
    assert open_source(x).mode == mode
    if channels == 1:
        assert same(open_source(x), open_source(x[:, :, 0]))


def test_arrays_that_are_no_picture(pixels):
    bad = pixels / 255
    bad[0, 0, 0] = np.nan
    for x, word in (
        (pixels.astype(np.int64), "uint8"),
        (pixels.astype(float), "from 0 to 1"),
        (bad, "NaN"),
        (pixels[None], "shape"),
        (pixels[:0], "shape"),
        (np.zeros((3, 4, 5), np.uint8), "shape"),
        (pixels > 9, "uint8"),
    ):
        with pytest.raises(InvalidSetting, match=word):
            veridical.encode(x)


def test_what_is_lost_is_told(pixels, caplog):
    # Oracle: contract: to the function that is given, or as a warning of the logger.
    told = []
    veridical.encode(pixels.astype(np.uint16), notice=told.append)
    assert told == ["16-bit samples are converted to 8 bits"]
    with caplog.at_level(logging.WARNING, logger="veridical"):
        veridical.encode(pixels / 128)
    assert "clipped" in caplog.text


def test_files_in_and_what_comes_out(pixels, tmp_path):
    # Oracle: one picture for all, byte for byte.
    data = veridical.encode(pixels, format="WEBP", quality=40)
    (tmp_path / "x.webp").write_bytes(data)
    expected = veridical.decode(data, realism=0.5, seed=3)
    for source in (
        tmp_path / "x.webp",
        str(tmp_path / "x.webp"),
        bytearray(data),
        io.BytesIO(data),
    ):
        assert same(veridical.decode(source, realism=0.5, seed=3), expected)
    array = veridical.decode(data, realism=0.5, seed=3, as_array=True)
    assert array.dtype == np.uint8
    assert np.array_equal(array, np.asarray(expected))
    array[0] = 0  # is one's own
    with pytest.raises(InvalidSetting, match="bytes"):
        veridical.decode(io.StringIO("text"))


def test_an_open_file_decodes_itself(pixels):
    # Oracle: veridical.decode with the same settings, byte for byte.
    data = veridical.encode(pixels, format="AVIF", quality=40)
    image = veridical.open(data, seed=2, realism=0.3)
    assert image.info == veridical.info(data)
    assert same(image.decode(), veridical.decode(data, seed=2, realism=0.3))
    assert same(image.decode(1), veridical.decode(data, seed=2, realism=1))
    assert same(image.decode(0.7, seed=5), veridical.decode(data, seed=5, realism=0.7))
    p = image.price().perception_at(0.4)
    assert same(image.decode(perception=p), veridical.decode(data, perception=p, seed=2))
    assert np.array_equal(image.decode(0, as_array=True), np.asarray(image.decode(0)))
    with pytest.raises(InvalidSetting):
        image.decode(2)


def test_view_gives_a_page(pixels, tmp_path):
    # Oracle: HTML; a notebook shows the page inside a frame, where its quotes are escaped.
    data = veridical.encode(pixels, format="JPEG", quality=30)
    page = veridical.view([data, io.BytesIO(data)], pixels)
    assert page.html.startswith("<!doctype html>")
    assert page.save(tmp_path / "x.html").read_text(encoding="utf-8") == page.html
    frame = page._repr_html_()
    assert frame.startswith("<iframe srcdoc=")
    assert "<script" not in frame
    with pytest.raises(InvalidSetting):
        veridical.view([])


def test_what_has_no_numbers_any_more_is_a_typed_error(pixels, tmp_path):
    # Oracle: the tree of errors.py: a closed file or picture, a path that is none, and tensors without an array.
    data = veridical.encode(pixels, format="WEBP", quality=40)
    closed = io.BytesIO(data)
    closed.close()

    class NoText:
        def __fspath__(self):
            return b"photo.webp"

    for source in (closed, NoText()):
        with pytest.raises(InvalidSetting):
            veridical.open(source)
    gone = Image.fromarray(pixels)
    gone.close()
    with pytest.raises(DamagedFile, match="still open"):
        veridical.encode(gone)
    torch = pytest.importorskip("torch")
    x = torch.zeros(3, 8, 8)
    for wrong in (x.bfloat16(), x.to_sparse(), torch.empty(3, 8, 8, device="meta")):
        with pytest.raises(InvalidSetting, match=str(wrong.dtype)):
            veridical.encode(wrong)
    with pytest.raises(InvalidSetting, match="unknown setting"):
        veridical.open(veridical.open(data), sead=3)


def test_a_picture_of_pillow_may_be_read_late(pixels, tmp_path):
    # Oracle: the same bytes as from the whole file; one that was cut is damaged, whose remedy is not the disk's.
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    whole = buffer.getvalue()
    assert veridical.encode(Image.open(io.BytesIO(whole)), format="WEBP") == veridical.encode(
        whole, format="WEBP"
    )
    with pytest.raises(DamagedFile, match="complete"):
        veridical.encode(Image.open(io.BytesIO(whole[: len(whole) // 2])), format="WEBP")


def test_the_order_of_bytes_and_a_mask_change_nothing(pixels):
    # Oracle: the coded bytes of the plain array; what a mask hides is looked at, so that NaN is found.
    deep = pixels.astype(np.uint16) * 257
    assert veridical.encode(deep.astype(">u2"), format="WEBP") == veridical.encode(
        deep, format="WEBP"
    )
    hidden = np.ma.masked_array(np.full((8, 8), np.nan), mask=np.eye(8))
    hidden[~np.eye(8, dtype=bool)] = 0.5
    with pytest.raises(InvalidSetting, match="NaN"):
        veridical.encode(hidden)
