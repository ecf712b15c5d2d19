"""The composition of the four parts, on a source whose prices are known in closed form."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from veridical.codec import PartsCodec, resolve_realism
from veridical.errors import InvalidSetting
from veridical.interpolate import Calibration

D = 1 - 2 / math.pi


@dataclass(frozen=True)
class Sign:
    def encode(self, x, seed):
        return x > 0


@dataclass(frozen=True)
class Centroid:
    def estimate(self, index, seed):
        return np.where(index, 1.0, -1.0) * math.sqrt(2 / math.pi)


@dataclass(frozen=True)
class Posterior:
    def generate(self, x_mmse, rng, context):
        return np.where(context, 1.0, -1.0) * np.abs(rng.standard_normal(x_mmse.shape))


CODEC = PartsCodec(Sign(), Centroid(), Posterior(), lambda index: Calibration(D, D))


def test_perception_is_met_at_the_predicted_price():
    # Oracle: one-bit Gaussian, d = C = 1 - 2/pi, D(P) = d + (sqrt d - sqrt P)^2 ([T] Prop. 1).
    # n = 200,000, fixed seed, 4 standard errors.
    x = np.random.default_rng(1).standard_normal(200_000)
    index = CODEC.encode(x)
    for p in (0.0, 0.05, 0.2, 1.0):
        out = CODEC.decode(index, np.random.default_rng(2), perception=p)
        error = (x - out) ** 2
        predicted = D + max(0.0, math.sqrt(D) - math.sqrt(p)) ** 2
        assert abs(error.mean() - predicted) < 4 * error.std() / math.sqrt(len(x))


def test_realism_zero_reads_no_randomness():
    # Oracle: contract; a generator that fails is not called.
    class Fails:
        def generate(self, x_mmse, rng, context):
            raise AssertionError("not to be called")

    codec = PartsCodec(Sign(), Centroid(), Fails(), lambda index: Calibration(D, D))
    out = codec.decode(np.array([True]), np.random.default_rng(0), realism=0)
    assert out[0] == math.sqrt(2 / math.pi)


def test_default_is_full_realism():
    assert resolve_realism(Calibration(1, 1), None, None) == 1


def test_both_settings_are_refused():
    with pytest.raises(InvalidSetting, match="either"):
        resolve_realism(Calibration(1, 1), 0.5, 0.1)
