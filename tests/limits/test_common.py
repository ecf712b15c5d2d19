"""Limited common randomness against the scalar Gaussian on a grid and the circle."""

import math

import numpy as np
import pytest

from veridical.limits import (
    circle_block_distortion,
    gaussian_distortion,
    least_distortion,
    shannon,
    shannon_distortion_lower,
)


@pytest.mark.slow
@pytest.mark.parametrize("Rc", [0.0, 1.0, math.inf])
def test_gaussian_on_a_grid(Rc):
    # Oracle: [T] eq. 65; 33 points over +-4 deviations change the law, and with it D, by less than
    # 0.02; the lower bound is loose between the ends of Rc and must stay below.
    x = np.linspace(-4, 4, 33)
    p = np.exp(-0.5 * x**2)
    b = least_distortion(x, p / p.sum(), 1.0, 0.05, Rc, rounds=15)
    exact = float(gaussian_distortion(1.0, 0.05, Rc))
    assert b.lower_distortion <= exact + 0.02
    assert b.upper_distortion == pytest.approx(exact, abs=0.02)
    assert b.rate_bits <= 1.0 + 1e-9
    assert b.total_bits <= 1.0 + Rc + 1e-9


@pytest.mark.slow
def test_circle_of_many_points():
    # Oracle: the von Mises limit of the circle; 24 points, 1 bit, Rc=0; 0.02.
    t = 2 * np.pi * np.arange(24) / 24
    b = least_distortion(
        np.stack([np.cos(t), np.sin(t)], axis=1), np.full(24, 1 / 24), 1.0, 0.0, rounds=15
    )
    exact = float(circle_block_distortion(1.0, 0.0))
    assert b.lower_distortion <= exact + 0.02
    assert b.upper_distortion == pytest.approx(exact, abs=0.02)


def test_two_points_by_hand():
    # Oracle: without rate the estimate is the mean and perfect perception costs twice the variance.
    b = least_distortion([-1.0, 1.0], [0.5, 0.5], 0.0, 0.0, rounds=3)
    assert b.upper_distortion == pytest.approx(2.0, abs=1e-9)
    assert b.lower_distortion <= 2.0


def test_a_flat_potential_ends_the_exchange(monkeypatch):
    # Oracles: the number of rounds, of 25 that boxes which run out around a circle would take; [T] 50-53 for the circle.
    rounds, top = [], shannon._Potential.top
    monkeypatch.setattr(shannon, "_MOST_BOXES", 2000)
    monkeypatch.setattr(
        shannon._Potential, "top", lambda self, near: rounds.append(near) or top(self, near)
    )
    t = 2 * np.pi * np.arange(24) / 24
    points = np.stack([np.cos(t), np.sin(t)], axis=1)
    lower = shannon_distortion_lower(points, np.full(24, 1 / 24), 2.0)
    assert len(rounds) <= 12
    exact = float(circle_block_distortion(2.0, math.inf, 0.0))
    assert exact - 0.01 < lower <= exact + 1e-6


def test_points_far_from_the_origin():
    # Oracle: the bracket of the same points about 0; 2^34 is added without rounding; 1e-9 relative.
    points, law = np.array([-1.5, 0.25, 1.0, 2.0]), [0.1, 0.2, 0.3, 0.4]
    near = least_distortion(points, law, 0.7, 0.1, 0.5)
    far = least_distortion(points + 2.0**34, law, 0.7, 0.1, 0.5)
    assert far.lower_distortion == pytest.approx(near.lower_distortion, rel=1e-9)
    assert far.upper_distortion == pytest.approx(near.upper_distortion, rel=1e-9)
