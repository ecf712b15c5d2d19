"""The bracketed plane against the Bernoulli closed form and against single points."""

import numpy as np
import pytest

from veridical.errors import InvalidSetting
from veridical.limits import (
    FiniteSource,
    SquaredWasserstein,
    TotalVariation,
    bernoulli_rate_bits,
    surface,
)


@pytest.fixture(scope="module")
def bernoulli_surface():
    source = FiniteSource([0.9, 0.1], 1 - np.eye(2))
    return surface(
        source, (0.01, 0.2), (0.0, 0.12), divergence=TotalVariation(), tolerance_bits=3e-3
    )


def test_the_closed_form_lies_between_the_surfaces(bernoulli_surface):
    # Oracle: [BM] eq. 6 on a grid of 400 points that were not solved; the gap holds at each.
    D, P = np.linspace(0.01, 0.2, 20)[None, :], np.linspace(0.0, 0.12, 20)[:, None]
    exact = bernoulli_rate_bits(0.1, D, P)
    lower, upper = bernoulli_surface.lower_bits(D, P), bernoulli_surface.upper_bits(D, P)
    assert np.all(lower <= exact + 1e-9)
    assert np.all(exact <= upper + 1e-9)
    assert np.max(upper - lower) <= 3e-3 + 1e-9
    assert bernoulli_surface.gap_bits <= 3e-3


def test_level_sets_bracket_the_closed_form(bernoulli_surface):
    # Oracle: [BM] eq. 6 at both ends of the bracket of D at 0.2 bits.
    P = np.array([0.0, 0.03, 0.1])
    low, high = bernoulli_surface.level(0.2, P)
    assert np.all(bernoulli_rate_bits(0.1, low, P) >= 0.2 - 1e-9)
    assert np.all(bernoulli_rate_bits(0.1, high, P) <= 0.2 + 1e-9)
    assert np.all(high - low < 0.01)


def test_the_plane_in_any_unit():
    # Oracle: the surface in unit 1; powers of two scale exactly, and units to the fourth power leave double
    # precision here. The rate is equal but for 1e-12.
    points = np.arange(3.0)
    found = []
    for unit in (1.0, 2.0**-320, 2.0**320):
        d = np.square(unit * (points[:, None] - points))
        plane = surface(
            FiniteSource([0.5, 0.3, 0.2], d), (0.05 * unit**2, unit**2), (0.01 * unit**2, 0.5 * unit**2),
            divergence=SquaredWasserstein(d), tolerance_bits=0.1,
        )  # fmt: skip
        found.append(
            [f(0.3 * unit**2, 0.1 * unit**2) for f in (plane.lower_bits, plane.upper_bits)]
        )
    np.testing.assert_allclose(found[1:], found[:1] * 2, rtol=1e-12)


def test_a_rectangle_without_area_is_refused():
    with pytest.raises(InvalidSetting, match="rectangle"):
        surface(
            FiniteSource([0.5, 0.5], 1 - np.eye(2)), (0.1, 0.1), (0.0, 0.2),
            divergence=TotalVariation(),
        )  # fmt: skip
