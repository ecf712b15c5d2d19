"""Bits per pixel."""

import pytest

from veridical.errors import InvalidSetting
from veridical.measure import bits_per_pixel


def test_a_kodak_picture_of_49152_bytes_costs_one_bit_per_pixel():
    # Oracle: 8 * 49152 = 768 * 512; exact.
    assert bits_per_pixel(49152, 768, 512) == 1.0


def test_an_empty_file_costs_nothing():
    assert bits_per_pixel(0, 1, 1) == 0.0


@pytest.mark.parametrize("arguments", [(-1, 4, 4), (10, 0, 4), (10, 4, -1)])
def test_impossible_sizes_are_refused(arguments):
    with pytest.raises(InvalidSetting):
        bits_per_pixel(*arguments)
