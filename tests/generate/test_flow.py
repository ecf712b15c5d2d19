"""Integration of flows whose solution is known."""

import math

import numpy as np
import pytest

from veridical.errors import InvalidSetting
from veridical.generate.sample_flow import integrate


def test_straight_lines_need_one_step():
    # Oracle: constant velocity; exact in floating point up to 1e-15.
    end = integrate(lambda u, t: np.full_like(u, 2.5), np.array([1.0, -1.0]), 1)
    assert np.allclose(end, [3.5, 1.5], atol=1e-15)


def test_euler_error_falls_with_the_first_power_of_the_step():
    # Oracle: du/dt = u has u(1) = e; Euler's global error is first order, so that doubling the
    # steps halves it: ratio within 10 % of 2.
    error = [math.e - integrate(lambda u, t: u, 1.0, n) for n in (64, 128)]
    assert error[0] / error[1] == pytest.approx(2, rel=0.1)


def test_gaussian_flow_carries_its_law():
    # Oracle: from N(0,1) to N(0, s^2) independent, the rectified flow is the linear map u -> s u
    # (velocity in closed form); 400 steps, relative 1 %.
    s = 0.5

    def velocity(u, t):
        return (t * s**2 - (1 - t)) / (t**2 * s**2 + (1 - t) ** 2) * u

    assert integrate(velocity, 1.0, 400) == pytest.approx(s, rel=0.01)


@pytest.mark.parametrize("steps", [0, -1])
def test_no_steps(steps):
    with pytest.raises(InvalidSetting):
        integrate(lambda u, t: u, 1.0, steps)
