"""Settings of designs of block codes: numbers of numpy are taken, what is no number or generator is refused."""

import math

import numpy as np
import pytest

import veridical
from veridical.block.group_design import design_group_codec
from veridical.block.lattice import lattice_codec
from veridical.block.random_coding import random_code
from veridical.block.transform_design import transform_codec
from veridical.block.trellis import trellis_codec
from veridical.errors import InvalidSetting
from veridical.kept import codec_id
from veridical.oneshot.simulated import simulated_gaussian
from veridical.quantize.group import NestedChain
from veridical.quantize.lattice import cubic
from veridical.quantize.trellis import Trellis
from veridical.sources.alphabet import quantized_gaussian

RNG = np.random.default_rng(0)
X = RNG.standard_normal((100, 4))
SMALL = {"rate_bits": 1.0, "samples": 8000}
CHAIN = NestedChain(p=3, n=20, period=5, shaping=0, message=2, seed=1, memory=(0, 2, 1))


@pytest.mark.parametrize("wrong", ["1", None, 1j, [1], math.nan, True])
def test_settings_that_are_no_numbers_are_refused(wrong):
    # Oracle: the typed error, for every design of a block code.
    calls = [
        lambda: lattice_codec(cubic(1), **{**SMALL, "rate_bits": wrong}, rng=RNG),
        lambda: lattice_codec(cubic(1), **SMALL, common_bits=wrong, rng=RNG),
        lambda: lattice_codec(cubic(1), **SMALL, variance=wrong, rng=RNG),
        lambda: trellis_codec(8, **{**SMALL, "rate_bits": wrong}, rng=RNG),
        lambda: trellis_codec(8, **SMALL, common_bits=wrong, rng=RNG),
        lambda: trellis_codec(8, **SMALL, variance=wrong, rng=RNG),
        lambda: random_code(8, wrong),
        lambda: simulated_gaussian(wrong),
        lambda: simulated_gaussian(1.0, variance=wrong),
        lambda: veridical.design(X, method="trellis", rate_bits=wrong, rng=RNG),
    ]
    for call in calls:
        with pytest.raises(InvalidSetting):
            call()


def test_a_seed_is_no_generator():
    # Oracle: the typed error names numpy's Generator, in designs and decoders alike.
    codec = trellis_codec(8, **SMALL, rng=np.random.default_rng(0))
    calls = [
        lambda: lattice_codec(cubic(1), **SMALL, rng=7),
        lambda: trellis_codec(8, **SMALL, rng=None),
        lambda: transform_codec(X, Trellis(8), rate_bits=4, rng="7"),
        lambda: design_group_codec(quantized_gaussian(15, width=0.5), CHAIN, rng=7),
        lambda: codec.decode(np.zeros(4, dtype=int), 7, realism=0.5),
    ]
    for call in calls:
        with pytest.raises(InvalidSetting, match="Generator"):
            call()


@pytest.mark.parametrize("number", [np.float32, np.float64, np.int64])
def test_numbers_of_numpy_are_numbers(number):
    # Oracle: the same code as for Python's number.
    for make in (
        lambda R, Rc: lattice_codec(
            cubic(1), rate_bits=R, common_bits=Rc, samples=2000, rng=np.random.default_rng(0)
        ),
        lambda R, Rc: trellis_codec(
            8, rate_bits=R, common_bits=Rc, samples=4000, rng=np.random.default_rng(0)
        ),
    ):
        assert codec_id(make(number(1), number(1))) == codec_id(make(1.0, 1.0))
