"""Finite alphabets of numbers: rounding, laws, refusals."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import laplace

from veridical.errors import InvalidSetting
from veridical.sources.alphabet import Alphabet, bernoulli, discretise, quantized_gaussian


@settings(max_examples=30, deadline=None)
@given(
    st.integers(2, 40),
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20),
)
def test_rounding_to_an_alphabet(m, values):
    # Oracle: exhaustive search for the nearest point; 1e-9 relative. Rounded values have symbols.
    source = quantized_gaussian(m)
    out = source.nearest(values)
    best = np.abs(np.array(values)[:, None] - source.points).min(axis=1)
    np.testing.assert_allclose(np.abs(out - values), best, rtol=1e-9, atol=1e-9)
    assert np.array_equal(source.points[source.symbols(out)], out)


def test_alphabet_of_the_gaussian():
    # Oracle: the mean is 0 by symmetry; the variance is 1 + w^2/12 for small steps w (Sheppard) less
    # what is clipped beyond the last point c, 2 ((1 - c^2) Q(c) + c phi(c)); 1e-4, 200 points.
    source = quantized_gaussian(200)
    c, w = source.points[-1], source.points[1] - source.points[0]
    tail = 0.5 * math.erfc(c / math.sqrt(2))
    phi = math.exp(-0.5 * c * c) / math.sqrt(2 * math.pi)
    clipped = 2 * ((1 - c * c) * tail + c * phi)
    assert source.law @ source.points == pytest.approx(0, abs=1e-12)
    assert source.variance == pytest.approx(1 + w * w / 12 - clipped, abs=1e-4)
    rows = source.sample(3, 5, np.random.default_rng(0))
    assert rows.shape == (3, 5)


@pytest.mark.parametrize("unit", [1.0, 1e-8, 1e-60, 1e8, 1e60])
def test_symbols_in_any_unit(unit):
    # Oracle: points themselves have symbols; a number a tenth of a step away is none, far from 0 as well.
    for points in (np.arange(3.0), 1e10 + np.arange(3.0)):
        source = Alphabet(unit * points, np.full(3, 1 / 3))
        assert source.symbols(unit * points).tolist() == [0, 1, 2]
        with pytest.raises(InvalidSetting, match="not in the alphabet"):
            source.symbols(unit * (points + 0.3))


@pytest.mark.parametrize("unit", [1.0, 1e-8, 1e-60, 1e8, 1e60])
def test_error_of_discretising_in_any_unit(unit):
    # Oracle: the tails of Laplace's law beyond c have E(X - c)+^2 = exp(-c) each, half cells are 1/16; 2e-8 relative.
    found = discretise(laplace(scale=unit), 64, -4 * unit, 4 * unit)
    exact = math.sqrt(0.0625**2 + 2 * math.exp(-3.9375))
    assert found.root_error / unit == pytest.approx(exact, rel=2e-8)
    assert found.root_error / unit >= exact


def test_where_double_precision_ends():
    for unit in (1e-170, 1e170):
        with pytest.raises(InvalidSetting, match="another unit"):
            discretise(laplace(scale=unit), 64, -4 * unit, 4 * unit)
        with pytest.raises(InvalidSetting, match="another unit"):
            Alphabet(np.array([0.0, unit]), np.array([0.5, 0.5]))


def test_bad_alphabets():
    for p in (0.0, 1.0, math.nan, True, "1"):
        with pytest.raises(InvalidSetting, match="probability"):
            bernoulli(p)
    for m, width in ((1, None), (2.0, None), (5000, None), (5, 0.0), (5, math.nan), (99, 9.0)):
        with pytest.raises(InvalidSetting):
            quantized_gaussian(m, width=width)
    for points, law in (([0, 1], [1, 0]), ([1, 0], [0.5, 0.5]), ([0, 1], [0.5, 0.4]),
                        ([0, math.inf], [0.5, 0.5]), ([0], [1])):  # fmt: skip
        with pytest.raises(InvalidSetting):
            Alphabet(np.array(points, dtype=float), np.array(law, dtype=float))
    with pytest.raises(InvalidSetting, match="NaN"):
        quantized_gaussian(5).nearest([0.0, math.nan])
