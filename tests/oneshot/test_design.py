"""Codecs designed from samples against the closed forms of the circle."""

import math

import numpy as np
import pytest

import veridical


@pytest.mark.statistical
def test_the_circle_is_rediscovered_from_samples():
    # Oracle: rotated half circles ([T] eqs 24, 25), d = 0.594715, W2^2 = 0.258966; 2 %. Nothing in
    # the design knows of rotations of cells; 4,000 samples at a fixed seed.
    rng = np.random.default_rng(1)
    angle = rng.random(4000) * 2 * math.pi
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    codec = veridical.design(x, rate_bits=1, seeds=2, perception=0.0, rng=rng)
    price = codec.calibration(None)
    assert price.mmse == pytest.approx(0.594715, rel=0.02)
    assert price.transport_cost == pytest.approx(0.258966, rel=0.02)
    index = codec.encode(x, seed=3)
    data = codec.to_bytes(index, seed=3)
    assert np.array_equal(codec.from_bytes(data, 4000, seed=3), index)
