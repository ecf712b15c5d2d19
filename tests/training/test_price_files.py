"""The files that prices are measured on."""

import numpy as np
from PIL import Image

from veridical.training.price_files import coded_before


def test_files_coded_before_are_spread_over_formats_qualities_and_grids():
    # Oracle: a low-discrepancy sequence of 160 pairs puts 10 into each of 16 equal cells of their square, give or take 4.
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8))
    cells = np.zeros((4, 4), int)
    shifted, formats, errors = 0, [], []
    for n in range(160):
        name, source, before, quality = coded_before(picture, n)
        assert source.size == before.size
        assert 40 <= quality < 99
        shift = picture.width - source.width
        assert source.tobytes() == picture.crop((shift, shift, 24, 24)).tobytes()
        shifted += shift > 0
        formats.append(name)
        first = (0.5 + n * 0.7548776662) % 1
        cells[int(4 * first), int(4 * (quality - 40) / 59)] += 1
        errors.append(
            (first, np.mean((np.asarray(source, float) - np.asarray(before, float)) ** 2))
        )
    assert np.abs(cells - 10).max() <= 4
    assert shifted == 96
    assert {name: formats.count(name) for name in formats} == {"JPEG": 80, "AVIF": 40, "WEBP": 40}
    # Noise that was coded at the lowest tenth of qualities has lost more than at the highest.
    low, high = ([e for f, e in errors if f < 0.1], [e for f, e in errors if f > 0.9])
    assert min(low) > max(high)
