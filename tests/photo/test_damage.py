"""Files that cost too much to open are refused; what is there of files that end early is decoded."""

import io
import time

import numpy as np
import pytest
from PIL import Image

from veridical.errors import DamagedFile, VeridicalError
from veridical.measure.distortion import psnr_db
from veridical.photo.damage import MOST_METADATA, MOST_SCANS, check_jpeg, completed
from veridical.photo.formats import open_image
from veridical.photo.options import DecodeOptions
from veridical.photo.reader import open_source


def saved(picture, name, **options):
    buffer = io.BytesIO()
    picture.save(buffer, name, **options)
    return buffer.getvalue()


def many_scans(picture, n):
    """A progressive JPEG whose last scan comes ``n`` times more."""
    data = saved(picture, "JPEG", quality=30, progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + n * data[last:-2] + data[-2:]


def padded(data, segment, n):
    return data[:2] + n * segment + data[2:]


@pytest.mark.parametrize("kind", ["scans", "metadata", "between"])
def test_jpegs_that_take_long_are_refused_at_once(photograph, kind):
    # Oracle: the counts that the files were made with; 1 s of processor time for files on which Pillow
    # spends from 12 s to a minute. Below the limit they open.
    plain = saved(photograph, "JPEG", quality=30)
    app1 = b"\xff\xe1\xff\xff" + b"Exif\0\0" + bytes(65535 - 8)
    bad, good = {
        "scans": (many_scans(photograph, 2000), many_scans(photograph, MOST_SCANS // 2)),
        "metadata": (
            padded(plain, app1, 915),
            padded(plain, b"\xff\xe1\xff\xff" + bytes(65533), 20),
        ),
        "between": (padded(plain, b"\xff", 4_000_000), padded(plain, b"\xff", 100)),
    }[kind]
    for read in (open_image, open_source):
        start = time.process_time()
        with pytest.raises(DamagedFile, match=kind):
            read(bad)
        assert time.process_time() - start < 1
    open_image(good)


def test_the_largest_profile_is_no_attack(photograph):
    # Oracle: ICC.1 in JPEG, 255 segments of at most 65,519 bytes.
    check_jpeg(saved(photograph, "JPEG", icc_profile=bytes(255 * 65_519)), "x")
    assert MOST_METADATA < 20_000_000


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {"restart_marker_rows": 1}),
        ("WEBP", {"exif": b"MM\0*" + bytes(400)}),
    ],
)
def test_the_part_that_is_there_is_decoded(photograph, name, options):
    # Oracle: the whole file. The upper rows of a sequential JPEG or a WebP file, whose modes come before
    # all coefficients, come back bit for bit, and the more is there, the nearer the picture is.
    data = saved(photograph, name, quality=60, **options)
    whole = np.asarray(Image.open(io.BytesIO(data)))
    found = []
    for keep in (0.3, 0.6, 0.9):
        cut, said = data[: int(keep * len(data))], []
        with pytest.raises(DamagedFile, match="--allow-partial"):
            open_image(cut)
        picture = open_image(cut, DecodeOptions(allow_partial=True), said.append)
        assert any("ends early" in s for s in said)
        found.append(psnr_db(whole, picture.pixels))
        if not options.get("progressive"):
            rows = int(0.5 * (keep - 0.3) * len(whole))
            assert np.array_equal(picture.pixels[:rows], whole[:rows])
    assert found == sorted(found)


def test_every_length_gives_a_picture_or_a_typed_error(photograph):
    # Oracle: contract; every cut of small files.
    small = photograph.resize((40, 24))
    for data in (
        saved(small, "JPEG", quality=30, progressive=True),
        saved(small, "WEBP", quality=30, xmp=b"x"),
        saved(small, "WEBP", lossless=True),
    ):
        for length in range(4, len(data), 3):
            try:
                picture = open_image(data[:length], DecodeOptions(allow_partial=True))
            except VeridicalError:
                continue
            assert picture.pixels.shape == (24, 40, 3)


def test_a_whole_file_is_not_touched(coded):
    for data in coded.values():
        assert completed(data) is None
    assert completed(coded["AVIF"][:500]) is None


def test_a_chunk_that_claims_gigabytes_is_not_filled_up(coded):
    # Oracle: contract; at most 16 times what is there.
    data = bytearray(coded["WEBP"])
    data[16:20] = (2**31).to_bytes(4, "little")
    assert completed(bytes(data)) is None
    with pytest.raises(VeridicalError):
        open_image(bytes(data), DecodeOptions(allow_partial=True))
