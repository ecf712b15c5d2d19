"""Sources in the plane: moments against their closed forms, and refusals."""

import math

import numpy as np
import pytest

from veridical.errors import InvalidSetting
from veridical.sources.planar import GaussianMixture, Spiral, TwoMoons

POWER = [
    (GaussianMixture(), 1 + 2 * 0.15**2),
    (TwoMoons(), 1 + 5 / 16 - 1 / math.pi + 2 * 0.08**2),
    (Spiral(), None),
]


@pytest.mark.statistical
@pytest.mark.parametrize(("law", "power"), POWER)
def test_moments(law, power):
    # Oracle: mean 0 and the closed form of E|X|^2 in the docstring; 40,000 samples, seed 0,
    # 4 standard errors: misses a shift below 2 % of the spread.
    n = 40_000
    x = law.sample(n, np.random.default_rng(0))
    assert x.shape == (n, 2)
    assert np.all(np.abs(x.mean(axis=0)) < 4 * x.std(axis=0) / math.sqrt(n))
    if power is None:
        power = law.radius**2 / 2 + 2 * law.deviation**2 - math.hypot(*law.mean) ** 2
    square = np.sum(x**2, axis=1)
    assert abs(square.mean() - power) < 4 * square.std() / math.sqrt(n)


def test_same_generator_same_samples():
    for law, _ in POWER:
        one, two = (law.sample(5, np.random.default_rng(3)) for _ in range(2))
        assert np.array_equal(one, two)
        assert law.sample(0, np.random.default_rng(0)).shape == (0, 2)


@pytest.mark.parametrize(
    "make",
    [
        lambda: GaussianMixture(components=1),
        lambda: GaussianMixture(deviation=0.0),
        lambda: TwoMoons(deviation=math.nan),
        lambda: Spiral(turns=math.inf),
        lambda: Spiral().sample(-1, np.random.default_rng(0)),
    ],
)
def test_refusals(make):
    with pytest.raises(InvalidSetting):
        make()
